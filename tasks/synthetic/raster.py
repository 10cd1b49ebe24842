"""Pixels from a scene: supersampled polygons, so that any size shows the same drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.synthetic.cel import INK, Fill, Mark, Rgb, Trace
from tasks.synthetic.curves import Points, affine, compose, normals
from tasks.synthetic.painting import painted
from tasks.synthetic.scene import Backdrop, Drawn, Flash, Glow, Item, Scene, Tint

Pixels = NDArray[np.uint8]
"""(H, W, 3) full-range R'G'B'."""

UNITS = 900.0
SHIFT = 4
SPREAD = 0.65
"""cv2's antialiased fill reaches this far (pixels) beyond a polygon: measured on discs of radius
5, 20 and 50; LINE_8 reaches .55. Polygons are drawn in by as much."""
PAPER: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)
TRACES: dict[Trace, Rgb] = {Trace.SHADOW: (70, 120, 225), Trace.LIGHT: (230, 90, 80)}
INKED = 1
"""Region id of line pixels; 0 is paper, regions start at 2."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The sampling grid: output size and samples per pixel edge."""

    width: int
    height: int
    samples: int = 2

    @property
    def per_unit(self) -> float:
        """Samples per screen unit."""
        return self.height * self.samples / UNITS

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of samples."""
        return self.height * self.samples, self.width * self.samples

    def place(self, points: Points) -> Points:
        """Screen units to sample coordinates (sample centres are whole numbers)."""
        rows, columns = self.shape
        return points * self.per_unit + ((columns - 1) / 2, (rows - 1) / 2)

    def down(self, samples: Pixels) -> Pixels:
        """Samples averaged to pixels."""
        if self.samples == 1:
            return samples
        size = (self.width, self.height)
        return np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), np.uint8)


def render(scene: Scene, grid: Grid) -> Pixels:
    """The finished picture of a scene."""
    first = next(
        (i for i, item in enumerate(scene.items) if not isinstance(item, Backdrop)),
        len(scene.items),
    )
    ground = tuple(item for item in scene.items[:first] if isinstance(item, Backdrop))
    canvas = painted_ground(ground, grid).copy()
    for item in scene.items[first:]:
        canvas = _lay(canvas, item, grid)
    return grid.down(canvas)


def render_lines(scene: Scene, grid: Grid) -> Pixels:
    """The drawing before paint: ink black on white, shadow borders blue, light borders red."""
    canvas = np.full((*grid.shape, 3), 255, np.uint8)
    for mark in scene.drawn():
        if isinstance(mark, Fill):
            if mark.alpha == 1 and not mark.region.endswith(_TONES):
                _mark(canvas, mark, grid, BLACK if mark.colour == INK else PAPER)
        else:
            _mark(canvas, mark, grid, TRACES.get(mark.trace, BLACK))
    return grid.down(canvas)


def render_colouring(scene: Scene, grid: Grid) -> Pixels:
    """The painted drawing on white paper: lines and flat paint, no background, no effects."""
    canvas = np.full((*grid.shape, 3), 255, np.uint8)
    for mark in scene.drawn():
        if (isinstance(mark, Fill) and mark.region) or _is_ink(mark):
            _mark(canvas, mark, grid, mark.colour)
    return grid.down(canvas)


def render_ids(scene: Scene, grid: Grid, ids: Mapping[str, int]) -> NDArray[np.int32]:
    """Region ids (H, W): 0 paper, 1 line, else `ids` of the paint at the pixel's centre."""
    fine = Grid(grid.width, grid.height, 4)
    canvas = np.zeros(fine.shape, np.int16)
    for mark in scene.drawn():
        if isinstance(mark, Fill) and mark.region:
            _mark_id(canvas, mark, fine, ids[mark.region])
        elif _is_ink(mark):
            _mark_id(canvas, mark, fine, INKED)
    return canvas[2::4, 2::4].astype(np.int32)


_TONES = (" shadow", " light")


def _is_ink(mark: Mark) -> bool:
    return not isinstance(mark, Fill) and mark.trace is Trace.INK


def _lay(canvas: Pixels, item: Item, grid: Grid) -> Pixels:
    if isinstance(item, Backdrop):
        return _backdrop(canvas, item, grid)
    if isinstance(item, Drawn):
        for mark in item.marks:
            if isinstance(mark, Fill) or mark.trace is Trace.INK:
                _mark(canvas, mark, grid, mark.colour)
        return canvas
    if isinstance(item, Glow):
        return _glow(canvas, item, grid)
    if isinstance(item, Tint):
        return _tint(canvas, item, grid)
    return _flash(canvas, item)


@lru_cache(maxsize=3)
def painted_ground(layers: tuple[Backdrop, ...], grid: Grid) -> Pixels:
    """The backmost paintings together: kept, since the camera often rests."""
    canvas = np.zeros((*grid.shape, 3), np.uint8)
    for layer in layers:
        canvas = _backdrop(canvas, layer, grid)
    return canvas


