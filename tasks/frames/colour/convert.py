"""Planes as decoded to frame codes, and frame codes to planes as encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.frames.codes import Frames, code_step
from tasks.frames.colour.layout import layout_of
from tasks.frames.colour.matrix import samples_from_codes, steps_from_samples
from tasks.frames.colour.siting import gather_across, rows_of, solve, widen
from tasks.frames.picture import Picture

Planes = tuple[NDArray[np.unsignedinteger], ...]

BAND_ROWS = 16
"""Rows converted at a time, that a band stays in the cache: a multiple of every subsampling."""
TAIL_PIXELS = 64
"""More than cv2 computes at a time."""


def rgb_from_planes(planes: Sequence[NDArray[np.unsignedinteger]], picture: Picture) -> Frames:
    """One frame's planes as (H, W, 3) uint16 R'G'B' codes of `tasks/frames/codes.py`.

    planes: Y', Cb, Cr; or Y' alone (grey); or R', G', B' in that order for an RGB `pix_fmt`; uint8
    or uint16 in `picture.depth` bits, an alpha plane after them is not looked at. Chroma is
    interpolated linearly from where `picture.siting` puts it. Nothing is clipped but to the
    codes' own [-1, 3). Codes are multiples of `code_step(picture.depth)`. InputError when the
    planes do not fit the picture. Source: ITU-T H.273.
    """
    layout = layout_of(picture.pix_fmt)
    shapes = layout.plane_shapes(width=picture.width, height=picture.height)
    came = tuple(plane.shape for plane in planes[: len(shapes)])
    if came != shapes:
        raise InputError(f"expected {picture.pix_fmt} planes of {shapes}, got {came}")
    affine = steps_from_samples(layout.kind, picture.matrix, picture.range, picture.depth)
    step = code_step(picture.depth)
    codes = np.empty((picture.height, picture.width, 3), np.uint16)
    if layout.kind == "grey":
        grey = planes[0].astype(np.float32) * np.float32(affine[0, 0]) + np.float32(affine[0, 3])
        codes[...] = _rounded(grey, largest=65535 // step)[..., None]
        codes *= np.uint16(step)
        return codes
    sub_y, sub_x = layout.sub_y, layout.sub_x
    wide = [
        widen(plane.astype(np.float32), width=picture.width, factor=sub_x, siting=picture.siting)
        for plane in planes[1:3]
    ]
    for rows, more in _bands(picture):
        full = [planes[0][more].astype(np.float32)]
        full += [rows_of(plane, more, factor=sub_y, siting=picture.siting) for plane in wide]
        steps: Any = cv2.transform(cv2.merge(full), affine)
        steps = steps[: rows.stop - rows.start]
        whole = _rounded(steps, largest=65535 // step)
        np.multiply(whole, np.uint16(step), out=codes[rows])
    return codes


def planes_from_rgb(frame: Frames, picture: Picture) -> Planes:
    """One frame's (H, W, 3) codes as planes of the picture, in the order `rgb_from_planes` takes.

    uint8 up to 8 bits, else uint16; C-contiguous. Chroma goes down by the least-squares inverse of
    the way up (`tasks/frames/colour/siting.py`). Values are rounded and clipped to 0..2^depth - 1
    alone: blacker than black and whiter than white stay. A grey picture gets the luma of `matrix`
    (bt709's where that is "rgb"). InputError when the frame does not fit the picture.
    """
    layout = layout_of(picture.pix_fmt)
    if frame.shape != (picture.height, picture.width, 3) or frame.dtype != np.uint16:
        raise InputError(
            f"expected a frame of ({picture.height}, {picture.width}, 3) uint16, "
            f"got {frame.shape} {frame.dtype}"
        )
    largest = 2**picture.depth - 1
    affine = samples_from_codes(layout.kind, picture.matrix, picture.range, picture.depth)
    sample = np.uint8 if largest < 256 else np.uint16
    shapes = layout.plane_shapes(width=picture.width, height=picture.height)
    sub = (layout.sub_y, layout.sub_x)
    halved = sub != (1, 1)
    planes = tuple(np.empty(shape, sample) for shape in shapes)
    across = shapes[-1][1]
    narrow = np.empty((picture.height, 2 * across if halved else 0), np.float32)
    for rows, more in _bands(picture):
        mapped: Any = cv2.transform(frame[more].astype(np.float32), affine)
        mapped = mapped[: rows.stop - rows.start]
        full: Any = [mapped] if layout.kind == "grey" else cv2.split(mapped)
        for plane, part in zip(planes, full[: 1 if halved else 3], strict=False):
            plane[rows] = _rounded(part, largest=largest)
        if halved:
            parts = [gather_across(part, factor=sub[1], siting=picture.siting) for part in full[1:]]
            narrow[rows, :across], narrow[rows, across:] = parts
    if halved:
        chroma = solve(narrow, width=picture.width, sub=sub, siting=picture.siting)
        for plane, small in zip(planes[1:], chroma, strict=True):
            plane[...] = _rounded(small, largest=largest)
    return planes


def _bands(picture: Picture) -> Iterator[tuple[slice, slice]]:
    """The rows of a picture in bands that stay in the cache, each also with some rows more.

    cv2.transform computes the last pixels of what it is given otherwise, to the last bit: those are
    to be the last ones of the picture alone, however it is cut.
    """
    more = -(-TAIL_PIXELS // picture.width)
    for start in range(0, picture.height, BAND_ROWS):
        stop = min(start + BAND_ROWS, picture.height)
        yield slice(start, stop), slice(start, min(stop + more, picture.height))


def _rounded(values: NDArray[np.float32], *, largest: int) -> NDArray[np.uint16]:
    """Rounded half to even and clipped to 0..largest."""
    whole: Any = cv2.add(values, 0.0, dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return np.minimum(whole, np.uint16(largest), out=whole)  # type: ignore[no-any-return]
