"""Chunks: consecutive frames as an Arrow IPC file, one record batch per frame.

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

from cluster.chunks.codec import PackedFrame, pack, unpack_into
from cluster.errors import DigestError, StoreError
from cluster.keys import canonical, digest_bytes
from cluster.store.base import Store

FORMAT = "douga chunk 1"
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
    """A chunk's head: frames `[first, first + count)` of (height, width)."""

    first: int
    count: int
    height: int
    width: int
    meta: dict[str, str]


def encode_chunk(
    frames_nhwc: Frames,
    *,
    first: int,
    times: Sequence[Fraction],
    meta: Mapping[str, str],
    codec: str = "zstd",
) -> bytes:
    """Frames `first`, `first + 1`, … and their times as one chunk, losslessly.

    Frames are (N, H, W, 3) uint16 with N ≥ 1. Equal frames are stored once. ValueError for other
    shapes; StoreError for an unknown codec.
    """
    if frames_nhwc.dtype != np.uint16 or frames_nhwc.ndim != 4 or frames_nhwc.shape[3] != 3:
        got = f"{frames_nhwc.shape} {frames_nhwc.dtype}"
        raise ValueError(f"a chunk takes frames (N, H, W, 3) uint16, got {got}")
    if not 0 < len(frames_nhwc) == len(times):
        raise ValueError(f"a chunk takes one time per frame: {len(frames_nhwc)} and {len(times)}")
    if any(name.startswith(OWN) for name in meta):
        raise ValueError(f"metadata names must not begin with {OWN!r}")
    _, height, width, _ = frames_nhwc.shape
    info = ChunkInfo(
        first=first, count=len(times), height=height, width=width, meta=dict(sorted(meta.items()))
    )
    schema = pa.schema(COLUMNS, metadata=_head(info))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        packed_frames: dict[tuple[int, bytes], int] = {}
        for offset, time in enumerate(times):
            index = first + offset
            if offset == 0 or not np.array_equal(frames_nhwc[offset], frames_nhwc[offset - 1]):
                packed = pack(frames_nhwc[offset], codec=codec)
            same_as = packed_frames.setdefault((packed.shift, packed.data), index)
            repeats = same_as != index
            row = {
                "index": index,
                "pts_num": time.numerator,
                "pts_den": time.denominator,
                "codec": SAME if repeats else packed.codec,
                "shift": 0 if repeats else packed.shift,
                "same_as": same_as if repeats else NOT_SAME,
                "data": b"" if repeats else packed.data,
            }
            row["digest"] = _row_digest(row, info)
            writer.write_batch(pa.RecordBatch.from_pylist([row], schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_chunk(data: bytes | memoryview, indices: Sequence[int] | None = None) -> Chunk:
    """The frames `indices` (of the shot; default: all) of a chunk, in the order asked for.

    DigestError names the frame whose bytes are damaged; StoreError a frame that is not there.
    """
    return _read(pa.BufferReader(pa.py_buffer(data)), indices)


def iter_frames(data: bytes | memoryview) -> Iterator[tuple[int, Fraction, Frame]]:
    """Every frame of a chunk in order: its index in the shot, its time, (H, W, 3) uint16.

    One frame is unpacked at a time; one that repeats the frame before it is the same array. Errors
    as of `decode_chunk`.
    """
    reader = _open(pa.BufferReader(pa.py_buffer(data)))
    info = _info(reader)
    unpacked_at, frame = NOT_SAME, np.empty(0, np.uint16)
    for index in range(info.first, info.first + info.count):
        row = _row(reader, info, index)
        packed_at = index if row["same_as"] == NOT_SAME else row["same_as"]
        time = Fraction(row["pts_num"], row["pts_den"])
        if packed_at != unpacked_at:
            if packed_at != index:
                row = _row(reader, info, packed_at)
            frame = np.empty((info.height, info.width, 3), np.uint16)
            _unpack(row, frame, index)
            unpacked_at = packed_at
        yield index, time, frame


def chunk_info(data: bytes | memoryview) -> ChunkInfo:
    """The head of a chunk. DigestError if it is damaged."""
    return _info(_open(pa.BufferReader(pa.py_buffer(data))))


def read_frames(store: Store, name: str, indices: Sequence[int] | None = None) -> Frames:
    """Frames `indices` (default: all) of a stored chunk, (N, H, W, 3), in the order asked for.

    A few frames of a large chunk are read by range. Where one of them comes back damaged, or more
    are wanted, the whole chunk is read and checked. Errors as of `decode_chunk`.
    """
    try:
        if indices is not None and len(indices) <= FEW_FRAMES:
            size = store.size(name)
            if size > WHOLE_BYTES:
                with contextlib.suppress(DigestError):
                    source = pa.PythonFile(_Ranges(store, name, size), mode="r")
                    return _read(source, indices).frames_nhwc
        return decode_chunk(store.get(name), indices).frames_nhwc
    except StoreError as error:
        if error.where.startswith(store.url):
            raise
        raise error.at(f"{store.url}: {name}") from error


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


def _read(source: Any, indices: Sequence[int] | None) -> Chunk:
    reader = _open(source)
    info = _info(reader)
    last = info.first + info.count
    wanted = tuple(range(info.first, last) if indices is None else indices)
    frames = np.empty((len(wanted), info.height, info.width, 3), np.uint16)
    times, unpacked = [], dict[int, int]()
    for place, index in enumerate(wanted):
        if not info.first <= index < last:
            raise StoreError(f"expected a frame of [{info.first}, {last}), asked for {index}")
        row = _row(reader, info, index)
        times.append(Fraction(row["pts_num"], row["pts_den"]))
        packed_at = index if row["same_as"] == NOT_SAME else row["same_as"]
        if packed_at in unpacked:
            frames[place] = frames[unpacked[packed_at]]
            continue
        if packed_at != index:
            row = _row(reader, info, packed_at)
        _unpack(row, frames[place], index)
        unpacked[packed_at] = place
    return Chunk(frames_nhwc=frames, indices=wanted, times=tuple(times), meta=info.meta)


def _unpack(row: Mapping[str, Any], frame: Frame, index: int) -> None:
    packed = PackedFrame(codec=row["codec"], shift=row["shift"], data=row["data"])
    try:
        unpack_into(frame, packed)
    except (zstandard.ZstdError, ValueError) as error:
        raise StoreError(f"frame {index} cannot be unpacked ({error})") from error


def _open(source: Any) -> Any:
    try:
        return pa.ipc.open_file(source)
    except (pa.ArrowException, OSError) as error:
        raise DigestError("not a readable chunk (its footer is damaged)", remedy=REMEDY) from error


def _head(info: ChunkInfo) -> dict[str, str]:
    own = {
        f"{OWN}format": FORMAT,
        f"{OWN}first": str(info.first),
        f"{OWN}count": str(info.count),
        f"{OWN}shape": f"{info.height},{info.width},3",
        f"{OWN}dtype": "uint16",
    }
    return {**own, f"{OWN}digest": digest_bytes(canonical([own, info.meta]).encode()), **info.meta}


def _info(reader: Any) -> ChunkInfo:
    raw = reader.schema.metadata or {}
    try:
        head = {name.decode(): value.decode() for name, value in raw.items()}
        height, width, _ = (int(part) for part in head[f"{OWN}shape"].split(","))
        info = ChunkInfo(
            first=int(head[f"{OWN}first"]),
            count=int(head[f"{OWN}count"]),
            height=height,
            width=width,
            meta={name: value for name, value in head.items() if not name.startswith(OWN)},
        )
    except (KeyError, ValueError) as error:
        raise DigestError("not a readable chunk (its head is damaged)", remedy=REMEDY) from error
    if _head(info) != head or reader.num_record_batches != info.count:
        raise DigestError("the chunk's head is damaged", remedy=REMEDY)
    return info


def _row(reader: Any, info: ChunkInfo, index: int) -> dict[str, Any]:
    try:
        batch = reader.get_batch(index - info.first)
        batch.validate(full=True)  # damaged offsets would be followed out of the buffer
        (row,) = batch.to_pylist()
        intact = row["index"] == index and row["digest"] == _row_digest(row, info)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _damaged(index) from error
    if not intact:
        raise _damaged(index)
    return row  # type: ignore[no-any-return]


def _row_digest(row: Mapping[str, Any], info: ChunkInfo) -> str:
    known = [row[field.name] for field in COLUMNS if field.name not in ("data", "digest")]
    sha = hashlib.sha256(canonical([*known, info.height, info.width]).encode())
    sha.update(row["data"])
    return sha.hexdigest()


def _damaged(index: int) -> DigestError:
    return DigestError(f"frame {index} came back different from what was put", remedy=REMEDY)
