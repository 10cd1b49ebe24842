"""Takes paint from a coloured reference and carries it from drawing to drawing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats
from tasks.stages.colorize.match import Match, match_regions
from tasks.stages.colorize.regions import Drawing, Labels, nearest_index

_TRACES = 4
_SAME = 0.06
"""Largest difference per channel (of 1) within one flat colour, noise of JPEG included."""
_SPOTS = 0.001
"""A region is flat if no more than this share of it (and a few pixels) has another colour."""
_CLEAR = 1.5
"""Pixels to keep away from a line when looking at the paint beside it."""
_SQUARE = np.ones((3, 3), np.uint8)
_COVERED = 0.5
_INK_SHADE = 0.8
"""Ink is darker than this share of the paint beside it."""
_LEAST_PIXELS = 8
_REST = 0.03
"""A region of several colours that loses no more of itself at rest than along flow is at rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A drawing with its paint.

    `paint` (H, W, 3) has no lines in it; `colour` (count, 3) is each region's main colour and
    `flat` says whether it is the only one. `ink` (count, 3) is the colour of neutral lines at each
    region, `trace_ink` (4, 3) that of each kind of line; NaN for a kind that is painted over.
    `sure` (count,) is the chance, 0 to 1, that a region's colour is right, `was_sure` that of the
    region that it continues.
    """

    drawing: Drawing
    paint: Floats
    colour: Floats
    flat: NDArray[np.bool_]
    ink: Floats
    trace_ink: Floats
    sure: Floats
    was_sure: Floats

    def picture(self) -> Floats:
        """The coloured drawing, (H, W, 3): anti-aliased ink over paint."""
        drawing = self.drawing
        painted_over = np.isnan(self.trace_ink[drawing.trace, 0])
        # A line parts two regions: the inks that they would have are mixed, not dotted.
        neutral = np.asarray(cv2.blur(self.ink[drawing.filled - 1], (3, 3)))
        ink = np.where(
            (drawing.trace == 0)[..., None], neutral, np.nan_to_num(self.trace_ink)[drawing.trace]
        )
        cover = np.where(painted_over | (drawing.darkness < 0.03), 0, drawing.coverage)[..., None]
        # Where a trace goes, the two colours that it parted meet without a stair.
        soft = np.asarray(cv2.blur(self.paint, (3, 3)))
        paint = np.where((painted_over & (drawing.marked == 0))[..., None], soft, self.paint)
        return np.asarray(paint + (ink - paint) * cover, np.float32)

    def recoloured(self, which: NDArray[np.bool_], colours: Floats) -> Painted:
        """The same with the regions `which` (count,) flat in `colours` (count, 3)."""
        if not which.any():
            return self
        here = which[self.drawing.filled - 1]
        colour = np.where(which[:, None], colours, self.colour).astype(np.float32)
        paint = self.paint.copy()
        paint[here] = colour[self.drawing.filled[here] - 1]
        return replace(self, paint=paint, colour=colour, flat=self.flat | which)


def paint_reference(drawing: Drawing, picture: Floats) -> Painted:
    """The paint of a reference: its `picture` (H, W, 3) lies exactly on `drawing`."""
    inner = _inner(drawing.marked)
    colour = main_colours(drawing, picture)
    main = colour[drawing.filled - 1]
    other = _spots(inner & (np.abs(picture - main).max(-1) > _SAME))
    seen = drawing.sums(inner.astype(np.float32))
    flat = drawing.sums(other.astype(np.float32)) <= np.maximum(_SPOTS * seen, _LEAST_PIXELS)
    is_flat = flat[drawing.filled - 1]
    painted = np.where((is_flat | ~other)[..., None], main, picture)
    paint = np.where(is_flat[..., None], main, _to_the_lines(drawing, painted, inner, main))
    ink, trace_ink = _inks(drawing, picture, paint)
    sure = np.ones(drawing.count, np.float32)
    return Painted(drawing, paint.astype(np.float32), colour, flat, ink, trace_ink, sure, sure)


def carry_paint(before: Painted, drawing: Drawing, match: Match | None = None) -> Painted:
    """The next drawing in the paint of the one before it; `match` where it is known already."""
    match = match or match_regions(before.drawing, drawing)
    source, sure = choose_colours(match, before)
    colour, flat = before.colour[source], before.flat[source]
    paint = colour[drawing.filled - 1]
    if not flat.all():
        _carry_pixels(before, drawing, source, match, paint)
    ink, was_sure = before.ink[source], before.sure[source]
    return Painted(drawing, paint, colour, flat, ink, before.trace_ink, sure, was_sure)


def choose_colours(match: Match, before: Painted) -> tuple[NDArray[np.int64], Floats]:
    """Per region the index of the earlier region whose colour is likeliest, and how likely it is.

    The chances of regions of one colour count together.
    """
    chance = match.chance[:, :-1]
    apart = np.abs(before.colour[:, None] - before.colour[None]).max(-1)
    same = (apart <= _SAME).astype(np.float32)
    votes = chance @ same
    colour = votes.argmax(1)
    source = (chance * same[colour]).argmax(1)
    sure = ((chance * before.sure) * same[source]).sum(1)
    return source, np.minimum(sure, 1).astype(np.float32)


def _carry_pixels(
    before: Painted, drawing: Drawing, source: NDArray[np.int64], match: Match, paint: Floats
) -> None:
    """Fill `paint` in regions of several colours: from along flow, or from the same place where
    that is as much the same region (what no line bounds is mostly a background or the camera's
    frame, and flow has nothing to hold on to there)."""
    filled = drawing.filled
    rows, columns = np.nonzero(~before.flat[source][filled - 1])
    height, width = filled.shape
    along_x = np.rint(columns + match.flow[rows, columns, 0]).astype(np.int64).clip(0, width - 1)
    along_y = np.rint(rows + match.flow[rows, columns, 1]).astype(np.int64).clip(0, height - 1)
    region = filled[rows, columns] - 1
    origin = before.drawing.filled
    along = origin[along_y, along_x] == source[region] + 1
    still = origin[rows, columns] == source[region] + 1
    kept = np.bincount(region, still, drawing.count) - np.bincount(region, along, drawing.count)
    size = np.bincount(region, minlength=drawing.count)
    rests = (kept >= -_REST * size)[region]
    from_x, from_y = np.where(rests, columns, along_x), np.where(rests, rows, along_y)
    same = np.where(rests, still, along)
    paint[rows[same], columns[same]] = before.paint[from_y[same], from_x[same]]


def _to_the_lines(
    drawing: Drawing, painted: Floats, inner: NDArray[np.bool_], main: Floats
) -> Floats:
    """Paint known inside the regions, spread to and under their lines, never across one."""
    if not inner.any():
        return main
    index = nearest_index(inner)
    same = drawing.filled.ravel()[index] == drawing.filled
    return np.where(same[..., None], painted.reshape(-1, 3)[index], main)


def _spots(other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of another colour is wider than 2 pixels: less is paint that missed its line."""
    spots = np.asarray(cv2.morphologyEx(other.astype(np.uint8), cv2.MORPH_OPEN, _SQUARE))
    return other & (np.asarray(cv2.dilate(spots, _SQUARE)) > 0)


