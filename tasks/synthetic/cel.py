"""A cel: what one drawing is made of, in the order the painter lays it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from tasks.synthetic.curves import Matrix, Outline, Points, compose, strokes

Rgb = tuple[int, int, int]
"""Full-range R'G'B', 0 to 255."""

INK: Rgb = (38, 28, 36)


class Trace(Enum):
    """What a line in the drawing means; shadow and light borders are coloured traces,
    PART the hair line about a small area that the finished picture leaves without one."""

    INK = "ink"
    SHADOW = "shadow"
    LIGHT = "light"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Fill:
    """A flat area. `clip` keeps it inside other outlines; `region` is "" for what is no paint.

    `alpha` below 1 is an effect laid over the paint (a ground shadow, a blush), not a region.
    """

    points: Points
    colour: Rgb
    region: str
    clip: tuple[Points, ...] = ()
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """A pen stroke: half-width `half` along `points`, clipped like a fill.

    `trace` INK shows in the finished picture; the others only in the line drawing.
    """

    points: Points
    half: Points
    colour: Rgb
    trace: Trace = Trace.INK
    clip: tuple[Points, ...] = ()


Mark = Fill | Stroke


@dataclass(slots=True)
class Cel:
    """Collects the marks of one drawing."""

    marks: list[Mark] = field(default_factory=list)

    def paint(
        self,
        shape: Outline,
        colour: Rgb,
        region: str,
        *,
        shadows: Iterable[Outline] = (),
        shadow: Rgb | None = None,
        lights: Iterable[Outline] = (),
        pen: float = 3.0,
        ink: Rgb = INK,
        clip: Outline | None = None,
        taper: float = 0.45,
    ) -> None:
        """A flat area with its shadow and light tones (kept inside it), then its line.

        `pen` is the line's width (0: none). The tones' borders are trace lines. `shadow` is the
        shadow's colour where the paint's usual one will not do (skin).
        """
        bound = () if clip is None else (clip.points,)
        self.marks.append(Fill(shape.points, colour, region, bound))
        for tone in shadows:
            self._tone(tone, shadow or shade_of(colour), f"{region} shadow", shape, Trace.SHADOW)
        for tone in lights:
            self._tone(tone, light_of(colour), f"{region} light", shape, Trace.LIGHT)
        if pen > 0:
            self.ink(shape, pen, colour=ink, taper=taper, clip=clip)
        else:
            self._hair_line(shape, Trace.PART, bound)

    def _tone(
        self, shape: Outline, colour: Rgb, region: str, within: Outline, trace: Trace
    ) -> None:
        self.marks.append(Fill(shape.points, colour, region, (within.points,)))
        self._hair_line(shape, trace, (within.points,))

    def _hair_line(self, shape: Outline, trace: Trace, clip: tuple[Points, ...]) -> None:
        for stroke in strokes(shape):
            half = np.full(len(stroke), 0.8)
            self.marks.append(Stroke(stroke, half, INK, trace, clip))

    def inside(self, shape: Outline, colour: Rgb, region: str, *within: Outline) -> None:
        """Flat paint kept inside other outlines, without a line in the finished picture."""
        bound = tuple(w.points for w in within)
        self.marks.append(Fill(shape.points, colour, region, bound))
        self._hair_line(shape, Trace.PART, bound)

    def ink(
        self,
        shape: Outline,
        pen: float,
        *,
        colour: Rgb = INK,
        taper: float = 0.45,
        clip: Outline | None = None,
    ) -> None:
        """Pen lines along an outline: heavier below and right, thin at the ends of a stroke."""
        bound = () if clip is None else (clip.points,)
        for stroke in strokes(shape):
            looped = shape.closed and not shape.corners
            half = pen_width(stroke, pen, taper=1.0 if looped else taper)
            self.marks.append(Stroke(stroke, half, colour, Trace.INK, bound))

    def veil(
        self, shape: Outline, colour: Rgb, alpha: float, *, within: Outline | None = None
    ) -> None:
        """A translucent area over what is there."""
        clip = () if within is None else (within.points,)
        self.marks.append(Fill(shape.points, colour, "", clip, alpha))

    def add(self, other: Cel, matrix: Matrix | None = None) -> None:
        """Another cel's marks on top, through `matrix`."""
        self.marks += other.marks if matrix is None else mapped(other.marks, matrix)


