"""Shot cuts: where one picture gives way to another.

A cut is the first frame of a new shot. What counts, and where:

- hard cut: the first frame that shows the new picture; a shot may be one frame long (A|B|C);
- flash: up to 3 frames (white, black, inverted, coloured, an insert) after which the picture
  before returns are no cut; if another picture follows, there is one cut, at its first frame;
- fade out and in, dip to a colour: one cut, the middle of the emptiest frames, which is the first
  of the new shot where the old one ends and the new one begins on black; if one side is a hard
  cut, there; a fade in at the start of a film and one out at its end are none; a blank of more
  than 3 frames that is cut to and cut from is a shot of its own;
- dissolve: one cut, its middle: the first frame in which the new picture is the stronger one.

Held drawings (animation on twos and threes) and repeated frames have no change at all, so a peak
is judged against the changes near it, not against the holds between them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.analysis.dissolves import REACH, Dissolve, alike, find_dissolves
from tasks.analysis.similarity import (
    GRID_SHAPE,
    SmallPicture,
    contrast_of,
    difference,
    grid_of,
    mix_error,
    shrink,
)

FLASH_FRAMES = 3
"""The longest flash, in frames."""

# Shares of the picture that came from nowhere (tasks/analysis/similarity.py). On the 90 synthetic
# and 4 real films that these were set on, cuts lay above .6, but for .3 to .5 between set-ups of
# one room and pale on pale; all else lay below .3, but for the busiest action, which is busy for
# longer than a frame.
_CUT, _SURE = 0.5, 0.8
_LEAST_CUT = 0.3
_PEAKS = ((_SURE, 0.0), (_CUT, 1.5), (_LEAST_CUT, 3.0))
"""From how much change on, how many times its neighbourhood's makes it a cut."""
_NEAR = 12
"""Frames on either side that make a neighbourhood."""
_SAME = 0.48
"""At most this much may be gone for a picture to be the one from before a flash."""
_RETURNED = 0.65
"""... and at most this part of what the flash took away."""

_BLANK = 3.0
"""A frame whose blocks spread less than this (8-bit codes) shows nothing."""
_EMPTY = 0.3
"""Frames of a blank within this of the emptiest (8-bit codes) are equally empty."""
_FADED = 0.7
"""A picture at less than this part of its contrast a few frames away is fading."""

