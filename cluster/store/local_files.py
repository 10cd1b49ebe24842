"""Writes files that appear whole or not at all, and explains the system's refusals."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from cluster.errors import InputError, StoreError, os_reason
from cluster.files import open_plain
from cluster.keys import Digest

BLOCK_BYTES = 1 << 20
REMEDIES = {
    errno.EACCES: "let this user write there, or choose another folder with --store",
    errno.EPERM: "let this user write there, or choose another folder with --store",
    errno.EROFS: "the disk is read-only; choose another folder with --store",
    errno.ENOSPC: "the disk is full: free some space or choose another disk",
    errno.EDQUOT: "the disk quota is used up: free some or choose another disk",
    errno.ENOTDIR: "a file stands where a folder should; choose another folder with --store",
    errno.EEXIST: "a file stands where a folder should; choose another folder with --store",
    errno.ENOENT: "nothing can be made there; choose another folder with --store",
}
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""Answers of file systems without hard links; there, who comes first is decided less strictly."""


PARTIAL = ".partial"


class Readable(Protocol):
    """A stream of bytes: a file or the body of an answer."""

    def read(self, size: int, /) -> bytes: ...


def explain_os(error: OSError, *, where: str) -> StoreError:
    """The StoreError for a refusal of the system."""
    place = f" ({error.filename})" if error.filename else ""
    return StoreError(
        f"{os_reason(error)}{place}",
        where=where,
        remedy=REMEDIES.get(error.errno or 0, "check the disk"),
    )


@contextlib.contextmanager
def new_file(path: Path, *, keep_existing: bool = False) -> Iterator[BinaryIO]:
    """A file that appears under `path`, synced to disk, if the block ends without an error.

    With `keep_existing` a file that is there by then stays instead.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep_existing:
            _link(temporary, path)
        else:
            temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def is_partial(file: str) -> bool:
    """Whether `new_file` gives such a name to a file while it is written."""
    return file.startswith(".") and file.endswith(PARTIAL)


def open_source(path: Path) -> BinaryIO:
    """Open a file to be stored; InputError if it cannot be read."""
    try:
        return open_plain(path)
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", where=str(path)) from error


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if not path.exists():
            temporary.replace(path)


def copy_stream(source: Readable, target: BinaryIO) -> Digest:
    """Copy to the end, in blocks of 1 MiB; returns the digest of the bytes."""
    sha = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        sha.update(block)
        target.write(block)
    return Digest(sha.hexdigest())


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder, so that they survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
