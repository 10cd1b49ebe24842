"""Chunks, written: frames packed as they come (`cluster.chunks.chunk` says what one holds)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.chunks.chunk import (
    COLUMNS,
    NOT_SAME,
    OWN,
    SAME,
    ChunkInfo,
    Frames,
    Picture,
    head_of,
    row_digest,
)
from cluster.chunks.codec import PackedFrame, pack, pack_planes


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
    writer = ChunkWriter(first=first, codec=codec)
    for frame, time in zip(frames_nhwc, times, strict=True):
        writer.add(frame, time)
    return writer.finish(meta)


class ChunkWriter:
    """Takes the frames `first`, `first + 1`, … one by one, packs each, and keeps what is packed.

    `codec` packs codes; StoreError where there is none of that name.
    """

    def __init__(self, *, first: int, codec: str = "zstd") -> None:
        self._first = first
        self._codec = codec
        self._rows: list[dict[str, Any]] = []
        self._packed: dict[tuple[int, bytes], int] = {}
        self._last: tuple[Picture, PackedFrame] | None = None

    def add(self, picture: Picture, time: Fraction) -> None:
        """The next frame, shown at `time` seconds: (H, W, 3) uint16 codes or planes, as all before.
        One that is equal to another is stored once."""
        index = self._first + len(self._rows)
        if self._last is None or not _equal(self._last[0], picture):
            self._last = (picture, self._pack(picture))
        packed = self._last[1]
        same_as = self._packed.setdefault((packed.shift, packed.data), index)
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
        row["digest"] = row_digest(row, self._info({}))
        self._rows.append(row)

    def finish(self, meta: Mapping[str, str]) -> bytes:
        """The chunk of the frames taken, at least one, with these strings in its head."""
        if any(name.startswith(OWN) for name in meta):
            raise ValueError(f"metadata names must not begin with {OWN!r}")
        schema = pa.schema(COLUMNS, metadata=head_of(self._info(meta)))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            for row in self._rows:
                writer.write_batch(pa.RecordBatch.from_pylist([row], schema=schema))
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _pack(self, picture: Picture) -> PackedFrame:
        if isinstance(picture, tuple):
            return pack_planes(picture, codec=self._codec)
        return pack(picture, codec=self._codec)

    def _info(self, meta: Mapping[str, str]) -> ChunkInfo:
        if self._last is None:
            raise ValueError("a chunk holds at least one frame")
        picture = self._last[0]
        planes = picture if isinstance(picture, tuple) else ()
        height, width = (planes[0] if planes else picture).shape[:2]  # type: ignore[union-attr]
        return ChunkInfo(
            first=self._first,
            count=len(self._rows),
            height=height,
            width=width,
            meta=dict(sorted(meta.items())),
            planes=tuple((plane.shape[0], plane.shape[1]) for plane in planes),
            dtype=str(planes[0].dtype) if planes else "uint16",
        )


def _equal(one: Picture, other: Picture) -> bool:
    if one is other:
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(np.array_equal, one, other))
    return np.array_equal(one, other)