_PARTED, _MIXED = 0.65, 0.45
"""How much of a dissolve's first frame is gone in its last, at the least, and its misfit at most:
the coarse one, and the fine one at the best of three places, for only one picture may be calm.

Over 90 synthetic films true ones had .77 or more gone and a misfit up to .42 (most below .2); pans,
zooms and busy animation less gone, or .48 and more.
"""
_FADE = 24
"""The longest half of a fade, in frames."""
_AHEAD = 64
"""Dissolves are looked for every so many frames, with the pictures still at hand."""
_KEPT = REACH + 2 * _AHEAD
LEAD = _KEPT + FLASH_FRAMES + 2
"""Frames before a part of a film that are looked at with it: then its features are the film's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFeatures:
    """What cut detection knows of n frames: about 450 bytes a frame.

    `change[i]` is how much of frame i is not in frame i - 1 (0 to 1; 0 for the first);
    `back[i, k]` the same against frame i - 2 - k, where a flash may have lain between, else 1;
    `grid[i]` its block means, (9, 16, 3) uint8 Y, Cr, Cb; `contrast[i]` how far its pixels spread
    in 8-bit codes; `dissolves` the passages that mix two pictures with little in common.
    """

    change: NDArray[np.float32]
    back: NDArray[np.float32]
    grid: NDArray[np.uint8]
    contrast: NDArray[np.float32]
    dissolves: tuple[Dissolve, ...]


class CutDetector:
    """Takes thumbnails one by one, in order, and keeps only what `find_cuts` needs.

    Memory: some 6 MB of recent pictures, and about 450 bytes for every frame seen. It may begin
    within a film, with frame `first`: `LEAD` frames later its features are those of the whole film.
    """

    def __init__(self, *, first: int = 0) -> None:
        self._at = first
        self._pictures: deque[SmallPicture] = deque(maxlen=_KEPT)
        self._change: list[float] = []
        self._back: list[tuple[float, ...]] = []
        self._grid: list[NDArray[np.uint8]] = []
        self._contrast: list[float] = []
        self._dissolves: dict[int, Dissolve] = {}

    def add(self, thumb: NDArray[np.uint8]) -> None:
        """Adds the next frame, a (144, 256, 3) uint8 R'G'B' thumbnail."""
        picture = shrink(thumb)
        pictures, change = self._pictures, self._change
        change.append(difference(pictures[-1], picture) if pictures else 0.0)
        pictures.append(picture)
        self._contrast.append(contrast_of(picture))
        recent = slice(-FLASH_FRAMES - 1, None)
        flashed = max(change[recent]) >= _LEAST_CUT or min(self._contrast[recent]) < _BLANK
        self._back.append(
            tuple(
                difference(pictures[-1 - lag], picture) if flashed and len(pictures) > lag else 1.0
                for lag in range(2, FLASH_FRAMES + 2)
            )
        )
        self._grid.append(grid_of(picture))
        end = self._at + len(change)
        if end % _AHEAD == 0 and (not self._at or len(change) > LEAD):
            self._look_for_dissolves(end - REACH // 2)

    def features(self, *, start: int = 0, ended: bool = True) -> CutFeatures:
        """The features of the frames seen from `start` on; `ended` where these end the film."""
        if ended:
            self._look_for_dissolves(self._at + len(self._change))
        seen = slice(start - self._at, None)
        count = len(self._change[seen])
        return CutFeatures(
            change=np.array(self._change[seen], np.float32),
            back=np.array(self._back[seen], np.float32).reshape(count, FLASH_FRAMES),
            grid=np.array(self._grid[seen], np.uint8).reshape(count, *GRID_SHAPE),
            contrast=np.array(self._contrast[seen], np.float32),
            dissolves=tuple(self._dissolves[at] for at in sorted(self._dissolves)),
        )

    def _look_for_dissolves(self, before: int) -> None:
        """Keep the dissolves among the recent frames that end `before` a frame."""
        kept = len(self._pictures)
        if kept < 2:
            return
        first, recent = self._at + len(self._change) - kept, slice(-kept, None)
        change = np.array(self._change[recent], np.float32)
        contrast = np.array(self._contrast[recent], np.float32)
        grid = np.array(self._grid[recent], np.float32)
        walls = (change >= _CUT) | (contrast < _BLANK)
        flashed = _flashed(_returns(change, np.array(self._back[recent], np.float32), contrast))
        # A flash does not interrupt a dissolve: the frame before stands for it.
        pictures = list(self._pictures)
        for i in map(int, np.flatnonzero(flashed)):
            grid[i], pictures[i] = grid[i - 1], pictures[i - 1]
            walls[i : i + 2] = False
        for one in find_dissolves(grid, walls):
            if one.end + first < before and _is_dissolve(one, pictures):
                self._dissolves[one.start + first] = replace(
                    one,
                    start=one.start + first,
                    end=one.end + first,
                    middle=one.middle + first,
                )


def join_features(parts: Sequence[CutFeatures]) -> CutFeatures:
    """The features of a film from those of its parts, in order. Pure."""
    dissolves = {one.start: one for part in parts for one in part.dissolves}
    return CutFeatures(
        change=np.concatenate([part.change for part in parts]),
        back=np.concatenate([part.back for part in parts]),
        grid=np.concatenate([part.grid for part in parts]),
        contrast=np.concatenate([part.contrast for part in parts]),
        dissolves=tuple(dissolves[at] for at in sorted(dissolves)),
    )


def _is_dissolve(one: Dissolve, pictures: Sequence[SmallPicture]) -> bool:
    """Whether the pictures themselves, which `one` counts, say so too."""
    first, last = pictures[one.start], pictures[one.end]
    if difference(first, last) < _PARTED:
        return False
    between = [one.start + (one.end - one.start) * part // 4 for part in (1, 2, 3)]
    return one.misfit + min(mix_error(first, pictures[at], last) for at in between) < _MIXED


def find_cuts(features: CutFeatures) -> tuple[int, ...]:
    """The first frame of every shot but the first: ascending, never 0. Pure."""
    flashed = _flashed(_returns(features.change, features.back, features.contrast))
    peaks = _without_flashes(_peaks(features.change), flashed)
    cuts, fades = _through_blanks(peaks, flashed, features)
    for one in sorted(features.dissolves, key=lambda dissolve: dissolve.misfit):
        alone = not any(one.start < cut <= one.end for cut in cuts)
        if alone and not any(one.end > start and one.start < end for start, end in fades):
            cuts.add(one.middle)
    return tuple(sorted(cuts))


def _peaks(change: NDArray[np.float32]) -> set[int]:
    """Frames that differ wholly from the one before, or far more than their neighbours do.

    Among the neighbours only real changes count, not holds, and of those the largest fifth are
    left out, for they may be cuts themselves.
    """
    peaks = set()
    for i in np.flatnonzero(change >= _LEAST_CUT):
        around = np.concatenate([change[max(0, i - _NEAR) : i], change[i + 1 : i + 1 + _NEAR]])
        real = np.sort(around[(around > 0) & (around < _SURE)])
        usual = float(real[int(len(real) * 0.8)]) if len(real) else 0.0
        times = next(times for least, times in _PEAKS if change[i] >= least)
        if change[i] >= times * usual:
            peaks.add(int(i))
    return peaks


def _returns(
    change: NDArray[np.float32], back: NDArray[np.float32], contrast: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(n, 3): whether frame i shows the picture of frame i - 2 - k again, in full."""
    count = len(change)
    full = np.zeros(count, np.bool_)
    for i in range(count):
        around = (contrast[max(0, i - 6) : i + 1], contrast[i : i + 7])
        full[i] = contrast[i] >= max(_BLANK, 0.5 * min(float(side.max()) for side in around))
    returns = np.zeros((count, FLASH_FRAMES), np.bool_)
    for k in range(min(FLASH_FRAMES, count - 2)):
        at = np.arange(k + 2, count)
        flash = np.max([change[at - lag] for lag in range(k + 2)], axis=0)
        again = (back[at, k] < _SAME) & (back[at, k] < _RETURNED * flash)
        returns[at, k] = again & full[at] & full[at - k - 2]
    return returns


def _flashed(returns: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames between a picture and its return."""
    flashed = np.zeros(len(returns), np.bool_)
    for i, k in zip(*np.nonzero(returns), strict=True):
        flashed[i - k - 1 : i] = True
    return flashed


def _without_flashes(peaks: set[int], flashed: NDArray[np.bool_]) -> set[int]:
    """Peaks but for those that lead into a flash or out of it."""
    return {i for i in peaks if not flashed[i] and not flashed[i - 1]}


def _through_blanks(
    peaks: set[int], flashed: NDArray[np.bool_], features: CutFeatures
) -> tuple[set[int], list[tuple[int, int]]]:
    """Cuts with the two sides of every blank passage made one where they belong together.

    Gives them with the passages, fades included, as half-open ranges.
    """
    contrast, grid = features.contrast, features.grid.astype(np.float32)
    cuts, count = set(peaks), len(contrast)
    passages = []
    for start, end in _runs(contrast < _BLANK):
        length, inside = end - start, start > 0 and end < count
        if inside and flashed[start:end].all():
            continue
        before, after = _strongest(contrast, start - 1, -1), _strongest(contrast, end, 1)
        cut_to = start in peaks and contrast[start - 1] > _FADED * contrast[before]
        cut_from = end in peaks and contrast[end] > _FADED * contrast[after]
        passage = (start if cut_to else before + 1, end if cut_from else after)
        passages.append(passage)
        cuts -= set(range(passage[0], passage[1] + 1))
        if inside and alike(grid[before].reshape(-1, 3), grid[after].reshape(-1, 3)):
            continue
        if length > FLASH_FRAMES and cut_to and (cut_from or end == count):
            cuts |= {start, end} - {count}
        elif not inside:
            cuts |= {end} if cut_from and end > FLASH_FRAMES else set()
        else:
            cuts.add(_seam(contrast, start, end, cut_to=cut_to, cut_from=cut_from))
    return cuts, passages


def _seam(
    contrast: NDArray[np.float32], start: int, end: int, *, cut_to: bool, cut_from: bool
) -> int:
    """Where the shots on either side of a blank meet: at its hard side, or in its emptiest part."""
    if cut_from:
        return end
    if cut_to:
        return start
    empty = start + np.flatnonzero(contrast[start:end] <= contrast[start:end].min() + _EMPTY)
    return int(empty[len(empty) // 2])


def _strongest(contrast: NDArray[np.float32], at: int, step: int) -> int:
    """Where a fade that begins or ends at `at` has its full contrast, at most 24 frames away."""
    best = at
    for i in range(at, at + step * _FADE, step):
        if not 0 <= i < len(contrast) or abs(i - best) > 2:
            break
        best = i if contrast[i] > 1.02 * contrast[best] else best
    return min(max(best, 0), len(contrast) - 1)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