def _inner(marked: Labels) -> NDArray[np.bool_]:
    away = cv2.distanceTransform((marked > 0).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away > _CLEAR)


def main_colours(drawing: Drawing, picture: Floats) -> Floats:
    """Per region, (count, 3), the mean of its most frequent colour (32 levels a channel)."""
    inner = _inner(drawing.marked)
    has_inner = drawing.sums(inner.astype(np.float32)) >= _LEAST_PIXELS
    used = (drawing.marked > 0) & (inner | ~has_inner[drawing.filled - 1])
    pixels, region = picture[used], drawing.marked[used].astype(np.int64) - 1
    levels = np.rint(np.clip(pixels, 0, 1) * 31).astype(np.int64) @ np.array([1024, 32, 1])
    bins, place, size = np.unique(region * 32768 + levels, return_inverse=True, return_counts=True)
    totals = [np.bincount(place, pixels[:, channel]) for channel in range(3)]
    means = np.stack(totals, -1) / size[:, None]
    colour = np.ones((drawing.count, 3), np.float32)
    by_size = np.argsort(size, kind="stable")
    colour[bins[by_size] // 32768] = means[by_size]
    return colour


def _inks(drawing: Drawing, picture: Floats, paint: Floats) -> tuple[Floats, Floats]:
    """Ink colours: per region for neutral lines, and per kind of trace (NaN: painted over)."""
    trace_ink = np.full((_TRACES, 3), np.nan, np.float32)
    trace_ink[0] = 0
    covered = (drawing.coverage > _COVERED) & (drawing.marked == 0)
    ink = np.zeros((drawing.count, 3), np.float32)
    for trace in range(_TRACES):
        here = covered & (drawing.trace == trace)
        if here.sum() < _LEAST_PIXELS:
            continue
        cover = drawing.coverage[here][:, None]
        seen, under = picture[here], paint[here]
        inks = under + (seen - under) / cover
        main = np.clip(np.median(inks, 0), 0, 1)
        without = np.abs(seen - under).mean()
        inked = np.abs(seen - (under + (main - under) * cover)).mean()
        trace_ink[trace] = main if inked < without else np.nan
        if trace == 0:
            ink = _ink_by_region(drawing.filled[here], inks, under, main, drawing.count)
    return ink, trace_ink


def _ink_by_region(region: Labels, inks: Floats, under: Floats, main: Floats, count: int) -> Floats:
    """The usual ink at each region; the main one where it is not seen, or not darker than paint."""
    ink = np.tile(main.astype(np.float32), (count, 1))
    dark = inks.sum(1) < _INK_SHADE * under.sum(1)
    if not dark.any():
        return ink
    region, inks = region[dark], inks[dark]
    order = np.argsort(region, kind="stable")
    names, starts = np.unique(region[order], return_index=True)
    for name, group in zip(names, np.split(inks[order], starts[1:]), strict=True):
        if len(group) >= _LEAST_PIXELS:
            ink[name - 1] = np.clip(np.median(group, 0), 0, 1)
    return ink
