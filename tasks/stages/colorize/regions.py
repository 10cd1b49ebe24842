"""Segments a line drawing into its lines and the regions that they enclose.

Works on clean lines of any colour on bright paper. Small gaps are closed by the trapped-ball idea
(Zhang et al., IEEE TVCG 2009): a region is where a small ball can roll without crossing a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats

Labels = NDArray[np.int32]
"""(H, W) region numbers from 1 to the drawing's `count`; 0 is line where lines are marked."""

_BALLS = ((1.0, 1.0), (1.5, 3.0), (2.5, 8.0), (4.0, 16.0))
"""Radii in pixels: of the ball, and of the widest place in what it parts: gaps of up to 8 pixels
are closed, wide ones only between wide regions. On 2,025 regions of synthesised drawings no set of
radii differed by more than .1 % of the regions; on real ones each radius added a little."""
_LEAST_SEED = 6
_LEAST_REGION = 3
_MOST_REGIONS = 1500
"""Only the largest are kept apart, so that matching stays small on noisy drawings."""
_FAINT = 0.08
_COLOURED = 0.4
"""A trace is coloured if its channels differ by more than this share of its darkness."""


class Shape(NamedTuple):
    """Per region (count,): area, centre and second moments, in pixels."""

    area: Floats
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats


@dataclass(frozen=True, eq=False)
class Drawing:
    """Lines and regions of one frame.

    `darkness` is 0 on paper and 1 on black (its darkest channel), `trace` the kind of line that a
    pixel belongs to (0 neutral, 1 red, 2 green, 3 blue), `marked` the regions with 0 on lines.
    """

    darkness: Floats
    trace: NDArray[np.uint8]
    marked: Labels
    threshold: float
    count: int

    @cached_property
    def filled(self) -> Labels:
        """Regions without gaps: line pixels belong to the nearest region."""
        return nearest(self.marked, self.marked > 0)

    @cached_property
    def coverage(self) -> Floats:
        """How much of a pixel the line covers, 0 to 1: darkness against the drawing's own lines."""
        core = self.darkness[self.marked == 0]
        full = float(np.percentile(core, 90)) if core.size else 1.0
        return np.asarray(np.clip(self.darkness / max(full, self.threshold), 0, 1), np.float32)

    @cached_property
    def shape(self) -> Shape:
        """Geometry of every region, lines left out."""
        height, width = self.marked.shape
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        area = np.maximum(self.sums(np.ones((height, width), np.float32)), np.float32(1))

        def mean(values: Floats) -> Floats:
            return np.asarray(self.sums(values) / area, np.float32)

        x, y = mean(columns), mean(rows)
        off_x = np.asarray(columns - self.lookup(x), np.float32)
        off_y = np.asarray(rows - self.lookup(y), np.float32)
        return Shape(area, x, y, mean(off_x * off_x), mean(off_y * off_y), mean(off_x * off_y))

    @cached_property
    def borders(self) -> Floats:
        """(count, count): the length in pixels of the border that two regions share."""
        size = self.count + 1
        total = np.zeros(size * size)
        for a, b in (
            (self.filled[:, :-1], self.filled[:, 1:]),
            (self.filled[:-1], self.filled[1:]),
        ):
            apart = a != b
            total += np.bincount(a[apart].astype(np.int64) * size + b[apart], minlength=size * size)
        shared = total.reshape(size, size)[1:, 1:]
        return np.asarray(shared + shared.T, np.float32)

    def sums(self, values: Floats) -> Floats:
        """The sum of a (H, W) map over each region, (count,)."""
        summed = np.bincount(self.marked.ravel(), values.ravel(), self.count + 1)
        return np.asarray(summed[1:], np.float32)

    def lookup(self, values: Floats) -> Floats:
        """A map (H, W) of each region's value; 0 on lines."""
        return np.concatenate([np.zeros(1, np.float32), values])[self.marked]


