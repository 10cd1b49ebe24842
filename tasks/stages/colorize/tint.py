"""Colours grey frames from a coloured reference along flow; luma stays untouched."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import (
    Floats,
    Flow,
    disagreement,
    flow_by_size,
    unmoved,
    warp,
)
from tasks.frames.picture import Matrix

LUMA: dict[Matrix, tuple[float, float, float]] = {
    "bt709": (0.2126, 0.7152, 0.0722),
    "rgb": (0.2126, 0.7152, 0.0722),
    "bt601": (0.299, 0.587, 0.114),
    "bt2020nc": (0.2627, 0.6780, 0.0593),
    "smpte240m": (0.212, 0.701, 0.087),
    "fcc": (0.30, 0.59, 0.11),
}
"""Weights of R', G', B' in luma (ITU-T H.273, MatrixCoefficients)."""

_CELL = 24
_TONES = 16
"""The guess for what flow cannot reach is looked up by place (cells of so many pixels) and tone."""
_ALIKE = 0.06
"""Difference of luma (of 1) at which a carried colour is down to a third of its trust."""
_SLIP = 3.0


@dataclass(frozen=True, slots=True)
class Tinted:
    """A grey frame and where in the reference its pixels come from.

    `luma` (H, W) of this frame, `origin` (H, W, 2) pixel positions x, y in the reference, `trust`
    (H, W) 0 to 1; `reference_luma` (H, W) and `chroma` (H, W, 3: R'G'B' minus luma) of the
    reference.
    """

    luma: Floats
    origin: Flow
    trust: Floats
    reference_luma: Floats
    chroma: Floats

    def picture(self) -> Floats:
        """The coloured frame, (H, W, 3), its luma the frame's own."""
        x, y = (np.ascontiguousarray(self.origin[..., axis]) for axis in (0, 1))
        carried = _sample(self.chroma, x, y)
        apart = np.abs(_sample(self.reference_luma, x, y) - self.luma)
        trust = (self.trust * np.exp(-((apart / _ALIKE) ** 2)))[..., None]
        chroma = carried * trust + _guess(carried, trust[..., 0], self.luma) * (1 - trust)
        return np.asarray(self.luma[..., None] + chroma, np.float32)


def luma_of(signal: Floats, *, matrix: Matrix) -> Floats:
    """Luma (H, W) of an R'G'B' signal (H, W, 3)."""
    return np.asarray(signal @ np.array(LUMA[matrix], np.float32), np.float32)


def tint_reference(frame: Floats, picture: Floats, *, matrix: Matrix) -> Tinted:
    """The start of a chain: the coloured `picture` lies exactly on the grey `frame`."""
    luma = luma_of(frame, matrix=matrix)
    rows, columns = np.indices(luma.shape, np.float32)
    chroma = picture - luma_of(picture, matrix=matrix)[..., None]
    return Tinted(luma, np.stack([columns, rows], -1), np.ones_like(luma), luma, chroma)


def carry_tint(before: Tinted, frame: Floats, *, matrix: Matrix) -> Tinted:
    """The next frame in the colours of the one before it."""
    luma = luma_of(frame, matrix=matrix)
    now, then = _bytes(luma), _bytes(before.luma)
    moved = ~unmoved(np.abs(luma - before.luma) * np.float32(255))[..., None]
    back, there = flow_by_size(now, then) * moved, flow_by_size(then, now) * moved
    slip = disagreement(back, there)
    trust = warp(before.trust, back) * np.exp(-((slip / _SLIP) ** 2))
    origin = warp(before.origin, back)
    return Tinted(luma, origin, trust, before.reference_luma, before.chroma)


def _bytes(luma: Floats) -> NDArray[np.uint8]:
    return np.rint(np.clip(luma, 0, 1) * 255).astype(np.uint8)


def _sample(image: Floats, x: Floats, y: Floats) -> Floats:
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _guess(chroma: Floats, trust: Floats, luma: Floats) -> Floats:
    """Colour by place and tone: a bilateral grid (Chen et al., SIGGRAPH 2007) of trusted pixels."""
    height, width = luma.shape
    rows, columns = -(-height // _CELL), -(-width // _CELL)
    tone = np.clip(luma, 0, 1) * (_TONES - 1)
    y, x = np.indices(luma.shape)
    place = ((y // _CELL) * columns + x // _CELL) * _TONES + np.rint(tone).astype(np.int64)
    cells = rows * columns * _TONES
    values = [chroma[..., channel] * trust for channel in range(3)] + [trust]
    totals = [np.bincount(place.ravel(), value.ravel(), cells) for value in values]
    grid = np.stack(totals, -1).reshape(rows, columns, _TONES, 4).astype(np.float32)
    grid = _blurred(grid)
    total = np.zeros((height, width, 4), np.float32)
    for level in range(_TONES):
        share = np.maximum(1 - np.abs(tone - level), 0)
        if share.any():
            plane = np.ascontiguousarray(grid[:, :, level])
            total += np.asarray(cv2.resize(plane, (width, height))) * share[..., None]
    return np.asarray(total[..., :3] / np.maximum(total[..., 3:], 1e-6), np.float32)


def _blurred(grid: Floats) -> Floats:
    """Blurred over place and tone, with a faint share of the whole frame for empty cells."""
    rows, columns = grid.shape[:2]
    padded = np.pad(grid, ((0, 0), (0, 0), (1, 1), (0, 0)))
    toned = 0.25 * padded[:, :, :-2] + 0.5 * grid + 0.25 * padded[:, :, 2:]
    flat = np.ascontiguousarray(toned.reshape(rows, columns, -1))
    near = np.asarray(cv2.GaussianBlur(flat, (0, 0), 1.0)).reshape(grid.shape)
    everywhere = toned.mean((0, 1), keepdims=True)
    anything = everywhere.mean(2, keepdims=True)
    return np.asarray(near + 1e-3 * everywhere + 1e-6 * anything, np.float32)