def pen_width(points: Points, pen: float, *, taper: float) -> Points:
    """Half-widths along a stroke: `taper` of the full width at its ends, swelling between.

    The swell has the slow unevenness of a hand: it depends on the stroke's shape, not on chance.
    """
    step = points[1:] - points[:-1]
    long = np.hypot(step[:, 0], step[:, 1]) + 1e-9
    arc = np.zeros(len(points))
    np.cumsum(long, out=arc[1:])
    swell = taper + (1 - taper) * np.abs(np.sin(np.pi / arc[-1] * arc)) ** 0.6 if taper < 1 else 1.0
    lean = np.empty(len(points))
    lean[:-1] = (0.35 * step[:, 0] - 0.94 * step[:, 1]) / long
    lean[-1] = lean[-2]
    hand = 1 + 0.12 * np.sin(arc * (2 * np.pi / 173.0) + 1.3) + 0.14 * lean
    return 0.5 * pen * swell * hand


def mapped(marks: list[Mark], matrix: Matrix) -> list[Mark]:
    """Marks through an affine map; pen widths scale with it."""
    linear, shift = matrix[:, :2].T, matrix[:, 2]
    (a, b), (c, d) = matrix[:, :2].tolist()
    scale = abs(a * d - b * c) ** 0.5

    seen: dict[int, Points] = {}

    def move(clip: tuple[Points, ...]) -> tuple[Points, ...]:
        for points in clip:
            if id(points) not in seen:
                seen[id(points)] = points @ linear + shift
        return tuple(seen[id(points)] for points in clip)

    out: list[Mark] = []
    for mark in marks:
        points = mark.points @ linear + shift
        if isinstance(mark, Fill):
            out.append(Fill(points, mark.colour, mark.region, move(mark.clip), mark.alpha))
        else:
            half = mark.half * scale
            out.append(Stroke(points, half, mark.colour, mark.trace, move(mark.clip)))
    return out


def chain(*maps: Matrix) -> Matrix:
    """Maps composed: the last is done first."""
    result = maps[0]
    for matrix in maps[1:]:
        result = compose(result, matrix)
    return result


def shade_of(colour: Rgb, *, amount: float = 1.0) -> Rgb:
    """The shadow tone of a paint: darker and cooler, as colour designers set it."""
    factors = (0.70, 0.66, 0.80)
    return _tone(colour, tuple(1 - amount * (1 - f) for f in factors), (6, 4, 14))


def skin_shade(colour: Rgb) -> Rgb:
    """The shadow tone of skin: redder, not greyer."""
    return _tone(colour, (0.86, 0.68, 0.66), (40, 8, 20))


def light_of(colour: Rgb, *, amount: float = 1.0) -> Rgb:
    """The highlight tone of a paint: towards warm white."""
    r, g, b = colour
    k = 0.42 * amount
    return _clip(r + (255 - r) * k, g + (250 - g) * k, b + (238 - b) * k)


def ink_of(colour: Rgb) -> Rgb:
    """A coloured ink for soft parts (skin, light hair): dark, in the paint's own hue."""
    return _tone(colour, (0.34, 0.24, 0.26), (10, 2, 8))


def _tone(colour: Rgb, factors: tuple[float, ...], lift: Rgb) -> Rgb:
    r, g, b = (c * f + k * (1 - f) for c, f, k in zip(colour, factors, lift, strict=True))
    return _clip(r, g, b)


def _clip(r: float, g: float, b: float) -> Rgb:
    return (
        round(min(max(r, 0), 255)),
        round(min(max(g, 0), 255)),
        round(min(max(b, 0), 255)),
    )
