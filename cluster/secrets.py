"""Secrets from settings or files; they are in no text that douga writes."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from cluster.errors import UsageError

MAX_BYTES = 1 << 16
"""No secret is longer."""


def has_password(url: str) -> bool:
    """Whether a URL carries a user or a password."""
    return "@" in _netloc(url)


def without_password(url: str) -> str:
    """A URL as it may be shown: `http://user:pw@host/x` becomes `http://host/x`."""
    netloc = _netloc(url)
    return url.replace(netloc, netloc.rpartition("@")[2], 1) if "@" in netloc else url


def read_secret(file: Path, *, setting: str) -> str:
    """The one line of a file that `setting` names. UsageError if it cannot be read or is empty."""
    try:
        with open(os.path.expanduser(file), "rb") as opened:  # a pipe may hold it too
            secret = opened.read(MAX_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"cannot be read ({why.lower()})", where=f"{setting}={file}") from error
    if not secret:
        raise UsageError("is empty", where=f"{setting}={file}")
    return secret


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # not a URL: nothing of it is taken for a host
        return url.partition("://")[2].partition("/")[0]
