"""Endless procedural cartoon drawings to train on: paint, ink, painted backdrops, lettering.

No picture from outside goes in. Drawing i of a seed is always the same picture. Shapes are filled
three times too large without anti-aliasing and reduced by area, then finished the way real
masters differ: sharp, slightly soft, soft backdrop, a little grain.
"""

from __future__ import annotations

import colorsys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[int, int, int]

SUPERSAMPLE = 3
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdeghikmnorstuvwz0123456789?!"


def draw(seed: int, index: int, *, edge: int) -> Canvas:
    """Drawing `index` of `seed`: (edge, edge, 3) uint8 R'G'B', full range."""
    rng = np.random.default_rng((seed, index))
    canvas = _backdrop(rng, edge * SUPERSAMPLE)
    if rng.random() < 0.35:  # depth of field: a soft backdrop behind sharp figures
        _soften(canvas, rng.uniform(1, 5) * SUPERSAMPLE)
    for _ in range(rng.integers(1, 5)):
        _figure(rng, canvas)
    if rng.random() < 0.5:
        _hair(rng, canvas)
    if rng.random() < 0.5:
        _eyes(rng, canvas)
    for _ in range(rng.integers(0, 5)):
        _ink(canvas, _arc(rng, len(canvas)), _pen(rng), _colour(rng, dark=rng.random() < 0.8))
    if rng.random() < 0.3:
        _lettering(rng, canvas)
    reduced = cv2.resize(canvas, (edge, edge), interpolation=cv2.INTER_AREA)
    return _finish(rng, reduced.astype(np.float32))


def _colour(rng: np.random.Generator, *, dark: bool = False) -> Colour:
    value = rng.uniform(0.02, 0.3) if dark else rng.uniform(0.2, 1.0)
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.beta(1.3, 1.8), value)
    return (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))


def _near(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    moved = np.clip(np.array(colour) + rng.normal(0, spread, 3) + rng.normal(0, spread), 0, 255)
    return (int(moved[0]), int(moved[1]), int(moved[2]))


def _shade(colour: Colour, factor: float) -> Colour:
    return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))


def _pen(rng: np.random.Generator) -> float:
    """A line's full width in canvas pixels: 0.5 to 5 pixels of the drawing, mostly thin."""
    return float(np.exp(rng.uniform(np.log(0.5), np.log(5.0)))) * SUPERSAMPLE


def _fill(canvas: Canvas, points: Points, colour: Colour) -> None:
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], colour, shift=4)


def _blob(rng: np.random.Generator, centre: Points, radius: float) -> Points:
    """A closed curve: a circle bent by a few harmonics, sometimes angular."""
    corners = int(rng.integers(4, 9)) if rng.random() < 0.3 else 96
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 7)
    reach = np.ones(corners)
    for harmonic in range(1, 6):
        reach += rng.normal(0, 0.3 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 7))
    stretch = rng.uniform(0.5, 1.5, 2)
    outline = np.stack([np.cos(angle), np.sin(angle)], 1) * stretch
    return centre + radius * np.maximum(reach, 0.15)[:, None] * outline


def _arc(rng: np.random.Generator, size: int) -> Points:
    """An open cubic Bézier curve somewhere on the canvas."""
    start = rng.uniform(0, size, 2)
    knots = start + np.cumsum(rng.normal(0, size * rng.uniform(0.05, 0.4), (4, 2)), 0)
    t = np.linspace(0, 1, 40)[:, None]
    a, b, c, d = knots
    curve: Points = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3
    return curve


