"""The one piece that every path passes: what a path may be, and where it may lead.

A person who renders may read and write their own files; a server that renders what others wrote
(CI, a studio's farm) should not, because a stage's references are put into the store. With
DOUGA_ROOTS set, no path that a document names leads out of those folders, by `..`, by an absolute
path, by `file://` or by a link. What a person types may lie elsewhere, as they could change the
setting too; but a link that lies in the folders leads nobody out of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import UsageError
from cluster.files import fault_of_path, special_kind
from cluster.settings import settings


def check_path(path: str) -> str:
    """A path or URL itself; UsageError if no file system could hold it, or what is there is neither
    a file nor a folder."""
    if fault := fault_of_path(path):
        raise UsageError(fault, where=_short(path), remedy="rename it, or correct the path")
    try:
        urlsplit(path if "://" in path else "")
    except ValueError as error:
        raise UsageError(
            f"is not an address ({error})", where=_short(path), remedy="correct it"
        ) from error
    file = _file(path)
    if file is not None and (kind := special_kind(file)):
        raise UsageError(f"is {kind}, not a file", where=_short(path), remedy="name a file")
    return path


def check_allowed(path: str) -> str:
    """The absolute path or URL that a document names; UsageError if it leads out of DOUGA_ROOTS,
    where set, or cannot be a path."""
    file, roots = _file(check_path(path)), _roots()
    if roots and file is not None and not _is_inside(os.path.realpath(file), roots):
        raise UsageError(
            "leads out of the folders that episodes may use",
            where=path,
            remedy=f"move it there ({os.pathsep.join(roots)}), or add to DOUGA_ROOTS",
        )
    return path


def check_typed(path: str) -> str:
    """The path or URL that a person typed; UsageError if it lies in DOUGA_ROOTS, where set, and a
    link there leads out of them, or if it cannot be a path."""
    file, roots = _file(check_path(path)), _roots()
    outside = file is None or not _is_inside(os.path.abspath(file), roots)
    return path if outside else check_allowed(path)


def _roots() -> list[str]:
    named = filter(None, settings().roots.split(os.pathsep))
    return [os.path.realpath(os.path.expanduser(folder)) for folder in named]


def _is_inside(file: str, roots: list[str]) -> bool:
    return any(Path(file).is_relative_to(root) for root in roots)


def _file(path: str) -> str | None:
    """The file that a path or `file://` names; None for what is in no file system."""
    if "://" not in path:
        return path
    parts = urlsplit(path)
    return unquote(parts.path) if parts.scheme == "file" else None


def _short(path: str) -> str:
    return path if len(path) <= 120 else f"{path[:60]}…{path[-40:]}"
