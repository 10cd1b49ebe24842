"""Files that spare work: made again where they cannot be read, and never a reason to fail.

A file appears whole or not at all, but is not synced to disk: one that a power cut tears is made
again. What cannot be kept costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cluster.errors import DougaError

UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What `read` raises for a torn file, one of another version, or one that something else wrote."""

T = TypeVar("T")


def cached(path: Path, make: Callable[[], str], read: Callable[[str], T]) -> T:
    """What `read` makes of the text of a file; where that fails, `make` makes the text anew."""
    found = read_cached(path, read)
    if found is not None:
        return found
    text = make()
    write_cached(path, text)
    return read(text)


def read_cached(path: Path, read: Callable[[str], T]) -> T | None:
    """What `read` makes of the text of a file; None where there is none that it can read."""
    try:
        return read(path.read_text(encoding="utf-8"))
    except (DougaError, *UNREADABLE):
        return None


def write_cached(path: Path, text: str) -> None:
    """Keep a text in a file, if that can be."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
