"""Digests of source files, remembered, so that a film is not read through at every start."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.cache import read_cached, write_cached
from cluster.errors import InputError, os_reason
from cluster.keys import Digest, digest_file, make_key
from tasks.decode.heartbeat import heartbeat

SETTLED_NS = 2_000_000_000
"""The coarsest time stamps in use: two seconds, on FAT."""
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file system says of a file: another content gives another one.

    The same on every machine that mounts the file system (its device number is not part of it).
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def tells(self) -> bool:
        """Whether it can be relied on: some file systems keep no times or number files anew."""
        return bool(self.mtime_ns and self.ctime_ns and self.inode)


def identify(path: str | Path) -> Identity:
    """The identity of a file as it is now. OSError if there is none."""
    status = Path(path).stat()
    return Identity(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def file_digest(path: str | Path, *, cache_dir: Path | None) -> Digest:
    """SHA-256 of a file; remembered in `cache_dir` by absolute path and identity.

    The digest of a file that was written less than `SETTLED_NS` ago is not remembered: one more
    write might bear the same time stamp. InputError if the file cannot be read, or changes
    meanwhile.
    """
    heartbeat()
    file = Path(path).absolute()
    try:
        before = identify(file)
        note = cache_dir / "digests" / make_key([str(file), before]) if cache_dir else None
        if note and before.tells and (known := read_cached(note, _parse_digest)):
            return known
        began_ns = time.time_ns()
        digest = digest_file(file)
        if identify(file) != before:
            raise InputError(
                "changed while it was read", where=str(path), remedy="wait until it is written"
            )
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", where=str(path)) from error
    if note and before.tells and began_ns - before.mtime_ns > SETTLED_NS:
        write_cached(note, digest)
    return digest


def _parse_digest(text: str) -> Digest:
    if not _DIGEST.fullmatch(text.strip()):
        raise ValueError("not a digest")
    return Digest(text.strip())
