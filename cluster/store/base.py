"""The store: named, immutable-by-habit objects with a digest each, in a folder or an S3 service.

    StoreError            the store refused, or cannot be reached
    ├── NotStored         no object of that name
    └── DigestError       bytes came back different from what was put
        └── NoDigest      nothing says what was put: another program did, or copied it

Names are relative posix paths (`frames/ab/abc….arrow`). Nothing depends on locks: the same name
with the same bytes may be put any number of times, by any number of workers at once. Objects
named by their content are put with `if_absent`: a second put, however late, changes nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cluster.errors import DigestError, StoreError, UsageError
from cluster.keys import Digest

PART_BYTES = 180
"""Longest part of a name: file systems allow 255 bytes, a folder store adds up to 70 of its own."""
NAME_BYTES = 800
"""Longest name: S3 allows 1024 bytes with the prefix."""
PROBE_BYTES = b"douga probe"


class NotStored(StoreError):
    """No object of that name is in the store."""


class NotAllowed(StoreError):
    """The key that was given may not do this here."""


class NoDigest(DigestError):
    """An object whose digest is not on record, so that its bytes cannot be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One line of a listing; `modified` is in UTC, `etag` changes with the bytes (S3 only)."""

    name: str
    size_bytes: int
    modified: datetime
    etag: str = ""


class Store(Protocol):
    """The interface of every store; tests/contract/test_store.py holds each to it.

    All raise StoreError, with the remedy, when the store refuses or cannot be reached, and
    NotStored for a name that is not there. Stores may be pickled: the receiving process opens them
    again by `url`, with its own settings, so no key travels.
    """

    @property
    def url(self) -> str:
        """The URL that `open_store` opens this store by; holds no secret."""
        ...

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        """Store bytes whole or not at all; returns the digest of the object now under the name.

        With `if_absent` an object that is already there stays, and the digest is that object's:
        compare it with your own to know who came first. A folder decides this atomically, an S3
        service as atomically as its `If-None-Match`. Where that is not atomic, two puts at the same
        moment may both seem first: rely on it only for bytes that are the same whoever puts them.
        """
        ...

    def put_file(
        self,
        name: str,
        path: Path,
        *,
        if_absent: bool = False,
        told: Callable[[float], None] | None = None,
    ) -> Digest:
        """Store a file's bytes; like `put`, without holding them in memory.

        `told` is for large files whose names tell their content: it hears how much is stored (0 to
        1), and an upload that was broken off, also by another process, goes on where it stopped.
        """
        ...

    def get(self, name: str) -> bytes:
        """The bytes of an object. DigestError if they are not those that were put."""
        ...

    def get_range(self, name: str, *, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`; DigestError if the object ends before.

        The digest of the whole cannot check a part: objects that are read so carry digests of
        their own inside, as a chunk's frames do.
        """
        ...

    def get_file(self, name: str, path: Path, *, foreign: bool = False) -> None:
        """Write an object to `path`, which appears only when complete and checked.

        `foreign` accepts an object without a digest, which another program put there.
        """
        ...

    def has(self, names: Iterable[str]) -> set[str]:
        """Those of the names that are stored."""
        ...

    def size(self, name: str) -> int:
        """Size of an object in bytes."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose names begin with `prefix`, in order of the names' code points."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; harmless when it is not there."""
        ...

    def leftovers(self) -> Iterator[StoredObject]:
        """Unfinished files or uploads of killed writers, perhaps some of writers still at work.
        Their names are not names of objects."""
        ...

    def drop_leftover(self, name: str) -> None:
        """Remove a leftover; harmless when it is not there."""
        ...

    def has_digest(self, name: str) -> bool:
        """Whether the digest of an object is on record. NotStored if it is not there."""
        ...

    def adopt(self, name: str) -> Digest:
        """Put the digest of an object's bytes, as they are now, on record; whoever calls it knows
        that they are right. NotStored if it is not there."""
        ...

    def now(self) -> datetime:
        """The time by the clock that `StoredObject.modified` is told by. Ages are told by it alone:
        this machine's clock may be another one."""
        ...

    def probe(self) -> None:
        """Write, read and delete a small object; a StoreError names the remedy."""
        ...


def check_name(name: str) -> str:
    """The name itself, if it is a relative posix path that stays inside; UsageError otherwise."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or part[0] == "." for part in parts):
        complaint = "parts must not be empty or begin with a dot"
    elif "\\" in name or not name.isprintable():
        complaint = "backslashes and control characters are not allowed"
    elif any(len(part.encode("utf-8", "replace")) > PART_BYTES for part in parts):
        complaint = f"a part may have {PART_BYTES} bytes at the most"
    elif len(name.encode("utf-8", "replace")) > NAME_BYTES:
        complaint = f"a name may have {NAME_BYTES} bytes at the most"
    else:
        return name
    raise UsageError(f"not a name for the store: {name[:200]!r} ({complaint})")


def not_stored(url: str, name: str) -> NotStored:
    """The error for an object that is not there."""
    return NotStored("no such object", where=f"{url}: {name}", remedy="run again to make it")


def damaged(url: str, name: str, *, expected: str, got: Digest) -> DigestError:
    """The error for bytes that differ from those put; `expected` is empty if unknown."""
    if not expected:
        return NoDigest(
            "no digest of it is on record: it was not put by douga, or copied without",
            where=f"{url}: get {name}",
            remedy=f"douga store adopt {shlex.quote(url)}",
        )
    return DigestError(
        f"expected digest {expected}, got {got}: it was damaged",
        where=f"{url}: get {name}",
        remedy=check_remedy(url),
    )


def cut_short(url: str, name: str, *, start: int, length: int, got: int) -> DigestError:
    """The error for an object that ends before the range asked for."""
    return DigestError(
        f"expected {length} bytes from {start}, got {got}: it was cut short",
        where=f"{url}: get {name}",
        remedy=check_remedy(url),
    )


def check_remedy(url: str) -> str:
    """What to type where something in a store is damaged: the one remedy for all of it."""
    return f"douga store check {shlex.quote(url)} --repair"
