"""Where the paths of a document may lead: anywhere a person may read, or into roots alone.

A person who renders may read their own files; a server that renders what others wrote (CI, a farm
for a studio) should not, for a stage's references are put into the store. With DOUGA_ROOTS set, no
path of an episode leads out of those folders, by `..`, by an absolute path or by a link.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import UsageError
from cluster.settings import settings


def check_roots(path: str) -> str:
    """The absolute path or URL itself; UsageError if it leads out of DOUGA_ROOTS, where set."""
    roots = [Path(root) for root in settings().roots.split(os.pathsep) if root]
    parts = urlsplit(path) if "://" in path else None
    if not roots or (parts is not None and parts.scheme != "file"):
        return path
    file = Path(os.path.realpath(unquote(parts.path) if parts is not None else path))
    if not any(file.is_relative_to(os.path.realpath(root.expanduser())) for root in roots):
        raise UsageError(
            "leads out of the folders that episodes may use",
            where=path,
            remedy=f"move it there ({os.pathsep.join(map(str, roots))}), or add to DOUGA_ROOTS",
        )
    return path
