"""Chunks, read: consecutive frames as an Arrow IPC file, one record batch per frame.

A frame is R'G'B' codes, or the planes that a delivery takes; all frames of a chunk are of one kind.

Columns of a row: `index` (of the frame in its shot), `pts_num`/`pts_den` (its time in seconds, an
exact rational), `codec` and `shift` (see `cluster.chunks.codec`), `same_as` (index of an earlier
frame of this chunk that it equals; its `data` is then empty and `codec` is "same"), `data`,
`digest` (over the whole row and the frame's shape). The schema's metadata holds the shape and
whatever strings the writer adds. One frame is one range read after the footer; any Arrow reader
finds its way. The same frames, times and strings always give the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard
from numpy.typing import NDArray

from cluster.chunks.codec import PackedFrame, Planes, unpack_into, unpack_planes
from cluster.errors import DigestError, StoreError
from cluster.keys import canonical, digest_bytes
from cluster.store.base import Store

FORMAT = "douga chunk 1"
"""Of codes."""
PLANES_FORMAT = "douga chunk 2"
"""Of planes."""
OWN = "chunk."
"""Prefix of the format's own metadata names."""
SAME = "same"
NOT_SAME = -1
TAIL_BYTES = 64 << 10
"""Read at the end of a chunk to find its footer; 24 frames' footer has under 4 KiB."""
WHOLE_BYTES = 1 << 20
"""Chunks up to this size are read whole: one request costs more than the bytes."""
FEW_FRAMES = 4
"""Up to this many frames (a halo, a retake) are read by range, one request each."""

Frames = NDArray[np.uint16]
"""(N, H, W, 3) uint16."""
Frame = NDArray[np.uint16]
"""(H, W, 3) uint16."""
Picture = Frame | Planes
"""A frame as it is stored: codes, or planes (rows, columns)."""

REMEDY = "douga store check --repair"

