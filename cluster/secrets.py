"""Secrets from settings or files; they are in no text that douga writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cluster.errors import UsageError

MAX_BYTES = 1 << 16
"""No secret is longer."""
NAMES = re.compile(
    r"SECRET|WEBHOOK|TOKEN|PASSWORD|PASSWD|ACCESS_?KEY|API_?KEY|PRIVATE_?KEY|AUTH_STRING|CREDENTIAL",
    re.I,
)
"""Names of variables, and of keys in a file, that hold a secret."""
PLACES = ("_FILE", "_PATH")
"""Endings of names that say where a secret lies."""


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret, or a URL with a password."""
    return (bool(NAMES.search(name)) and not name.endswith(PLACES)) or has_password(value)


def secret_files(environment: Mapping[str, str]) -> list[Path]:
    """The files that variables name for a secret, and those that Ray and AWS look for unasked."""
    named = [
        value
        for name, value in environment.items()
        if value and name.endswith(PLACES) and NAMES.search(name)
    ]
    return [Path(name).expanduser() for name in (*named, "~/.ray/auth_token", "~/.aws/credentials")]


def secrets_in(file: Path) -> Iterator[str]:
    """The secrets of a file: each of its lines, headings and comments aside, and what a line
    `name = value` gives a name of a secret. None where it cannot be read."""
    try:
        if not file.is_file():  # a pipe gives what it holds once
            return
        with file.open(encoding="utf-8") as text:
            lines = text.read(MAX_BYTES).splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        if not line.startswith(("[", "#")):
            yield line.strip()
        name, _, value = line.partition("=")
        if NAMES.search(name):
            yield value.strip()


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
