"""Finds repeated drawings: which frames of a source show the same one, noise aside."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MOVED = 99.0
"""A motion beyond doubt, whatever the noise."""

_CELL = 4
_TILES = (20, 11)
"""Columns and rows of tiles in which a common shift is looked for, whatever the size."""
# In 8-bit codes over an 8x8 block of smoothed luma. On the sample at 360p, held pairs measure up to
# 2.0 at crf 18, 3.1 at 23, 4.7 at 28, 2.8 with grain of 3 codes; a blink or a mouth 7 and more.
_LEAST, _MOST = 2.2, 5.0
_GRAIN = 2.2
"""Grain reaches at most this many times what nine tenths of the picture stay below."""
_LEVEL = 0.6
"""Change of a tile's mean, in 8-bit codes: light changes, not noise, which stays below .35."""
_SHIFT, _EXPLAINED, _TOGETHER = 0.04, 0.4, 5
"""Tiles that a shift of so many pixels explains to this part: noise makes 2 of them at
the same time (H.264 to crf 28, grain), seldom 4 (VP9), sub-pixel movement of hair 5 and more."""


class HoldDetector:
    """Takes full-size planes frame by frame, in order, and keeps one number of each.

    It may begin within a film, after a frame given to `begin_after`. Since when the drawing there
    is held is not known then: frames before the first that differs from the one before it are
    `unknown`, and have no number. `is_new` says whether the last frame added is such a one.
    """

    def __init__(self) -> None:
        self.unknown = 0
        self.is_new = False
        self._motion: list[float] = []
        self._last: list[_Plane] = []
        self._first: list[_Plane] = []
        self._knows = True

    @property
    def knows(self) -> bool:
        """Whether the drawing of the last frame is known."""
        return self._knows

    def begin_after(self, *planes: NDArray[np.unsignedinteger], depth: int = 8) -> None:
        """Begins after this frame."""
        self._last = [_Plane(plane, depth=depth) for plane in planes]
        self._knows = False

    def add(self, *planes: NDArray[np.unsignedinteger], depth: int = 8) -> None:
        """Adds the next frame: its luma (H, W) and, where wanted, chroma planes of any size."""
        seen = [_Plane(plane, depth=depth) for plane in planes]
        if not self._last:
            self._last = self._first = seen
        moved = _moved(self._last, seen)
        self.is_new = moved >= _LEAST
        self._knows = self._knows or self.is_new
        if self._knows:
            if not self.is_new and self._first is not self._last:
                # What creeps is told by the first frame of the drawing, not by the last.
                moved = max(moved, _moved(self._first, seen))
            if moved >= _LEAST:
                self._first = seen
            self._motion.append(moved)
        else:
            self.unknown += 1
        self._last = seen

    def motion(self) -> tuple[float, ...]:
        """How far each frame differs from the one before and from the drawing's first, about in
        8-bit codes over an 8x8 block; 0 for the film's first frame, `MOVED` where light or camera
        move. Begins after the `unknown` ones."""
        return tuple(round(moved, 3) for moved in self._motion)


def motion_limit(motion: Sequence[float]) -> float:
    """The motion from which on a frame of this source is a new drawing, from its own noise.

    1.3 times what 90 % of the nearly still frames stay below, between 2.2 and 5 8-bit
    codes: a clean source shows smaller movements than a coarsely compressed one. For want of a
    doubt a frame is taken to move.
    """
    still = [moved for moved in motion if 0 < moved < _MOST]
    return float(np.clip(1.3 * np.quantile(still, 0.9), _LEAST, _MOST)) if still else _LEAST


def find_drawings(motion: Sequence[float], *, limit: float) -> tuple[int, ...]:
    """For each frame of a shot the first frame that shows the same drawing. Pure.

    `motion` is the shot's part of `HoldDetector.motion`; its first number is not looked at.
    """
    drawings: list[int] = []
    for frame, moved in enumerate(motion):
        drawings.append(frame if frame == 0 or moved >= limit else drawings[-1])
    return tuple(drawings)


class _Plane:
    """A plane prepared for comparison: smoothed against grain, and at half size."""

    def __init__(self, plane: NDArray[np.unsignedinteger], *, depth: int) -> None:
        self.scale = np.float32(255 / ((1 << depth) - 1))
        self.smooth = cv2.blur(np.asarray(plane), (3, 3))
        size = (max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2))
        half = cv2.resize(np.asarray(plane), size, interpolation=cv2.INTER_AREA)
        self.half = np.asarray(half, np.float32) * self.scale


def _moved(before: Sequence[_Plane], after: Sequence[_Plane]) -> float:
    """The largest difference of any block of any plane; `MOVED` where light or camera move."""
    peak = max(_peak(a, b) for a, b in zip(before, after, strict=True))
    if 0 < peak < _MOST and _is_shifted(before[0], after[0]):
        return MOVED
    return min(peak, MOVED)


def _peak(before: _Plane, after: _Plane) -> float:
    """The largest mean difference of an 8x8 block (every 4 pixels one), grain discounted."""
    apart = cv2.absdiff(before.smooth, after.smooth).astype(np.float32)
    if not apart.any():
        return 0.0
    size = (max(1, apart.shape[1] // _CELL), max(1, apart.shape[0] // _CELL))
    cells = cv2.resize(apart, size, interpolation=cv2.INTER_AREA) * before.scale
    blocks = cv2.blur(cells, (2, 2))
    peak, usual = float(blocks.max()), float(np.quantile(blocks, 0.9))
    return peak * min(1.0, _LEAST / max(_LEAST, _GRAIN * usual)) if peak < 2 * _MOST else peak


def _is_shifted(before: _Plane, after: _Plane) -> bool:
    """Whether light, or some part of the picture, moves by less than single blocks show.

    Per tile a least-squares shift (Lucas and Kanade 1981): noise has none that many tiles share.
    """
    apart, middle = after.half - before.half, (after.half + before.half) / 2
    if not apart.any():
        return False
    slope_x = cv2.Sobel(middle, -1, 1, 0, scale=1 / 8)
    slope_y = cv2.Sobel(middle, -1, 0, 1, scale=1 / 8)
    products = (
        apart * apart,
        slope_x * slope_x,
        slope_y * slope_y,
        slope_x * slope_y,
        slope_x * apart,
        slope_y * apart,
    )
    power, xx, yy, xy, x, y = (
        cv2.resize(product, _TILES, interpolation=cv2.INTER_AREA) for product in products
    )
    area = xx * yy - xy * xy + 1e-3 * (xx + yy) + 1e-4
    right, down = (x * yy - y * xy) / area, (y * xx - x * xy) / area
    explained = (right * x + down * y) / (power + 0.02)
    shifted = (xx + yy > 0.5) & (explained > _EXPLAINED) & (np.hypot(right, down) > _SHIFT / 2)
    level = cv2.resize(apart, (_TILES[0] // 2, _TILES[1] // 2), interpolation=cv2.INTER_AREA)
    return int(shifted.sum()) >= _TOGETHER or float(np.abs(level).max()) > _LEVEL