def segment_drawing(signal: Floats, *, threshold: float | None = None) -> Drawing:
    """Lines and regions of a drawing: `signal` (H, W, 3), 0 black, 1 white.

    `threshold` is the darkness from which on a pixel is line; by default a third of what the
    drawing's lines usually have. A blank page has one region.
    """
    paper = np.median(signal.reshape(-1, 3), 0)
    light = np.clip(signal / np.where(paper > 0.5, paper, 1).astype(np.float32), 0, 1)
    darkness = 1 - light.min(2)
    level = _threshold(darkness) if threshold is None else threshold
    coloured = light.max(2) - light.min(2) > _COLOURED * darkness
    trace = np.where(coloured & (darkness > _FAINT), light.argmax(2) + 1, 0).astype(np.uint8)
    marked = _without_specks(_trap((darkness < level).astype(np.uint8)))
    return Drawing(darkness, trace, marked, level, int(marked.max()))


def nearest(values: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Every pixel's value, or that of the nearest pixel where it is known."""
    if known.all() or not known.any():
        return values
    index = nearest_index(known)
    return values.ravel()[index]


def nearest_index(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flat index of the nearest known pixel, (H, W); there must be one."""
    _, place = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = np.zeros(int(place.max()) + 1, np.int64)
    flat[place[known]] = np.flatnonzero(known)
    return np.asarray(flat[place], np.int64)


def _threshold(darkness: Floats) -> float:
    inked = darkness[darkness > _FAINT]
    if inked.size < 50:
        return 0.3
    return float(np.clip(0.35 * np.median(inked), 0.06, 0.3))


def _trap(free: NDArray[np.uint8]) -> Labels:
    """Components of the free pixels, cut where only less than a ball fits through."""
    _, labels = cv2.connectedComponents(free, connectivity=4, ltype=cv2.CV_32S)
    room = np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 5), np.float32)
    for radius, least_room in _BALLS:
        labels = _divide(np.asarray(labels, np.int32), room, radius, least_room)
    return np.asarray(labels, np.int32)


def _divide(parts: Labels, room: Floats, radius: float, least_room: float) -> Labels:
    """The parts, those cut in which a ball of `radius` cannot roll from one hall to another; a hall
    is wide enough somewhere for a ball of `least_room`."""
    _, seed_of, stats, _ = cv2.connectedComponentsWithStats(
        ((room > radius) & (parts > 0)).astype(np.uint8), connectivity=4
    )
    widest = np.zeros(len(stats), np.float32)
    np.maximum.at(widest, np.asarray(seed_of, np.int64).ravel(), room.ravel())
    hall = (stats[:, cv2.CC_STAT_AREA] >= _LEAST_SEED) & (widest > least_room)
    hall[0] = False
    part_of_seed = np.zeros(len(stats), np.int64)
    part_of_seed[seed_of.ravel()] = parts.ravel()
    divided = np.flatnonzero(np.bincount(part_of_seed[hall]) > 1)
    if not len(divided):
        return parts
    inside = np.isin(parts, divided)
    markers = np.where(inside, np.where(hall[seed_of], seed_of + 1, 0), 1).astype(np.int32)
    terrain = np.clip(255 - room * 20, 0, 255).astype(np.uint8)
    # Watershed makes the picture's edge a boundary: it is given an edge to spare.
    spare = [cv2.copyMakeBorder(m, 1, 1, 1, 1, cv2.BORDER_REPLICATE) for m in (terrain, markers)]
    grown = cv2.watershed(cv2.merge([spare[0]] * 3), spare[1])[1:-1, 1:-1]
    first = int(parts.max())
    return np.where(inside, np.where(grown > 1, first + grown, 0), parts).astype(np.int32)


def _without_specks(labels: Labels) -> Labels:
    """Regions renumbered from 1; specks, and the smallest of too many, become line."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    kept = np.flatnonzero(areas >= _LEAST_REGION)
    if len(kept) > _MOST_REGIONS:
        kept = np.sort(kept[np.argsort(-areas[kept], kind="stable")[:_MOST_REGIONS]])
    if not len(kept):
        return np.ones_like(labels)
    number = np.zeros(len(areas), np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[labels]