def _ink(canvas: Canvas, points: Points, width: float, colour: Colour, taper: bool = True) -> None:
    """A stroke along the points; tapered strokes thin out towards both ends."""
    along = np.gradient(points, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    profile = (
        np.sin(np.linspace(0.05, np.pi - 0.05, len(points))) if taper else np.ones(len(points))
    )
    side = normal * (profile * width / 2)[:, None]
    for near, far in zip(range(len(points) - 1), range(1, len(points)), strict=True):
        quad = [points[near] + side[near], points[far] + side[far]]
        quad += [points[far] - side[far], points[near] - side[near]]
        _fill(canvas, np.array(quad), colour)


def _outline(canvas: Canvas, points: Points, width: float, colour: Colour) -> None:
    closed = [np.round(points * 16).astype(np.int32)]
    cv2.polylines(canvas, closed, True, colour, max(1, round(width)), shift=4)


def _figure(rng: np.random.Generator, canvas: Canvas) -> None:
    """A painted shape with a shadow, a light, inner lines and an ink outline."""
    size = len(canvas)
    centre = rng.uniform(0, size, 2)
    radius = size * rng.uniform(0.08, 0.4)
    body, paint = _blob(rng, centre, radius), _colour(rng)
    inside = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(body * 16).astype(np.int32)], 255, shift=4)
    layer = canvas.copy()
    _fill(layer, body, paint)
    for factor in rng.uniform(0.55, 1.25, rng.integers(0, 4)):
        tone = _shade(paint, factor) if factor < 1 else _near(rng, paint, 25)
        _fill(layer, _blob(rng, centre + rng.normal(0, radius, 2), radius), tone)
    line = _colour(rng, dark=True) if rng.random() < 0.6 else _shade(paint, rng.uniform(0.2, 0.7))
    pen = _pen(rng)
    for _ in range(rng.integers(0, 6)):
        stroke = centre + (_arc(rng, size) - size / 2) * (1.5 * radius / size)
        _ink(layer, stroke, pen, line, taper=rng.random() < 0.8)
    canvas[inside > 0] = layer[inside > 0]
    if rng.random() < 0.85:
        _outline(canvas, body, pen, line)


def _hair(rng: np.random.Generator, canvas: Canvas) -> None:
    """A fan of tapered locks with fine lines between them."""
    size = len(canvas)
    root, paint = rng.uniform(0.1, 0.9, 2) * size, _colour(rng, dark=rng.random() < 0.5)
    line, pen = _shade(paint, rng.uniform(0.2, 0.8)), _pen(rng) / 2
    heading, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 2)
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(rng.integers(4, 16)):
        angle, length = heading + rng.normal(0, spread / 2), size * rng.uniform(0.15, 0.5)
        direction = np.array([np.cos(angle), np.sin(angle)])
        bend = np.array([-direction[1], direction[0]]) * rng.normal(0, 0.25) * length
        lock = root + rng.normal(0, size * 0.03, 2) + direction * length * t + bend * t**2
        _ink(canvas, lock, size * rng.uniform(0.01, 0.07), _near(rng, paint, 6))
        _ink(canvas, lock + rng.normal(0, size * 0.01, 2), pen, line)


def _eyes(rng: np.random.Generator, canvas: Canvas) -> None:
    size = len(canvas)
    across, down = rng.uniform(0.02, 0.09, 2) * size
    centre, tilt, iris = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(-20, 20), _colour(rng)
    for at in (centre, centre + np.array([across * rng.uniform(2.5, 4), rng.normal(0, 5)])):
        spot = (int(at[0]), int(at[1]))
        for scale, colour in ((1.0, (245, 245, 245)), (0.7, iris), (0.4, (12, 10, 16))):
            axes = (max(1, int(across * scale)), max(1, int(down * scale)))
            cv2.ellipse(canvas, spot, axes, tilt, 0, 360, colour, -1)
        glint = (int(at[0] - across * 0.25), int(at[1] - down * 0.3))
        cv2.circle(canvas, glint, max(1, int(across * 0.18)), (255, 255, 255), -1)
        pen = max(1, round(_pen(rng)))
        lid = (int(across * 1.1), int(down * 1.05))
        cv2.ellipse(canvas, spot, lid, tilt, 190, 350, (20, 14, 18), pen)


def _lettering(rng: np.random.Generator, canvas: Canvas) -> None:
    size = len(canvas)
    for _ in range(rng.integers(1, 4)):
        text = "".join(rng.choice(list(_LETTERS), rng.integers(2, 12)))
        at = (int(rng.uniform(-0.1, 0.7) * size), int(rng.uniform(0.05, 1) * size))
        font, scale = _FONTS[rng.integers(len(_FONTS))], rng.uniform(0.3, 1.6) * SUPERSAMPLE
        pen = max(1, round(scale * rng.uniform(0.8, 3)))
        if rng.random() < 0.6:
            cv2.putText(canvas, text, at, font, scale, _colour(rng, dark=True), pen * 3)
        cv2.putText(canvas, text, at, font, scale, _colour(rng), pen)


