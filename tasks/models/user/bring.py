"""Copies a file of weights here from a path or a URL and checks its digest."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from cluster.errors import InputError, UsageError, shortly
from cluster.files import open_plain
from cluster.keys import Digest
from cluster.secrets import without_password

_BLOCK_BYTES = 1 << 20
MAX_BYTES = 16 << 30
"""No network is larger; a server that never ends would fill the disk."""
_TIMEOUT_S = 60.0
_WEB = ("http", "https")


def bring(
    source: str, into: Path, *, sha256: Digest, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Copy `source`, a path or an http(s) URL, to the file `into`; `progress` hears of bytes.

    Errors: InputError where it cannot be read or its digest is another; nothing is left then.
    UsageError for a URL of another kind.
    """
    sha = hashlib.sha256()
    done = 0
    try:
        with closing(_open(source)) as file, into.open("wb") as copy:
            while block := file.read(_BLOCK_BYTES):
                sha.update(block)
                copy.write(block)
                done += len(block)
                if done > MAX_BYTES:
                    raise OSError(errno.EFBIG, f"larger than {MAX_BYTES >> 30} GiB")
                progress(done)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        into.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or str(getattr(error, "reason", error))
        raise InputError(f"cannot be read: {why}", where=named(source)) from error
    if (found := sha.hexdigest()) != sha256:
        into.unlink(missing_ok=True)
        raise InputError(
            f"expected sha256 {sha256}, got {found}",
            where=named(source),
            remedy="it is damaged, or not the file that its publisher means",
        )


def named(source: str) -> str:
    """A source as messages and cards name it: a URL without its password and query."""
    if "://" not in source:
        return str(Path(os.path.expanduser(source)).absolute())
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise UsageError(
            f"{shortly(without_password(source))} is not an address ({error})", where="--file"
        ) from error
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _open(source: str) -> IO[bytes]:
    if "://" not in source:
        return open_plain(os.path.expanduser(source))
    if urlsplit(source).scheme not in _WEB:
        raise UsageError(
            "expected a path or an http(s) URL", where=named(source), remedy="copy it here first"
        )
    try:
        answer: IO[bytes] = urllib.request.urlopen(source, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"the server answered {error.code} {error.reason}", where=named(source)
        ) from error
    return answer
