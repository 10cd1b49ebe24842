"""Curves as an animator draws them: smooth through points, with corners where the pen lifts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(n, 2) x, y; y points down; the unit is 1/900 of the picture's height."""

Matrix = NDArray[np.float64]
"""(2, 3) affine map of points."""

STEPS = 7
"""Samples per drawn point: facets stay under a twentieth of a pixel at 720 lines."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A sampled curve; `corners` are the indices of samples where a stroke ends."""

    points: Points
    corners: tuple[int, ...] = ()
    closed: bool = True


def outline(drawn: Sequence[Sequence[float]], *, closed: bool = True) -> Outline:
    """A smooth curve through drawn points `(x, y)` or `(x, y, 1)`, where the 1 makes a corner."""
    points = np.array([row[:2] for row in drawn], np.float64)
    corners = [i for i, row in enumerate(drawn) if len(row) > 2 and row[2]]
    if not closed:
        corners = sorted({0, *corners, len(drawn) - 1})
    if not corners:
        return Outline(_catmull_rom(np.vstack([points[-1:], points, points[:2]])))
    pieces: list[Points] = []
    at: list[int] = []
    ends = zip(corners, corners[1:] if not closed else [*corners[1:], corners[0]], strict=False)
    length = 0
    for start, end in ends:
        stop = end if end > start else end + len(points)
        piece = points[np.arange(start, stop + 1) % len(points)]
        sampled = _catmull_rom(_with_ends(piece))
        at.append(length)
        length += len(sampled)
        pieces.append(sampled)
    if not closed:
        pieces.append(points[-1:])
        return Outline(np.vstack(pieces), (0, *at[1:], length), closed=False)
    return Outline(np.vstack(pieces), tuple(at))


def line(drawn: Sequence[Sequence[float]]) -> Outline:
    """An open smooth curve through drawn points."""
    return outline(drawn, closed=False)


def polygon(drawn: Sequence[Sequence[float]]) -> Outline:
    """A closed outline of straight edges: every point a corner."""
    points = np.array(drawn, np.float64)
    return Outline(points, tuple(range(len(points))))


def ellipse(
    x: float, y: float, rx: float, ry: float, *, turn: float = 0.0, samples: int = 40
) -> Outline:
    """An ellipse turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = rx * np.cos(angle), ry * np.sin(angle)
    return Outline(np.stack([x + u * cos - v * sin, y + u * sin + v * cos], 1))


def limb(joints: Sequence[Sequence[float]], widths: Sequence[float]) -> Outline:
    """The outline of a bending limb: half-widths `widths` about a smooth curve through `joints`.

    The far end is a corner on either side (a cuff, a hem); the near end is rounded into the body.
    """
    centre = line(joints).points
    at = np.linspace(0, 1, len(widths))
    half = np.interp(np.linspace(0, 1, len(centre)), at, widths)
    normal = normals(centre, closed=False)
    left, right = centre + normal * half[:, None], centre - normal * half[:, None]
    count = len(centre)
    return Outline(np.vstack([left, right[::-1]]), (0, count - 1, count, 2 * count - 1))


def moved(shape: Outline, *, x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> Outline:
    """The outline scaled about the origin, then shifted."""
    return Outline(shape.points * scale + (x, y), shape.corners, shape.closed)


def blend(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], t: float
) -> list[list[float]]:
    """Drawn points between two drawings with the same points; corners are those of `a`."""
    return [
        [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t, *p[2:]]
        for p, q in zip(a, b, strict=True)
    ]


def mirrored(drawn: Sequence[Sequence[float]]) -> list[list[float]]:
    """Drawn points mirrored about x = 0, in reverse order so that a half can be continued."""
    return [[-p[0], *p[1:]] for p in reversed(drawn)]


def affine(
    *, x: float = 0.0, y: float = 0.0, turn: float = 0.0, sx: float = 1.0, sy: float | None = None
) -> Matrix:
    """Scale, then turn (radians, clockwise on screen), then shift."""
    cos, sin = np.cos(turn), np.sin(turn)
    sy = sx if sy is None else sy
    return np.array([[cos * sx, -sin * sy, x], [sin * sx, cos * sy, y]], np.float64)


def compose(after: Matrix, before: Matrix) -> Matrix:
    """The map that does `before`, then `after`."""
    linear = after[:, :2] @ before[:, :2]
    shift = after[:, :2] @ before[:, 2] + after[:, 2]
    return np.hstack([linear, shift[:, None]])


def normals(points: Points, *, closed: bool) -> Points:
    """Unit normals at every sample (to the right of the direction of travel on screen)."""
    tangent = np.empty_like(points)
    tangent[1:-1] = points[2:] - points[:-2]
    if closed:
        tangent[0] = points[1] - points[-1]
        tangent[-1] = points[0] - points[-2]
    else:
        tangent[0] = points[1] - points[0]
        tangent[-1] = points[-1] - points[-2]
    length = np.hypot(tangent[:, 0], tangent[:, 1])
    length[length == 0] = 1.0
    out = np.empty_like(points)
    out[:, 0] = -tangent[:, 1] / length
    out[:, 1] = tangent[:, 0] / length
    return out


def strokes(shape: Outline) -> tuple[Points, ...]:
    """The outline as pen strokes: one per stretch between corners (closed curves end at start)."""
    points, corners = shape.points, shape.corners
    if not shape.closed:
        inner = [c for c in corners if 0 < c < len(points) - 1]
        ends = [0, *inner, len(points) - 1]
        return tuple(points[a : b + 1] for a, b in itertools.pairwise(ends))
    if not corners:
        return (np.vstack([points, points[:1]]),)
    looped = np.vstack([points[corners[0] :], points[: corners[0] + 1]])
    ends = [c - corners[0] for c in corners] + [len(points)]
    return tuple(looped[a : b + 1] for a, b in itertools.pairwise(ends))


def _with_ends(piece: Points) -> Points:
    first = 2 * piece[0] - piece[1]
    last = 2 * piece[-1] - piece[-2]
    return np.vstack([first, piece, last])


@cache
def _basis() -> NDArray[np.float64]:
    t = np.arange(STEPS) / STEPS
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], 1
    )


def _catmull_rom(points: Points) -> Points:
    """Samples of the uniform Catmull-Rom spline, the last point excluded; ends are padded."""
    count = len(points) - 3
    windows = np.empty((count, 4, 2))
    for i in range(4):
        windows[:, i] = points[i : count + i]
    return (_basis() @ windows).reshape(-1, 2)
