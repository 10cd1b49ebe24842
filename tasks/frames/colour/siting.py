"""Chroma up to luma's grid and back again, so that up-then-down changes nothing.

Up is linear interpolation between chroma samples where the siting says they lie (U). Down is its
least-squares inverse D = (U'U)^-1 U', the orthogonal projection on what U can make: D U = I
exactly, borders and odd sizes included, so a picture that no stage changed keeps its chroma, and
one that was changed is low-passed without a shift (M. Unser, Splines, IEEE SPM 1999, section on
least-squares splines). Beyond the border the nearest sample holds.
Rows and columns are separate: each axis has a factor and an offset, the luma position of chroma
sample 0. U'U has three diagonals, so the inverse is one sweep down and one up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.picture import Siting

Plane = NDArray[np.float32]

_ACROSS_CENTRED: frozenset[Siting] = frozenset({"center", "top", "bottom"})
_DOWN_TOP: frozenset[Siting] = frozenset({"topleft", "top"})
_DOWN_BOTTOM: frozenset[Siting] = frozenset({"bottomleft", "bottom"})


def offset_across(siting: Siting, *, factor: int) -> float:
    """Luma columns from luma sample 0 to chroma sample 0."""
    return (factor - 1) / 2 if siting in _ACROSS_CENTRED else 0.0


def offset_down(siting: Siting, *, factor: int) -> float:
    """Luma rows from luma sample 0 to chroma sample 0."""
    if siting in _DOWN_TOP:
        return 0.0
    return float(factor - 1) if siting in _DOWN_BOTTOM else (factor - 1) / 2


@dataclass(frozen=True, slots=True)
class Phase:
    """Luma samples `phase + factor*i` are `near*c[i+shift] + far*c[i+shift+1]`, ends held."""

    shift: int
    near: float
    far: float


@lru_cache(maxsize=64)
def phases(factor: int, offset: float) -> tuple[Phase, ...]:
    """The interpolation of each of the `factor` phases."""
    found = []
    for phase in range(factor):
        position = (phase - offset) / factor
        shift = int(np.floor(position))
        found.append(Phase(shift, 1 - (position - shift), position - shift))
    return tuple(found)


def upsample(
    chroma: Plane, *, shape: tuple[int, int], sub: tuple[int, int], siting: Siting
) -> Plane:
    """A chroma plane at luma's `shape` (rows, columns); `sub` is (down, across)."""
    wide = widen(chroma, width=shape[1], factor=sub[1], siting=siting)
    return rows_of(wide, slice(0, shape[0]), factor=sub[0], siting=siting)


def downsample(full: Plane, *, sub: tuple[int, int], siting: Siting) -> Plane:
    """The chroma plane whose `upsample` is nearest to `full` in the least-squares sense."""
    narrow = gather_across(full, factor=sub[1], siting=siting)
    (small,) = solve(narrow, width=full.shape[1], sub=sub, siting=siting)
    return small