COLUMNS = [
    pa.field("index", pa.int64(), nullable=False),
    pa.field("pts_num", pa.int64(), nullable=False),
    pa.field("pts_den", pa.int64(), nullable=False),
    pa.field("codec", pa.string(), nullable=False),
    pa.field("shift", pa.uint8(), nullable=False),
    pa.field("same_as", pa.int64(), nullable=False),
    pa.field("data", pa.binary(), nullable=False),
    pa.field("digest", pa.string(), nullable=False),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Frames read from a chunk: `frames_nhwc[j]` is frame `indices[j]`, shown at `times[j]` s."""

    frames_nhwc: Frames
    indices: tuple[int, ...]
    times: tuple[Fraction, ...]
    meta: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkInfo:
    """A chunk's head: frames `[first, first + count)` of (height, width).

    `planes` are the (rows, columns) of each plane, of `dtype`; none in a chunk of codes.
    """

    first: int
    count: int
    height: int
    width: int
    meta: dict[str, str]
    planes: tuple[tuple[int, int], ...] = ()
    dtype: str = "uint16"


def decode_chunk(data: bytes | memoryview, indices: Sequence[int] | None = None) -> Chunk:
    """The frames `indices` (of the shot; default: all) of a chunk, in the order asked for.

    DigestError names the frame whose bytes are damaged; StoreError a frame that is not there, or a
    chunk of planes.
    """
    info, pictures = _read(data, indices)
    wanted = tuple(range(info.first, info.first + info.count) if indices is None else indices)
    _check_codes(info)
    frames, times = np.empty((len(wanted), info.height, info.width, 3), np.uint16), []
    for place, (_, time, frame) in enumerate(pictures):
        frames[place] = frame
        times.append(time)
    return Chunk(frames_nhwc=frames, indices=wanted, times=tuple(times), meta=info.meta)


def iter_frames(data: bytes | memoryview) -> Iterator[tuple[int, Fraction, Picture]]:
    """Every frame of a chunk in order: its index in the shot, its time, and (H, W, 3) uint16 codes
    or planes.

    One frame is unpacked at a time; one that repeats the frame before it is the same object. Errors
    as of `decode_chunk`.
    """
    yield from _read(data, None)[1]


def chunk_info(data: bytes | memoryview) -> ChunkInfo:
    """The head of a chunk. DigestError if it is damaged."""
    return _info(_open(pa.BufferReader(pa.py_buffer(data))))


def read_frames(store: Store, name: str, indices: Sequence[int] | None = None) -> Frames:
    """Frames `indices` (default: all) of a stored chunk of codes, (N, H, W, 3), in the order asked
    for. Read and errors as of `StoredChunk`."""
    chunk = StoredChunk(store, name, indices)
    frames = np.empty((len(chunk.wanted), chunk.info.height, chunk.info.width, 3), np.uint16)
    for place, index in enumerate(chunk.wanted):
        frames[place] = chunk.codes(index)
    return frames


class StoredChunk:
    """Frames of a stored chunk, each unpacked when it is asked for.

    `wanted` are those that may be asked for, all if none are given: a few of a large chunk are read
    by range, one request each; where one comes back damaged, or more are wanted, the whole chunk is
    read and checked. Errors as of `decode_chunk`.
    """

    def __init__(self, store: Store, name: str, wanted: Sequence[int] | None = None) -> None:
        self._store, self._name = store, name
        self._last: tuple[int, Picture] | None = None
        self._by_range = False
        with self._named():
            if wanted is not None and len(wanted) <= FEW_FRAMES:
                size = store.size(name)
                self._by_range = size > WHOLE_BYTES
            if self._by_range:
                try:
                    self._reader = _open(pa.PythonFile(_Ranges(store, name, size), mode="r"))
                    self.info = _info(self._reader)
                except DigestError:
                    self._read_whole()
            else:
                self._read_whole()
        first = self.info.first
        self.wanted = range(first, first + self.info.count) if wanted is None else wanted

    def picture(self, index: int) -> Picture:
        """A frame by its index in the shot; one that repeats the last one is the same object."""
        with self._named():
            try:
                return self._picture(index)
            except DigestError:
                if not self._by_range:
                    raise
                self._read_whole()
                return self._picture(index)

    def codes(self, index: int) -> Frame:
        """A frame of a chunk of codes, (H, W, 3) uint16. StoreError where it is one of planes."""
        with self._named():
            _check_codes(self.info)
        return self.picture(index)  # type: ignore[return-value]  # of codes

    def _picture(self, index: int) -> Picture:
        _, self._last = _unpacked(self._reader, self.info, index, self._last)
        return self._last[1]

    def _read_whole(self) -> None:
        self._by_range = False
        self._reader = _open(pa.BufferReader(pa.py_buffer(self._store.get(self._name))))
        self.info = _info(self._reader)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            if error.where.startswith(self._store.url):
                raise
            raise error.at(f"{self._store.url}: {self._name}") from error


class _Ranges(io.RawIOBase):
    """A stored object as a file for pyarrow: keeps the tail, reads the rest one request a read."""

    def __init__(self, store: Store, name: str, size: int) -> None:
        self._store, self._name, self._size, self._at = store, name, size, 0
        self._tail_start = max(0, size - TAIL_BYTES)
        self._tail = store.get_range(name, start=self._tail_start, length=size - self._tail_start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        start, rest = self._at, max(0, self._size - self._at)
        length = rest if size is None or size < 0 else min(size, rest)
        self._at += length
        if start >= self._tail_start:
            offset = start - self._tail_start
            return self._tail[offset : offset + length]
        return self._store.get_range(self._name, start=start, length=length)


def _read(
    data: bytes | memoryview, indices: Sequence[int] | None
) -> tuple[ChunkInfo, Iterator[tuple[int, Fraction, Picture]]]:
    reader = _open(pa.BufferReader(pa.py_buffer(data)))
    info = _info(reader)
    wanted = range(info.first, info.first + info.count) if indices is None else indices
    return info, _pictures(reader, info, wanted)


def _check_codes(info: ChunkInfo) -> None:
    if info.planes:
        raise StoreError("expected a chunk of codes, got one of planes")


def _pictures(
    reader: Any, info: ChunkInfo, wanted: Sequence[int]
) -> Iterator[tuple[int, Fraction, Picture]]:
    last: tuple[int, Picture] | None = None
    for index in wanted:
        time, last = _unpacked(reader, info, index, last)
        yield index, time, last[1]


def _unpacked(
    reader: Any, info: ChunkInfo, index: int, last: tuple[int, Picture] | None
) -> tuple[Fraction, tuple[int, Picture]]:
    """A frame's time, and the frame with the index that it is packed at: `last` if it is that."""
    end = info.first + info.count
    if not info.first <= index < end:
        raise StoreError(f"expected a frame of [{info.first}, {end}), asked for {index}")
    row = _row(reader, info, index)
    time = Fraction(row["pts_num"], row["pts_den"])
    packed_at = index if row["same_as"] == NOT_SAME else row["same_as"]
    if last is None or last[0] != packed_at:
        if packed_at != index:
            row = _row(reader, info, packed_at)
        last = (packed_at, _unpack(row, info, index))
    return time, last


def _unpack(row: Mapping[str, Any], info: ChunkInfo, index: int) -> Picture:
    packed = PackedFrame(codec=row["codec"], shift=row["shift"], data=row["data"])
    try:
        if info.planes:
            return unpack_planes(packed, info.planes, np.dtype(info.dtype))
        frame = np.empty((info.height, info.width, 3), np.uint16)
        unpack_into(frame, packed)
        return frame
    except (zstandard.ZstdError, ValueError) as error:
        raise StoreError(f"frame {index} cannot be unpacked ({error})") from error


def _open(source: Any) -> Any:
    try:
        return pa.ipc.open_file(source)
    except (pa.ArrowException, OSError) as error:
        raise DigestError("not a readable chunk (its footer is damaged)", remedy=REMEDY) from error


def head_of(info: ChunkInfo) -> dict[str, str]:
    """What a chunk's head says, its own digest included."""
    shapes = info.planes or ((info.height, info.width, 3),)
    own = {
        f"{OWN}format": PLANES_FORMAT if info.planes else FORMAT,
        f"{OWN}first": str(info.first),
        f"{OWN}count": str(info.count),
        f"{OWN}shape": ";".join(",".join(map(str, shape)) for shape in shapes),
        f"{OWN}dtype": info.dtype,
    }
    return {**own, f"{OWN}digest": digest_bytes(canonical([own, info.meta]).encode()), **info.meta}


def _info(reader: Any) -> ChunkInfo:
    raw = reader.schema.metadata or {}
    try:
        head = {name.decode(): value.decode() for name, value in raw.items()}
        shapes = [
            tuple(int(side) for side in shape.split(","))
            for shape in head[f"{OWN}shape"].split(";")
        ]
        of_planes = head[f"{OWN}format"] == PLANES_FORMAT
        info = ChunkInfo(
            first=int(head[f"{OWN}first"]),
            count=int(head[f"{OWN}count"]),
            height=shapes[0][0],
            width=shapes[0][1],
            meta={name: value for name, value in head.items() if not name.startswith(OWN)},
            planes=tuple((rows, columns) for rows, columns in shapes) if of_planes else (),
            dtype=head[f"{OWN}dtype"],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise DigestError("not a readable chunk (its head is damaged)", remedy=REMEDY) from error
    if head_of(info) != head or reader.num_record_batches != info.count:
        raise DigestError("the chunk's head is damaged", remedy=REMEDY)
    return info


def _row(reader: Any, info: ChunkInfo, index: int) -> dict[str, Any]:
    try:
        batch = reader.get_batch(index - info.first)
        batch.validate(full=True)  # damaged offsets would be followed out of the buffer
        (row,) = batch.to_pylist()
        intact = row["index"] == index and row["digest"] == row_digest(row, info)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _damaged(index) from error
    if not intact:
        raise _damaged(index)
    return row  # type: ignore[no-any-return]


def row_digest(row: Mapping[str, Any], info: ChunkInfo) -> str:
    """Of a whole row and the shape of its frame."""
    known = [row[field.name] for field in COLUMNS if field.name not in ("data", "digest")]
    shape = [info.planes, info.dtype] if info.planes else [info.height, info.width]
    sha = hashlib.sha256(canonical([*known, *shape]).encode())
    sha.update(row["data"])
    return sha.hexdigest()


def _damaged(index: int) -> DigestError:
    return DigestError(f"frame {index} came back different from what was put", remedy=REMEDY)
