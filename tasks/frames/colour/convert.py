"""Planes as decoded to frame codes, and frame codes to planes as encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.frames.codes import Frames, code_step
from tasks.frames.colour.layout import Layout, layout_of
from tasks.frames.colour.matrix import samples_from_codes, steps_from_samples
from tasks.frames.colour.siting import downsample, upsample
from tasks.frames.picture import Picture

Planes = tuple[NDArray[np.unsignedinteger], ...]


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
    full = [plane.astype(np.float32) for plane in planes[: len(shapes)]]
    steps: Any
    if layout.kind == "grey":
        steps = full[0] * np.float32(affine[0, 0]) + np.float32(affine[0, 3])
    else:
        full[1:] = [_up(plane, layout, picture) for plane in full[1:]]
        steps = cv2.transform(cv2.merge(full), affine)
    codes = _rounded(steps, largest=65535 // code_step(picture.depth))
    codes *= np.uint16(code_step(picture.depth))
    return np.repeat(codes[..., None], 3, axis=2) if layout.kind == "grey" else codes


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
    codes = frame.astype(np.float32)
    affine = samples_from_codes(layout.kind, picture.matrix, picture.range, picture.depth)
    mapped: Any = cv2.transform(codes, affine)
    full: Any = [mapped] if layout.kind == "grey" else cv2.split(mapped)
    small = [full[0], *(_down(plane, layout, picture) for plane in full[1:])]
    return tuple(_samples(plane, largest) for plane in small)


def _up(plane: NDArray[np.float32], layout: Layout, picture: Picture) -> NDArray[np.float32]:
    if layout.sub_x == layout.sub_y == 1:
        return plane
    return upsample(
        plane,
        shape=(picture.height, picture.width),
        sub=(layout.sub_y, layout.sub_x),
        siting=picture.siting,
    )


def _down(plane: NDArray[np.float32], layout: Layout, picture: Picture) -> NDArray[np.float32]:
    if layout.sub_x == layout.sub_y == 1:
        return plane
    return downsample(plane, sub=(layout.sub_y, layout.sub_x), siting=picture.siting)


def _rounded(values: NDArray[np.float32], *, largest: int) -> NDArray[np.uint16]:
    """Rounded half to even and clipped to 0..largest."""
    whole: Any = cv2.add(values, 0.0, dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return np.minimum(whole, np.uint16(largest), out=whole)  # type: ignore[no-any-return]


def _samples(values: NDArray[np.float32], largest: int) -> NDArray[np.unsignedinteger]:
    whole = _rounded(values, largest=largest)
    return whole.astype(np.uint8) if largest < 256 else whole