def widen(chroma: Plane, *, width: int, factor: int, siting: Siting) -> Plane:
    """A chroma plane at luma's width, with one row more above and below: what `rows_of` takes."""
    wide = _up_across(chroma, factor, offset_across(siting, factor=factor))[:, :width]
    return cv2.copyMakeBorder(wide, 1, 1, 0, 0, cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def rows_of(wide: Plane, rows: slice, *, factor: int, siting: Siting) -> Plane:
    """Some of luma's rows of a chroma plane; the first one is a multiple of `factor`."""
    if factor == 1:
        return wide[1 + rows.start : 1 + rows.stop]
    out = np.empty((rows.stop - rows.start, wide.shape[1]), np.float32)
    for index, phase in enumerate(phases(factor, offset_down(siting, factor=factor))):
        part = out[index::factor]
        first = 1 + phase.shift + rows.start // factor
        np.multiply(wide[first : first + len(part)], np.float32(phase.near), out=part)
        if phase.far:
            part += np.float32(phase.far) * wide[first + 1 :][: len(part)]
    return out


def gather_across(full: Plane, *, factor: int, siting: Siting) -> Plane:
    """U' along rows: every luma sample gives to the one or two chroma samples it came from. Each
    row by itself."""
    return _gather_across(full, factor, offset_across(siting, factor=factor))


def solve(narrow: Plane, *, width: int, sub: tuple[int, int], siting: Siting) -> list[Plane]:
    """The chroma planes of what `gather_across` gave for all of luma's rows, `width` wide.

    Several planes lie side by side in `narrow`: solving two at once takes two thirds of the time.
    """
    height, down = len(narrow), offset_down(siting, factor=sub[0])
    small = _gather_down(narrow, sub[0], down)
    if sub[0] > 1:
        _solve_rows(small, _factorised(height, sub[0], down))
    planes = np.split(small, small.shape[1] // -(-width // sub[1]), axis=1)
    if sub[1] > 1:
        turned = np.concatenate([_turned(plane) for plane in planes], axis=1)
        _solve_rows(turned, _factorised(width, sub[1], offset_across(siting, factor=sub[1])))
        planes = [_turned(plane) for plane in np.split(turned, len(planes), axis=1)]
    return planes


def _turned(plane: Plane) -> Plane:
    turned: Any = cv2.transpose(plane)
    return turned  # type: ignore[no-any-return]


def _up_across(chroma: Plane, factor: int, offset: float) -> Plane:
    if factor == 1:
        return chroma
    padded = cv2.copyMakeBorder(chroma, 0, 0, 1, 1, cv2.BORDER_REPLICATE)
    count = chroma.shape[1]
    made = [
        phase.near * padded[:, 1 + phase.shift : 1 + phase.shift + count]
        + phase.far * padded[:, 2 + phase.shift : 2 + phase.shift + count]
        if phase.far
        else chroma
        for phase in phases(factor, offset)
    ]
    woven: Any = cv2.merge(made)
    return woven.reshape(chroma.shape[0], count * factor)  # type: ignore[no-any-return]


def _gather_across(full: Plane, factor: int, offset: float) -> Plane:
    if factor == 1:
        return full
    height, width = full.shape
    count = -(-width // factor)
    if missing := count * factor - width:
        full = np.pad(full, ((0, 0), (0, missing)))
    padded = np.zeros((height, count + 2), np.float32)
    for index, phase in enumerate(phases(factor, offset)):
        part, at = full[:, index::factor], 1 + phase.shift
        padded[:, at : at + count] += part if phase.near == 1 else np.float32(phase.near) * part
        if phase.far:
            padded[:, at + 1 : at + 1 + count] += np.float32(phase.far) * part
    padded[:, 1] += padded[:, 0]
    padded[:, -2] += padded[:, -1]
    return padded[:, 1:-1]


def _gather_down(full: Plane, factor: int, offset: float) -> Plane:
    """U' along columns."""
    if factor == 1:
        return np.ascontiguousarray(full)
    height, width = full.shape
    count = -(-height // factor)
    padded = np.zeros((count + 2, width), np.float32)
    for index, phase in enumerate(phases(factor, offset)):
        rows = full[index::factor]
        padded[1 + phase.shift :][: len(rows)] += np.float32(phase.near) * rows
        if phase.far:
            padded[2 + phase.shift :][: len(rows)] += np.float32(phase.far) * rows
    padded[1] += padded[0]
    padded[-2] += padded[-1]
    return np.ascontiguousarray(padded[1:-1])


@dataclass(frozen=True, slots=True)
class Factors:
    """U'U = L D L' of one axis: `lower` under L's diagonal, `inverse` of D's."""

    lower: tuple[np.float32, ...]
    inverse: NDArray[np.float32]


@lru_cache(maxsize=32)
def _factorised(length: int, factor: int, offset: float) -> Factors:
    count = -(-length // factor)
    diagonal = np.zeros(count)
    beside = np.zeros(count)
    kinds = phases(factor, offset)
    for x in range(length):
        phase = kinds[x % factor]
        at = x // factor + phase.shift
        low, high = max(at, 0), min(at + 1, count - 1)
        if low == high or not phase.far:
            diagonal[low] += 1
        else:
            diagonal[low] += phase.near**2
            diagonal[high] += phase.far**2
            beside[low] += phase.near * phase.far
    lower = np.zeros(count)
    for i in range(1, count):
        lower[i] = beside[i - 1] / diagonal[i - 1]
        diagonal[i] -= lower[i] * beside[i - 1]
    return Factors(tuple(np.float32(value) for value in lower), (1 / diagonal).astype(np.float32))


def _solve_rows(rows: Plane, factors: Factors) -> None:
    """Solve U'U x = rows along the first axis, in place."""
    scratch = np.empty(rows.shape[1], np.float32)
    for i in range(1, len(rows)):
        np.multiply(rows[i - 1], factors.lower[i], out=scratch)
        rows[i] -= scratch
    rows *= factors.inverse[:, None]
    for i in range(len(rows) - 2, -1, -1):
        np.multiply(rows[i + 1], factors.lower[i + 1], out=scratch)
        rows[i] -= scratch
