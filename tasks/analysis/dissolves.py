"""Finds dissolves, passages in which one picture is mixed into another, from block means alone.

A dissolve from A to B is, frame by frame, A + s (B - A) with s rising from 0 to 1, while before
and after it s stands still. A pan, a zoom or a character crossing is no such mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTHS = (4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 48)
"""Lengths, in frames, at which dissolves are looked for."""
REACH = 80
"""Frames that the longest of them looks at, surroundings included."""

_MISFIT = 0.27
"""RMS error of s, over a dissolve and its surroundings, that is still a dissolve."""
_LEAST_WAY = 8.0
"""RMS difference between the two ends, in 8-bit codes over the block means, at the least."""
_CHANGED = 12.0
"""A block that differs this much (Y + Cr + Cb, 8-bit codes) has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissolve:
    """A possible dissolve: `start` is the last frame of the old picture alone, `end` the first of
    the new one alone, `middle` the first in which the new one is the stronger; `misfit` is small
    where it is a perfect mix."""

    start: int
    end: int
    middle: int
    misfit: float


def find_dissolves(
    grid: NDArray[np.uint8] | NDArray[np.float32], walls: NDArray[np.bool_]
) -> list[Dissolve]:
    """Possible dissolves, best first, none overlapping; pure.

    `grid` holds the block means of n frames, (n, rows, columns, 3) in 8-bit codes; `walls[i]` says
    that no dissolve reaches over the step from frame i - 1 to frame i.
    """
    count = len(grid)
    flat = grid.astype(np.float32).reshape(count, -1)
    apart = _Apart(flat)
    found: list[tuple[float, Dissolve]] = []
    for length in (length for length in LENGTHS if length < count):
        misfit = _misfit(apart, walls, length)
        for a in map(int, np.flatnonzero(misfit < _MISFIT)):
            b = a + length
            if _replaced(flat[a].reshape(-1, 3), flat[b].reshape(-1, 3)):
                middle = next(t for t in range(a + 1, b + 1) if apart(a, t) >= apart(t, b))
                one = Dissolve(start=a, end=b, middle=middle, misfit=float(misfit[a]))
                # A part of a dissolve is one too, but of a shorter way.
                found.append((one.misfit / float(np.sqrt(apart(a, b))), one))
    best: list[Dissolve] = []
    for _, one in sorted(found, key=lambda ranked: ranked[0]):
        if all(one.end <= other.start or other.end <= one.start for other in best):
            best.append(one)
    return best


def alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two lists of block means, (blocks, 3), show the same picture in other light."""
    a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum()) > 0.9 * float(np.linalg.norm(a) * np.linalg.norm(b))


def _replaced(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    changed = np.abs(b - a).sum(1) > _CHANGED
    return float(changed.mean()) > 0.5 and not alike(a, b)


class _Apart:
    """Mean squared distances between the block means of frames up to `REACH` apart."""

    def __init__(self, flat: NDArray[np.float32]) -> None:
        count, size = flat.shape
        self._band = np.zeros((count, REACH + 1), np.float32)
        for lag in range(1, min(REACH + 1, count)):
            step = flat[lag:] - flat[:-lag]
            self._band[:-lag, lag] = np.einsum("ij,ij->i", step, step) / size

    def __call__(self, a: Any, b: Any) -> Any:
        return self._band[np.minimum(a, b), np.abs(b - a)]

    def __len__(self) -> int:
        return len(self._band)


def _misfit(apart: _Apart, walls: NDArray[np.bool_], length: int) -> NDArray[np.float32]:
    """For each frame a: how badly a..a+length, with its surroundings, is a dissolve."""
    count = len(apart)
    a = np.arange(count - length)
    b = a + length
    first = np.maximum.accumulate(np.where(walls, np.arange(count), 0))
    last = np.where(walls[1:], np.arange(count - 1), count - 1)
    last = np.append(np.minimum.accumulate(last[::-1])[::-1], count - 1)
    way = apart(a, b)
    margin = max(2, length // 3)
    steps = range(-margin, length + margin + 1)
    total = np.zeros(len(a), np.float32)
    for step in steps:
        t = np.clip(a + step, first[a], last[b])
        from_a, to_b = apart(a, t), apart(t, b)
        s = (from_a + way - to_b) / np.maximum(2 * way, 1e-6)
        aside = np.maximum(from_a / np.maximum(way, 1e-6) - s * s, 0)
        total += (s - np.clip((t - a) / length, 0, 1)) ** 2 + aside
    calm = max(3, length // 4)
    clear = (way > _LEAST_WAY**2) & (a - first[b] >= calm) & (last[a] - b >= calm)
    return np.where(clear, np.sqrt(total / len(steps)), np.inf).astype(np.float32)
