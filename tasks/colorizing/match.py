"""Which region of one drawing a region of the next is: overlap along flow, shape, neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.colorizing.regions import Drawing, Shape
from tasks.flow import Floats, Flow, flow_by_size

_REACH = 4.0
"""Pixels over which a line's pull fades: gives flow something to follow inside empty regions."""
_NEIGHBOURS = 0.7
_ROUNDS = 4
_SHARP = 0.25
"""Weight of the neighbours' agreement, how often it is asked for, and the temperature of a choice.
Weights of 0, 0.7 and 1.5 differ by at most 1 % of the regions on the real drawings."""


@dataclass(frozen=True, slots=True)
class Match:
    """`source[r - 1]` is the earlier drawing's region for region r; `flow` leads back to it."""

    source: NDArray[np.int32]
    flow: Flow


def match_regions(before: Drawing, after: Drawing) -> Match:
    """The region of `before` that each region of `after` continues; several may continue one."""
    back = line_flow(after, before)
    there = line_flow(before, after)
    along = _overlap(after, before, back)
    reverse = _overlap(before, after, there).T
    still = _overlap(after, before, np.zeros_like(back))
    area, area_before = after.shape.area[:, None], before.shape.area[None]

    def union(shared: Floats) -> Floats:
        return shared / np.maximum(area + area_before - shared, 1)

    likeness = 0.5 * (union(along) + union(reverse)) + 0.25 * (along + reverse) / area
    close = _closeness(before.shape, after, back)
    score = likeness + 0.5 * union(still) + (_alike(before.shape, after.shape) + 0.5) * close
    source = _with_neighbours(score, before, after).argmax(1) + 1
    return Match(source.astype(np.int32), back)


def line_flow(start: Drawing, end: Drawing) -> Flow:
    """Flow between drawings of bare lines, by way of a field that falls off around them."""
    return flow_by_size(_pull(start), _pull(end))


def _pull(drawing: Drawing) -> NDArray[np.uint8]:
    clear = (drawing.darkness < max(drawing.threshold, 0.1)).astype(np.uint8)
    away = cv2.distanceTransform(clear, cv2.DIST_L2, 5)
    return np.rint(255 * np.exp(-away / _REACH)).astype(np.uint8)


def _overlap(a: Drawing, b: Drawing, flow: Flow) -> Floats:
    """(a.count, b.count): pixels of each region of a that flow leads into each region of b."""
    rows, columns = np.nonzero(a.marked)
    height, width = a.marked.shape
    to_x = np.clip(np.rint(columns + flow[rows, columns, 0]).astype(np.int64), 0, width - 1)
    to_y = np.clip(np.rint(rows + flow[rows, columns, 1]).astype(np.int64), 0, height - 1)
    pair = (a.marked[rows, columns].astype(np.int64) - 1) * b.count + b.filled[to_y, to_x] - 1
    shared = np.bincount(pair, minlength=a.count * b.count)
    return shared.reshape(a.count, b.count).astype(np.float32)


def _closeness(before: Shape, after: Drawing, back: Flow) -> Floats:
    """1 where flow leads a region's centre onto the other's, falling off with the region's size."""
    shape = after.shape
    lead_x = shape.x + after.sums(np.ascontiguousarray(back[..., 0])) / shape.area
    lead_y = shape.y + after.sums(np.ascontiguousarray(back[..., 1])) / shape.area
    away = np.hypot(lead_x[:, None] - before.x, lead_y[:, None] - before.y)
    size = np.sqrt(np.minimum(shape.area[:, None], before.area)) + 14
    return np.asarray(np.exp(-((away / size) ** 2)), np.float32)


def _alike(before: Shape, after: Shape) -> Floats:
    """1 for equal second moments (size, proportion, slant), falling to 0."""

    def spread(shape: Shape) -> tuple[Floats, Floats, Floats]:
        slant = shape.xy / np.sqrt((shape.xx + 1) * (shape.yy + 1))
        return np.log(shape.xx + 1), np.log(shape.yy + 1), slant

    wide, high, slant = (
        a[:, None] - b[None] for a, b in zip(spread(after), spread(before), strict=True)
    )
    return np.asarray(np.exp(-0.5 * (wide**2 + high**2) - 2 * slant**2), np.float32)


def _with_neighbours(score: Floats, before: Drawing, after: Drawing) -> Floats:
    """Scores raised where a region's neighbours continue neighbours of what it would continue."""
    shares = after.borders / np.maximum(after.borders.sum(1, keepdims=True), 1)
    longest = np.maximum(before.borders.max(1, keepdims=True), 1)
    touching = np.minimum(3 * before.borders / longest, 1).T
    total = score
    for _ in range(_ROUNDS):
        chance = np.exp((total - total.max(1, keepdims=True)) / np.float32(_SHARP))
        chance /= chance.sum(1, keepdims=True)
        total = score + np.float32(_NEIGHBOURS) * (shares @ chance @ touching)
    return total