def _backdrop(canvas: Pixels, item: Backdrop, grid: Grid) -> Pixels:
    rows, columns = grid.shape
    board = painted(item.painting, grid.per_unit * item.painting.detail)
    to_samples = affine(x=(columns - 1) / 2, y=(rows - 1) / 2, sx=grid.per_unit)
    camera = np.array(item.camera).reshape(2, 3)
    matrix = compose(to_samples, compose(camera, board.to_world))
    if board.alpha is None:
        how = cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.warpAffine(
                board.rgb, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=how
            ),
            np.uint8,
        )
    high, wide = board.alpha.shape
    corners = np.array([[0.0, 0.0], [wide, 0.0], [0.0, high], [wide, high]])
    box = _box(corners @ matrix[:, :2].T + matrix[:, 2], canvas.shape)
    if box is None:
        return canvas
    x0, y0, x1, y1 = box
    matrix[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    flat = cv2.warpAffine(board.rgb, matrix, size, flags=cv2.INTER_LINEAR)
    clear = 255 - cv2.warpAffine(board.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    part = canvas[y0:y1, x0:x1]
    cv2.add(cv2.multiply(part, cv2.merge([clear] * 3), scale=1 / 255), flat, part)
    return canvas


def _mark(canvas: Pixels, mark: Mark, grid: Grid, colour: Rgb) -> None:
    shape = _polygon(mark, grid, SPREAD)
    alpha = mark.alpha if isinstance(mark, Fill) else 1.0
    if not mark.clip and alpha == 1:
        cv2.fillPoly(canvas, [_fixed(shape)], colour, cv2.LINE_AA, SHIFT)
        return
    box = _box(shape, canvas.shape)
    if box is None:
        return
    x0, y0, x1, y1 = box
    part = canvas[y0:y1, x0:x1]
    over = part.copy()
    cv2.fillPoly(over, [_fixed(shape - (x0, y0))], colour, cv2.LINE_AA, SHIFT)
    if alpha < 1:
        over = np.asarray(cv2.addWeighted(over, alpha, part, 1 - alpha, 0), np.uint8)
    if not mark.clip:
        part[:] = over
        return
    cv2.copyTo(over, _clip_mask(mark, grid, box), part)


def _mark_id(canvas: NDArray[np.int16], mark: Mark, grid: Grid, value: int) -> None:
    shape = _polygon(mark, grid, 0.55)
    if not mark.clip:
        cv2.fillPoly(canvas, [_fixed(shape)], value, cv2.LINE_8, SHIFT)
        return
    box = _box(shape, canvas.shape)
    if box is None:
        return
    x0, y0, x1, y1 = box
    own = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(own, [_fixed(shape - (x0, y0))], 255, cv2.LINE_8, SHIFT)
    own &= _clip_mask(mark, grid, box)
    canvas[y0:y1, x0:x1][own.astype(bool)] = value


def _clip_mask(mark: Mark, grid: Grid, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """255 where every clip outline covers, within the box."""
    x0, y0, x1, y1 = box
    mask = np.full((y1 - y0, x1 - x0), 255, np.uint8)
    for bound in mark.clip:
        one = np.zeros_like(mask)
        inner = _inset(grid.place(bound) - (x0, y0), 0.55)
        cv2.fillPoly(one, [_fixed(inner)], 255, cv2.LINE_8, SHIFT)
        mask &= one
    return mask


def _polygon(mark: Mark, grid: Grid, spread: float) -> Points:
    points = grid.place(mark.points)
    if isinstance(mark, Fill):
        return _inset(points, spread)
    half = np.maximum(mark.half * grid.per_unit - spread, 0.0)[:, None]
    normal = normals(points, closed=False)
    if np.array_equal(points[0], points[-1]):
        ends = normal[0] + normal[-1]
        normal[0] = normal[-1] = ends / max(float(np.hypot(*ends)), 1e-9)
    return np.vstack([points + normal * half, (points - normal * half)[::-1]])


def _inset(points: Points, by: float) -> Points:
    x, y = points[:, 0], points[:, 1]
    area = x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]
    side = 1.0 if area > 0 else -1.0
    return points + normals(points, closed=True) * (by * side)


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def _box(points: Points, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    low = np.floor(points.min(0)).astype(int) - 2
    high = np.ceil(points.max(0)).astype(int) + 3
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _glow(canvas: Pixels, item: Glow, grid: Grid) -> Pixels:
    centre = grid.place(np.array([[item.x, item.y]]))[0]
    radius = item.radius * grid.per_unit
    box = _box(np.array([centre - radius, centre + radius]), canvas.shape)
    if box is None or item.strength <= 0:
        return canvas
    x0, y0, x1, y1 = box
    dx = (np.arange(x0, x1, dtype=np.float32) - np.float32(centre[0])) / np.float32(radius)
    dy = (np.arange(y0, y1, dtype=np.float32) - np.float32(centre[1])) / np.float32(radius)
    fall = np.clip(1 - (dx * dx)[None, :] - (dy * dy)[:, None], 0, 1) ** 2
    light = fall[..., None] * (np.array(item.colour, np.float32) * np.float32(item.strength))
    part = canvas[y0:y1, x0:x1]
    part[:] = cv2.add(part, np.rint(light).astype(np.uint8))
    return canvas


def _tint(canvas: Pixels, item: Tint, grid: Grid) -> Pixels:
    return np.asarray(cv2.multiply(canvas, _tint_gain(item, grid), scale=1 / 255), np.uint8)


@lru_cache(maxsize=8)
def _tint_gain(item: Tint, grid: Grid) -> Pixels:
    rows, columns = grid.shape
    x = (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / rows
    y = (np.arange(rows, dtype=np.float32) + 0.5 - rows / 2) / rows
    along = np.clip(0.5 + item.dx * x[None, :] + item.dy * y[:, None], 0, 1)
    near, far = np.array(item.near, np.float32), np.array(item.far, np.float32)
    return np.rint(near + (far - near) * along[..., None]).astype(np.uint8)


def _flash(canvas: Pixels, item: Flash) -> Pixels:
    if item.negative:
        return 255 - canvas
    wash = np.empty_like(canvas)
    wash[:] = item.colour
    return np.asarray(cv2.addWeighted(wash, item.alpha, canvas, 1 - item.alpha, 0), np.uint8)
