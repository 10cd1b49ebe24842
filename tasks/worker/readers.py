"""Keeps a worker's sources open: one decoder each, used by one thread at a time."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import InputError
from cluster.store.base import NotStored, Store
from tasks.decode import FrameReader, SourceIndex
from tasks.decode.digest import file_digest
from tasks.decode.fetch import local_source
from tasks.decode.planes import Planes
from tasks.worker.item import SourceInput, source_name

MAX_OPEN = 4
"""Decoders kept open per worker; each holds one reference picture buffer."""


def pack_index(index: SourceIndex) -> bytes:
    """What workers need of an index, compressed."""
    return zlib.compress(index.to_json().encode())


def unpack_index(data: bytes) -> SourceIndex:
    """The index that `pack_index` made, or one written plainly. InputError if it is neither."""
    try:
        text = (data if data.startswith(b"{") else zlib.decompress(data)).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"not a source index: {error}", remedy="render again") from error
    return SourceIndex.from_json(text)


class Readers:
    """Open sources by digest; closes the least recently used one when there are too many.
    `cache` is a folder on this machine."""

    def __init__(self, store: Store, cache: Path) -> None:
        self._store = store
        self.cache = cache
        self._lock = threading.Lock()
        self._open: OrderedDict[str, FrameReader] = OrderedDict()

    def decode(
        self, source: SourceInput, indices: Sequence[int]
    ) -> tuple[FrameReader, list[Planes]]:
        """Frames of a source by ascending source frame index, as coded, and the reader that makes
        codes of them, in any thread. InputError if one cannot be decoded."""
        with self._lock:
            reader = self._reader(source)
            return reader, reader.decode(indices)

    def index(self, source: SourceInput) -> SourceIndex:
        """The index of a source, with a path of this machine. InputError if it is not there."""
        with self._lock:
            return self._reader(source).index

    def copies_bytes(self, sources: Iterable[SourceInput]) -> int:
        """Bytes of those sources that this machine must have copies of and has not yet."""
        missing = [
            source_name(source.digest)
            for source in sources
            if "://" not in source.path
            and not Path(source.path).exists()
            and not self._copy(source).exists()
        ]
        return sum(self._store.size(name) for name in self._store.has(missing))

    def _copy(self, source: SourceInput) -> Path:
        return self.cache / "sources" / (source.digest + Path(source.path).suffix)

    def _reader(self, source: SourceInput) -> FrameReader:
        reader = self._open.get(source.digest)
        if reader is None:
            index = unpack_index(self._store.get(source.index_name))
            path = index.path if index.kind == "black" else str(self._locate(source, index))
            reader = FrameReader(
                replace(index, path=path), cache_dir=self.cache, known=source.identity
            )
            self._open[source.digest] = reader
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(source.digest)
        return reader

    def _locate(self, source: SourceInput, index: SourceIndex) -> Path:
        """The source on this machine: its own path, or a copy that the store gives once, and again
        where the copy is another file by now."""
        if "://" in source.path:
            return local_source(source.path, cache=self.cache)
        path = Path(source.path)
        if path.exists():
            return path
        copy = self._copy(source)
        if not copy.exists() or file_digest(copy, cache_dir=self.cache) != index.content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._store.get_file(source_name(source.digest), copy)
            except NotStored as error:
                raise InputError(
                    f"{path} is not on this worker's machine, nor in the store",
                    remedy="put the source on a folder all nodes share, or in s3://",
                ) from error
        return copy
