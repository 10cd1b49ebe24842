"""Where the paths of a document may lead: anywhere, or only into allowed folders.

A person who renders may read their own files; a server that renders what others wrote (CI, a
studio's farm) should not, because a stage's references are put into the store. With DOUGA_ROOTS
set, no path of an episode leads out of those folders, by `..`, by an absolute path or by a link.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import UsageError
from cluster.settings import settings


def check_allowed(path: str) -> str:
    """The absolute path or URL itself; UsageError if it leads out of DOUGA_ROOTS, where set."""
    allowed = [Path(folder) for folder in settings().roots.split(os.pathsep) if folder]
    parts = urlsplit(path) if "://" in path else None
    if not allowed or (parts is not None and parts.scheme != "file"):
        return path
    file = Path(os.path.realpath(unquote(parts.path) if parts is not None else path))
    if not any(file.is_relative_to(os.path.realpath(folder.expanduser())) for folder in allowed):
        raise UsageError(
            "leads out of the folders that episodes may use",
            where=path,
            remedy=f"move it there ({os.pathsep.join(map(str, allowed))}), or add to DOUGA_ROOTS",
        )
    return path
