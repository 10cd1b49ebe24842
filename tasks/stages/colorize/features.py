"""Features of every pair of regions: evidence that a region of one drawing is one of another.

Overlap along flow both ways and at rest, nearness, size and slant, the region's own form, the lines
around it, and the kind of its lines. Matrices are (after.count, before.count).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats, Flow, flow_by_size
from tasks.stages.colorize.regions import Drawing, Shape

_REACH = 4.0
"""Pixels over which a line's pull fades: gives flow something to follow inside empty regions."""
_PATCH = 16
"""Samples a side of a region's form and surroundings."""
_FORM = 1.6
"""Half a form's window, in roots of the region's area."""
_AROUND = (0.06, 0.14)
"""Half the windows of surroundings, as shares of the frame's shorter side."""

NAMES = (
    "along", "reverse", "still", "along of it", "along of other", "reverse of it",
    "reverse of other", "still of it", "near along", "near", "size", "alike", "alike and near",
    "form", "around small", "around large", "edge", "trace", "best", "mutual",
)  # fmt: skip
"""The numbers in the order of `pair_features`."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Flow between two drawings: `back` leads from the later one to the earlier, `there` forth."""

    back: Flow
    there: Flow


def find_ways(before: Drawing, after: Drawing) -> Ways:
    """Flow between drawings of bare lines, both ways."""
    return Ways(line_flow(after, before), line_flow(before, after))


def line_flow(start: Drawing, end: Drawing) -> Flow:
    """Flow between drawings of bare lines, by way of a field that falls off around them."""
    return flow_by_size(_pull(start), _pull(end))


def pair_features(before: Drawing, after: Drawing, ways: Ways) -> Iterator[Floats]:
    """The numbers of NAMES, one matrix at a time; most lie between 0 and 1."""
    area, area_before = after.shape.area[:, None], before.shape.area[None]

    def union(shared: Floats) -> Floats:
        return np.asarray(shared / np.maximum(area + area_before - shared, 1), np.float32)

    along = _overlap(after, before, ways.back)
    reverse = _overlap(before, after, ways.there).T
    still = _overlap(after, before, None)
    best = union(along) + union(reverse) + 0.5 * along / area
    yield union(along)
    yield union(reverse)
    yield union(still)
    yield along / area
    yield along / area_before
    yield reverse / area
    yield reverse / area_before
    yield still / area
    near = _closeness(before.shape, after, ways.back)
    yield near
    yield _closeness(before.shape, after, None)
    yield np.minimum(np.abs(np.log(area / area_before)), 4) * np.float32(0.5)
    alike = _alike(before.shape, after.shape)
    yield alike
    yield alike * near
    yield forms(after) @ forms(before).T
    for half in _AROUND:
        yield _surroundings(after, half) @ _surroundings(before, half).T
    yield np.abs(_at_edge(after)[:, None] - _at_edge(before)[None])
    yield np.abs(_traced(after)[:, None] - _traced(before)[None])
    of_row = (best >= best.max(1, keepdims=True)) & (best > 0)
    yield of_row.astype(np.float32)
    yield (of_row & (best >= best.max(0, keepdims=True))).astype(np.float32)


def _pull(drawing: Drawing) -> NDArray[np.uint8]:
    return np.rint(255 * _near_lines(drawing)).astype(np.uint8)


def _near_lines(drawing: Drawing) -> Floats:
    clear = (drawing.darkness < max(drawing.threshold, 0.1)).astype(np.uint8)
    away = cv2.distanceTransform(clear, cv2.DIST_L2, 5)
    return np.asarray(np.exp(-away / np.float32(_REACH)), np.float32)


def _overlap(a: Drawing, b: Drawing, flow: Flow | None) -> Floats:
    """(a.count, b.count): pixels of each region of a that flow leads into each region of b."""
    rows, columns = np.nonzero(a.marked)
    height, width = a.marked.shape
    to_x, to_y = columns, rows
    if flow is not None:
        to_x = np.rint(columns + flow[rows, columns, 0]).astype(np.int64).clip(0, width - 1)
        to_y = np.rint(rows + flow[rows, columns, 1]).astype(np.int64).clip(0, height - 1)
    pair = (a.marked[rows, columns].astype(np.int64) - 1) * b.count + b.filled[to_y, to_x] - 1
    shared = np.bincount(pair, minlength=a.count * b.count)
    return shared.reshape(a.count, b.count).astype(np.float32)


def _closeness(before: Shape, after: Drawing, back: Flow | None) -> Floats:
    """1 where flow leads a region's centre onto the other's, falling off with the region's size."""
    shape = after.shape
    lead_x, lead_y = shape.x, shape.y
    if back is not None:
        lead_x = lead_x + after.sums(np.ascontiguousarray(back[..., 0])) / shape.area
        lead_y = lead_y + after.sums(np.ascontiguousarray(back[..., 1])) / shape.area
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


def forms(drawing: Drawing) -> Floats:
    """(count, samples): each region's mask in a window of its own size, unit length, mean 0."""
    patches = []
    for region in range(drawing.count):
        half = max(_FORM * float(np.sqrt(drawing.shape.area[region])), 3.0)
        x, y = float(drawing.shape.x[region]), float(drawing.shape.y[region])
        window = _window(drawing.marked, x, y, half, outside=0)
        patches.append(_shrunk((window == region + 1).astype(np.float32)))
    return _unit(patches)


def _surroundings(drawing: Drawing, share: float) -> Floats:
    """(count, samples): the lines around each region's centre, unit length, mean 0."""
    field = _near_lines(drawing)
    half = max(share * min(field.shape), 6.0)
    shape = drawing.shape
    patches = [
        _shrunk(_window(field, float(x), float(y), half, outside=0))
        for x, y in zip(shape.x, shape.y, strict=True)
    ]
    return _unit(patches)


def _window(image: NDArray[Any], x: float, y: float, half: float, *, outside: int) -> NDArray[Any]:
    reach = round(half)
    left, top = round(x) - reach, round(y) - reach
    size = 2 * reach + 1
    height, width = image.shape
    window = np.full((size, size), outside, image.dtype)
    x0, x1 = max(left, 0), min(left + size, width)
    y0, y1 = max(top, 0), min(top + size, height)
    if x0 < x1 and y0 < y1:
        window[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return window


def _shrunk(window: NDArray[Any]) -> Floats:
    way = cv2.INTER_AREA if window.shape[0] > _PATCH else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(window, (_PATCH, _PATCH), interpolation=way), np.float32).ravel()


def _unit(patches: list[Floats]) -> Floats:
    stack = np.stack(patches)
    stack -= stack.mean(1, keepdims=True)
    return np.asarray(stack / np.maximum(np.linalg.norm(stack, axis=1, keepdims=True), 1e-3))


def _at_edge(drawing: Drawing) -> Floats:
    touching = np.zeros(drawing.count + 1, np.float32)
    for side in (
        drawing.marked[0],
        drawing.marked[-1],
        drawing.marked[:, 0],
        drawing.marked[:, -1],
    ):
        touching[side] = 1
    return touching[1:]


def _traced(drawing: Drawing) -> Floats:
    """How much of the line around a region is coloured trace, 0 to 1."""
    line = (drawing.marked == 0) & (drawing.darkness >= drawing.threshold)
    owner = drawing.filled[line]
    length = np.bincount(owner, minlength=drawing.count + 1)[1:]
    coloured = np.bincount(owner, drawing.trace[line] > 0, drawing.count + 1)[1:]
    return np.asarray(coloured / np.maximum(length, 1), np.float32)
