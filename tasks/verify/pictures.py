"""Pictures made small, to be compared: coding noise and halved chroma average out, a picture out
of place does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.codes import BLACK, WHITE, Frames, to_uint8
from tasks.frames.colour import Planes, layout_of, rgb_from_planes
from tasks.frames.picture import Picture

Small = NDArray[np.uint8]
"""(h, w, 3) 8-bit R'G'B' of `small_size`."""
THUMB = (64, 36)
"""Pictures are compared this small, and 4 times smaller than they are."""
BLACK_MEAN, BLACK_PEAK = 5.0, 15.0
"""A small picture no brighter than this in the mean and anywhere (of 255) is black. A night scene
has lights or edges; video black with its coding noise stays under 3."""
LAST_CODE = 65520
"""Codes of 0, and from here on, were clipped to their room, [-1, 3) in signal: the greatest is a
multiple of 16 for 8 bits. Lawful pictures stay within [-0.6, 1.6]."""
END_SHARE = 1e-3
"""Part of a frame's samples that may lie there: noise in a source's chroma may reach it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDifference:
    """The difference of two small pictures, as a share of full scale: mean and maximum."""

    mean: float
    most: float


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height that a picture is compared at."""
    return min(THUMB[0], -(-width // 4)), min(THUMB[1], -(-height // 4))


def shrink(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture (H, W, …) of any size, made small by averaging; dtype kept."""
    height, width = picture.shape[:2]
    return cv2.resize(picture, small_size(width, height), interpolation=cv2.INTER_AREA)


def small_frame(frame: Frames) -> Small:
    """Codes (H, W, 3), clipped to what a screen shows, made small."""
    return to_uint8(shrink(np.clip(frame, BLACK, WHITE)))


def small_stored(stored: Frames | Planes, delivered: Picture) -> Small:
    """A frame as it is stored, codes or the planes of the delivered picture, made small."""
    return small_planes(stored, delivered) if isinstance(stored, tuple) else small_frame(stored)


def small_planes(planes: Sequence[NDArray[Any]], coded: Picture) -> Small:
    """Planes of a picture as coded, each made small first."""
    layout = layout_of(coded.pix_fmt)
    size = small_size(coded.width, coded.height)
    parts = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in planes]
    suffix = "" if coded.depth == 8 else f"{coded.depth}le"
    full = {"yuv": f"yuv444p{suffix}", "rgb": coded.pix_fmt, "grey": coded.pix_fmt}
    there = replace(coded, width=size[0], height=size[1], pix_fmt=full[layout.kind])
    return to_uint8(rgb_from_planes(parts, there))  # type: ignore[arg-type]  # cv2's own dtype


def turned(small: Small, rotation: int) -> Small:
    """A small picture as it is shown, of one as coded; `rotation` as in `SourceIndex`."""
    return np.rot90(small, rotation // 90)


def difference_of(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> PictureDifference:
    """Compare two pictures (H, W, 3) 8-bit, each of any size; the first says how small."""
    height, width = one.shape[:2]
    size = small_size(width, height)
    left, right = (
        side if side.shape[1::-1] == size else cv2.resize(side, size, interpolation=cv2.INTER_AREA)
        for side in (one, other)
    )
    return apart(left, right)  # type: ignore[arg-type]  # cv2's own dtype


def apart(one: Small, other: Small) -> PictureDifference:
    """Compare two small pictures, of any two sizes, at the size of the first."""
    if other.shape != one.shape:
        size = (one.shape[1], one.shape[0])
        other = cv2.resize(other, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    difference = np.abs(one.astype(np.float32) - other.astype(np.float32)) / 255
    return PictureDifference(
        mean=float(difference.mean()), most=float(difference.mean(axis=2).max())
    )


def is_black(small: Small, *, slack: float = 1.0) -> bool:
    """Whether a small picture shows nothing; `slack` raises the limits."""
    return bool(small.mean() <= BLACK_MEAN * slack and small.max() <= BLACK_PEAK * slack)


def is_nonsense(frame: Frames) -> bool:
    """Whether codes (H, W, 3) lie at the ends of their room, where NaN and overflows end up."""
    if frame.min() > 0 and frame.max() < LAST_CODE:
        return False
    ends = np.count_nonzero(frame == 0) + np.count_nonzero(frame >= LAST_CODE)
    return bool(ends > END_SHARE * frame.size)
