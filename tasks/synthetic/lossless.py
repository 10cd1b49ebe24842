"""Frames kept without loss in one small file: x264 in R'G'B', read back frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.synthetic.raster import Pixels


class LosslessWriter:
    """Writes uint8 (H, W, 3) frames of one size; what is read back is equal."""

    def __init__(self, path: Path, *, size: tuple[int, int], rate: Fraction) -> None:
        self._out = av.open(str(path), "w", format="matroska")
        options = {"qp": "0", "preset": "ultrafast"}
        self._stream: Any = self._out.add_stream("libx264rgb", rate=rate, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "rgb24"
        self._stream.codec_context.gop_size = 48
        self._next = 0

    def __enter__(self) -> LosslessWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self._out.mux(self._stream.encode(None))
        self._out.close()

    def write(self, pixels: Pixels) -> None:
        """The next frame."""
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self._next, 1 / Fraction(self._stream.average_rate)
        self._next += 1
        self._out.mux(self._stream.encode(frame))


def read_frames(path: Path) -> Iterator[Pixels]:
    """Every frame of a file of `LosslessWriter`, in order, (H, W, 3) uint8, bit for bit.

    InputError if it cannot be read.
    """
    try:
        with av.open(str(path)) as source:
            for frame in source.decode(video=0):
                yield _rgb(frame)
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"cannot read truth frames: {error}", where=str(path)) from error


def read_span(path: Path, *, start: int, end: int) -> NDArray[np.uint8]:
    """Frames `[start, end)` of such a file, (N, H, W, 3)."""
    taken = [f for i, f in enumerate(read_frames(path)) if start <= i < end]
    return np.stack(taken)


def _rgb(frame: av.VideoFrame) -> Pixels:
    planes = frame.to_ndarray(format="rgb24")
    return np.asarray(planes, np.uint8)
