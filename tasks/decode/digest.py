"""Digests of source files, remembered, so that a film is not read through at every start."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cluster.errors import InputError
from cluster.keys import Digest, digest_file, make_key
from tasks.decode.heartbeat import heartbeat

_DIGEST_LENGTH = 64


def file_digest(path: str | Path, *, cache_dir: Path | None) -> Digest:
    """SHA-256 of a file; remembered in `cache_dir` by absolute path, size, mtime and inode.

    A file changed within its time stamp's resolution, to the same size, in place, would be missed;
    no editor or encoder does so. InputError if the file cannot be read.
    """
    heartbeat()
    file = Path(path).absolute()
    try:
        if cache_dir is None:
            return digest_file(file)
        note = cache_dir / "digests" / make_key(_identity(file))
        with suppress(OSError):
            known = note.read_text(encoding="ascii").strip()
            if len(known) == _DIGEST_LENGTH:
                return Digest(known)
        before = _identity(file)
        digest = digest_file(file)
        if _identity(file) != before:
            raise InputError(
                "changed while it was read", where=str(path), remedy="wait until it is written"
            )
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    _remember(note, digest)
    return digest


def _identity(file: Path) -> tuple[str, int, int, int]:
    status = file.stat()
    return (str(file), status.st_size, status.st_mtime_ns, status.st_ino)


def _remember(note: Path, digest: Digest) -> None:
    # A cache that cannot be written costs time, nothing else.
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_suffix(f".{os.getpid()}")
        fresh.write_text(digest, encoding="ascii")
        fresh.replace(note)
