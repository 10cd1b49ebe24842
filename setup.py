"""The version, from git's tags: at `v0.4.0` it is 0.4.0, three commits later 0.4.1.dev3+gabc1234.

A clone without tags, a tarball and an image know none: FALLBACK. Everything else about the package
is in pyproject.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from setuptools import setup
from setuptools_scm.version import guess_next_dev_version

if TYPE_CHECKING:
    from setuptools_scm import ScmVersion

FALLBACK = "0.4.0.dev0"
"""Set to the version that is being worked on, after each release (docs/releasing.md)."""


def version_of(found: ScmVersion) -> str:
    """What the tags say, or the fallback where there are none (git's tag is then 0.0)."""
    return FALLBACK if str(found.tag) == "0.0" else guess_next_dev_version(found)


setup(use_scm_version={"version_scheme": version_of, "fallback_version": FALLBACK})