def _backdrop(rng: np.random.Generator, size: int) -> Canvas:
    top, bottom = np.array(_colour(rng), float), np.array(_colour(rng), float)
    kind = rng.random()
    if kind < 0.15:
        return np.full((size, size, 3), top, np.uint8)
    ramp = np.linspace(0, 1, size)[:, None, None]
    smooth = top * (1 - ramp) + bottom * ramp + np.zeros((1, size, 1))
    if rng.random() < 0.5:
        smooth = smooth.transpose(1, 0, 2)
    canvas = np.ascontiguousarray(smooth).astype(np.uint8)
    if kind < 0.35:
        return canvas
    canvas = _mottled(rng, canvas)
    if kind < 0.6:
        _brushwork(rng, canvas)
    elif kind < 0.8:
        _boards(rng, canvas)
    return canvas


def _mottled(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Paint that varies: noise at several scales, stretched one way like grain in wood."""
    size = len(canvas)
    stretch = float(rng.choice([1.0, 1.0, 6.0, 15.0]))
    total = canvas.astype(np.float32)
    for cells in (3, 8, 24, 70, 180):
        across = max(2, round(cells / stretch))
        coarse = rng.normal(0, 1, (cells, across, 1)) + 0.3 * rng.normal(0, 1, (cells, across, 3))
        strength = rng.uniform(0, 45) / cells**0.4
        field = cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        total += strength * (field if rng.random() < 0.5 else field.transpose(1, 0, 2))
    return np.clip(total, 0, 255).astype(np.uint8)


def _brushwork(rng: np.random.Generator, canvas: Canvas) -> None:
    """Leaves, grass or dabs of a brush: many small shapes of neighbouring colours."""
    size = len(canvas)
    base, spread = _colour(rng), rng.uniform(5, 45)
    length = np.exp(rng.uniform(np.log(0.008), np.log(0.08))) * size
    heading, wander, slim = rng.uniform(0, 360), rng.choice([8.0, 60.0, 180.0]), rng.uniform(0.1, 1)
    for _ in range(rng.integers(100, 900)):
        at = rng.uniform(0, size, 2).astype(int)
        long = max(1, int(length * rng.uniform(0.4, 1.6)))
        axes = (long, max(1, int(long * slim)))
        turn = heading + rng.uniform(-wander, wander)
        colour = _near(rng, base, spread)
        cv2.ellipse(canvas, (int(at[0]), int(at[1])), axes, turn, 0, 360, colour, -1)


def _boards(rng: np.random.Generator, canvas: Canvas) -> None:
    """Planks, tiles or windows in a slight perspective: straight edges in both directions."""
    size = len(canvas)
    vanish = np.array([rng.uniform(-2, 3), rng.uniform(-6, -1)]) * size
    colour, pen = _colour(rng, dark=True), _pen(rng)
    upright = rng.random() < 0.5
    for place in np.arange(0, size, size * rng.uniform(0.02, 0.2)):
        foot = np.array([place * 3 - size, size * 1.1])
        line = np.stack([foot, foot + (vanish - foot) * 0.8])
        _ink(canvas, line if upright else line[:, ::-1], pen, colour, taper=False)
        if rng.random() < 0.4:
            level = np.array([[0.0, place], [float(size), place + rng.normal(0, 8)]])
            _ink(canvas, level if upright else level[:, ::-1], pen / 2, colour, taper=False)


def _soften(picture: NDArray[Any], sigma: float) -> None:
    cv2.GaussianBlur(picture, (0, 0), sigma, dst=picture)


def _finish(rng: np.random.Generator, signal: NDArray[np.float32]) -> Canvas:
    """Sharp or soft as masters are, sometimes with grain; turned at random."""
    if rng.random() < 0.7:
        _soften(signal, rng.uniform(0.25, 1.0))
    if rng.random() < 0.15:
        signal += rng.normal(0, rng.uniform(0.3, 2), signal.shape).astype(np.float32)
    turned = np.rot90(signal, int(rng.integers(4)))
    return np.ascontiguousarray(np.rint(np.clip(turned, 0, 255)).astype(np.uint8))
