"""Frames of a short, at any size and instant, and the drawings behind them."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.synthetic.cel import Fill, Rgb
from tasks.synthetic.description import Short
from tasks.synthetic.raster import (
    Grid,
    Pixels,
    render,
    render_colouring,
    render_ids,
    render_lines,
)
from tasks.synthetic.staging import Composite, composite_at, scene_of

SMALL = 270
"""Below this height a line is about a pixel wide: 16 samples a pixel instead of 4."""

Time = int | Fraction
"""In frames of the film; whole for its own frames."""


def render_frame(short: Short, time: Time, *, scale: int = 1) -> Pixels:
    """The picture at `time`: (H·scale, W·scale, 3) uint8 full-range R'G'B', antialiased.

    The same arguments give the same pixels; frames of equal `picture_identity` are bit-identical.
    Between the drawings of frames k and k + 1 it is the true in-between; after a shot's last
    frame, that frame. IndexError beyond the film.
    """
    return render_composite(composite_at(short, time), grid(short, scale=scale))


def render_composite(picture: Composite, size: Grid) -> Pixels:
    """Pixels of a composite at a grid's size."""
    pixels = render(picture.scene, size)
    if picture.other is not None:
        beside = render(picture.other, size)
        mixed = cv2.addWeighted(beside, picture.share, pixels, 1 - picture.share, 0)
        pixels = np.asarray(mixed, np.uint8)
    if picture.level < 1:
        pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=picture.level), np.uint8)
    return pixels


def picture_identity(short: Short, time: Time) -> str:
    """A digest that is equal for two instants exactly when the whole picture is described alike."""
    return composite_at(short, time).identity()


def render_line_art(short: Short, frame: int, *, scale: int = 1) -> Pixels:
    """The drawing of a frame: black ink on white, shadow borders blue, light borders red.

    Characters, props and drawn effects only: backgrounds are paintings and have no line.
    """
    shot = short.shot_of(frame)
    return render_lines(scene_of(short, shot, Fraction(frame)), grid(short, scale=scale))


def render_painted(short: Short, frame: int, *, scale: int = 1) -> Pixels:
    """The colouring of `render_line_art`: ink and flat paint on white, no light, no background."""
    shot = short.shot_of(frame)
    return render_colouring(scene_of(short, shot, Fraction(frame)), grid(short, scale=scale))


def render_regions(short: Short, frame: int, *, scale: int = 1) -> NDArray[np.int32]:
    """Paint regions of a frame's drawing, (H, W): 0 paper, 1 line, else as in `region_colours`."""
    shot = short.shot_of(frame)
    ids = {name: i for i, (name, _) in region_colours(short, frame).items()}
    scene = scene_of(short, shot, Fraction(frame))
    return render_ids(scene, grid(short, scale=scale), ids)


def region_colours(short: Short, frame: int) -> dict[int, tuple[str, Rgb]]:
    """Region id → paint name and colour, the same through the whole shot of `frame`."""
    return _region_colours(short, short.shots.index(short.shot_of(frame)))


@lru_cache(maxsize=64)
def _region_colours(short: Short, index: int) -> dict[int, tuple[str, Rgb]]:
    shot = short.shots[index]
    paints: dict[str, Rgb] = {}
    for frame in range(shot.start, shot.end):
        for mark in scene_of(short, shot, Fraction(frame)).drawn():
            if isinstance(mark, Fill) and mark.region:
                paints.setdefault(mark.region, mark.colour)
    return {2 + i: (name, paints[name]) for i, name in enumerate(sorted(paints))}


def grid(short: Short, *, scale: int = 1) -> Grid:
    """The sampling grid of a short's frames, `scale` times as large; finer where they are small."""
    height = short.height * scale
    return Grid(short.width * scale, height, 2 if height >= SMALL else 4)
