"""A store in a folder: plain files, each appearing whole or not at all.

An object is the file `ROOT/name`. Its digest is the empty file `ROOT/.digests/name.<sha256>`, made
before the object appears. Each digest has its own name, so writers of one object never overwrite
each other's, and no crash and no race leaves good bytes without their digest. Digests of replaced
bytes stay until the object is deleted; they do no harm.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cluster.keys import Digest, digest_bytes, digest_file
from cluster.store.base import (
    PROBE_BYTES,
    StoredObject,
    check_name,
    cut_short,
    damaged,
    not_stored,
)
from cluster.store.local_files import (
    copy_stream,
    explain_os,
    is_partial,
    new_file,
    open_source,
    sync_folder,
)

DIGESTS = ".digests"
VANISHING_S = 2.0
"""How long an object may be without a digest (between the two steps of a delete) before a reader
reports it as damaged."""


class FolderStore:
    """See `cluster.store.base.Store`."""

    def __init__(
        self,
        root: Path,
        *,
        vanishing_s: float = VANISHING_S,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.root = root
        self._vanishing_s = vanishing_s
        self._sleep = sleep

    def __reduce__(self) -> tuple[type[FolderStore], tuple[Path]]:
        return (FolderStore, (self.root,))

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        def write(file: BinaryIO) -> Digest:
            file.write(data)
            return digest_bytes(data)

        with self._refusals(f"put {name}"):
            return self._put(name, write, if_absent=if_absent)

    def put_file(
        self,
        name: str,
        path: Path,
        *,
        if_absent: bool = False,
        told: Callable[[float], None] | None = None,
    ) -> Digest:
        with open_source(path) as source, self._refusals(f"put {name}"):
            digest = self._put(name, lambda file: copy_stream(source, file), if_absent=if_absent)
        if told:
            told(1.0)
        return digest

    def get(self, name: str) -> bytes:
        with self._refusals(f"get {name}"), self._open(name) as file:
            data = file.read()
            self._check(name, digest_bytes(data))
        return data

    def get_range(self, name: str, *, start: int, length: int) -> bytes:
        with self._refusals(f"get {name}"), self._open(name) as file:
            file.seek(start)
            data = file.read(length)
        if len(data) != length:
            raise cut_short(self.url, name, start=start, length=length, got=len(data))
        return data

    def get_file(self, name: str, path: Path, *, foreign: bool = False) -> None:
        with (
            self._refusals(f"get {name} to {path}"),
            self._open(name) as file,
            new_file(path) as target,
        ):
            digest = copy_stream(file, target)
            if not (foreign and not self._digests(name)):
                self._check(name, digest)

    def has(self, names: Iterable[str]) -> set[str]:
        with self._refusals("look"):
            return {name for name in names if self._path(name).is_file()}

    def size(self, name: str) -> int:
        with self._refusals(f"look at {name}"):
            if not self._path(name).is_file():
                raise not_stored(self.url, name)
            return self._path(name).stat().st_size

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        with self._refusals("list"):
            yield from self._walk("", prefix)

    def delete(self, name: str) -> None:
        with self._refusals(f"delete {name}"):
            # Digests first: a put at the same time then finds its own gone and makes it again.
            for digest in self._digests(name):
                self._digest_path(name, digest).unlink(missing_ok=True)
            if self._path(name).is_file():
                self._path(name).unlink(missing_ok=True)

    def leftovers(self) -> Iterator[StoredObject]:
        """Files not yet under their final name, and digests of objects that are not there."""
        with self._refusals("list"):
            for folder, _, files in os.walk(self.root):
                for file in files:
                    path = Path(folder) / file
                    name = path.relative_to(self.root).as_posix()
                    if self._is_leftover(name) and (found := _stored(name, path)):
                        yield found

    def drop_leftover(self, name: str) -> None:
        with self._refusals(f"delete {name}"):
            if self._is_leftover(name):
                (self.root / name).unlink(missing_ok=True)

    def has_digest(self, name: str) -> bool:
        with self._refusals(f"look at {name}"):
            if not self._path(name).is_file():
                raise not_stored(self.url, name)
            return bool(self._digests(name))

    def adopt(self, name: str) -> Digest:
        with self._refusals(f"adopt {name}"):
            self._open(name).close()
            digest = digest_file(self._path(name))
            self._mark(name, digest)
        return digest

    def now(self) -> datetime:
        """By the file system's clock, from a file written now; where nothing may be written, and so
        nothing be decided, by this machine's."""
        try:
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(PROBE_BYTES)
                file.flush()
                return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        except OSError:
            return datetime.now(UTC)

    def probe(self) -> None:
        name = f"probe/{secrets.token_hex(8)}"
        self.put(name, PROBE_BYTES)
        try:
            self.get(name)
        finally:
            self.delete(name)

    # -- files ---------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _digest_path(self, name: str, digest: Digest) -> Path:
        return self.root / DIGESTS / f"{check_name(name)}.{digest}"

    def _put(
        self, name: str, write: Callable[[BinaryIO], Digest], *, if_absent: bool = False
    ) -> Digest:
        path = self._path(name)
        if if_absent and path.is_file():
            return digest_file(path)
        with new_file(path, keep_existing=if_absent) as file:
            digest = write(file)
            written = os.fstat(file.fileno())
            self._mark(name, digest)
        self._mark(name, digest)  # a delete may have come between the mark and the file
        is_ours = not if_absent or os.path.samestat(path.stat(), written)
        return digest if is_ours else digest_file(path)

    def _mark(self, name: str, digest: Digest) -> None:
        marker = self._digest_path(name, digest)
        if marker.exists():
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        sync_folder(marker.parent)

    def _is_leftover(self, name: str) -> bool:
        folder, _, file = name.rpartition("/")
        if ".." in folder.split("/"):
            return False
        if name.startswith(f"{DIGESTS}/"):
            return not (self.root / name.removeprefix(f"{DIGESTS}/").rpartition(".")[0]).is_file()
        return is_partial(file)

    def _open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise not_stored(self.url, name) from None

    def _check(self, name: str, digest: Digest) -> None:
        """DigestError unless the digest is on record; NotStored if a delete is at work."""
        until = time.monotonic() + self._vanishing_s
        if not self._digest_path(name, digest).parent.is_dir():
            until = 0.0  # no put and no delete leaves it so
        while not self._digest_path(name, digest).exists():
            if not self._path(name).is_file():
                raise not_stored(self.url, name)
            expected = self._digests(name)
            if expected or time.monotonic() > until:
                raise damaged(self.url, name, expected=" or ".join(expected), got=digest)
            self._sleep(self._vanishing_s / 100)

    def _digests(self, name: str) -> tuple[Digest, ...]:
        head = f"{check_name(name)}.".rpartition("/")[2]
        folder = self._digest_path(name, Digest("x")).parent
        try:
            found = [entry for entry in os.listdir(folder) if entry.startswith(head)]
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(Digest(entry[len(head) :]) for entry in found if len(entry) == len(head) + 64)

    def _walk(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        try:
            entries = [entry for entry in os.scandir(self.root / folder) if entry.name[0] != "."]
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder sorts as its name with the slash, so that full names come in order.
        entries.sort(key=lambda entry: entry.name + "/" if entry.is_dir() else entry.name)
        for entry in entries:
            name = folder + entry.name
            if entry.is_dir():
                inside = f"{name}/"
                if inside.startswith(prefix) or prefix.startswith(inside):
                    yield from self._walk(inside, prefix)
            elif name.startswith(prefix) and (found := _stored(name, Path(entry.path))):
                yield found

    @contextlib.contextmanager
    def _refusals(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise explain_os(error, where=f"{self.url}: {doing}") from error


def _stored(name: str, path: Path) -> StoredObject | None:
    """A file as a line of a listing; None if it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return StoredObject(
        name=name,
        size_bytes=stat.st_size,
        modified=datetime.fromtimestamp(stat.st_mtime, UTC),
    )
