"""A scene: everything under the rostrum camera at one instant, back to front."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.synthetic.cel import Fill, Mark, Rgb, mapped
from tasks.synthetic.curves import Matrix, affine

Painter = Literal[
    "sky", "mountains", "hills", "meadow", "grove", "town", "street", "skyline", "roof",
    "classroom", "cafe", "desk", "burst",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Painting:
    """A painted background: what, in which mood, and the part of the world it covers.

    `extent` is x0, y0, x1, y1 in world units; `blur` a soft focus in units; `detail` how much
    closer than 1:1 the camera comes, so that it is painted finely enough.
    """

    painter: Painter
    mood: str
    seed: int
    extent: tuple[float, float, float, float]
    blur: float = 0.0
    detail: float = 1.0


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A painting under the camera; `camera` is its world-to-screen map, row by row."""

    painting: Painting
    camera: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawing's marks, already under the camera."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Glow:
    """Soft light added around a point; radius in screen units."""

    x: float
    y: float
    radius: float
    colour: Rgb
    strength: float


@dataclass(frozen=True, slots=True)
class Tint:
    """A light gradient multiplied over the picture along (dx, dy), from one colour to another."""

    near: Rgb
    far: Rgb
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class Flash:
    """A flash frame: a wash of `colour` at `alpha`, or the picture's negative."""

    colour: Rgb = (255, 255, 255)
    alpha: float = 1.0
    negative: bool = False


Item = Backdrop | Drawn | Glow | Tint | Flash


@dataclass(frozen=True, slots=True)
class Scene:
    """Items back to front; screen units are centred, 900 to the picture's height."""

    items: tuple[Item, ...]

    def drawn(self) -> tuple[Mark, ...]:
        """Every mark of every drawing, back to front."""
        return tuple(m for item in self.items if isinstance(item, Drawn) for m in item.marks)


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera looks: world point at the centre of the picture, zoom and roll."""

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    roll: float = 0.0

    def matrix(self, *, depth: float = 1.0) -> Matrix:
        """World to screen for a layer; `depth` 0 is at infinity (it neither pans nor zooms)."""
        zoom = 1 + (self.zoom - 1) * depth
        m = affine(turn=self.roll, sx=zoom)
        m[:, 2] = -(m[:, :2] @ np.array([self.x * depth, self.y * depth]))
        return m


def under(camera: Camera, marks: list[Mark], *, depth: float = 1.0) -> Drawn:
    """A drawing placed under the camera."""
    return Drawn(tuple(mapped(marks, camera.matrix(depth=depth))))


def identity(items: tuple[Item, ...]) -> str:
    """A digest of everything that decides the picture: equal digests, equal pictures."""
    sha = hashlib.sha256()
    for item in items:
        sha.update(type(item).__name__.encode())
        if isinstance(item, Backdrop):
            sha.update(repr(item.painting).encode())
            sha.update(np.array(item.camera).tobytes())
        elif isinstance(item, Drawn):
            for mark in item.marks:
                _feed(sha, mark)
        else:
            sha.update(repr(item).encode())
    return sha.hexdigest()


def _feed(sha: hashlib._Hash, mark: Mark) -> None:
    sha.update(mark.points.tobytes())
    for bound in mark.clip:
        sha.update(bound.tobytes())
    if isinstance(mark, Fill):
        sha.update(repr((mark.colour, mark.region, mark.alpha)).encode())
    else:
        sha.update(mark.half.tobytes())
        sha.update(repr((mark.colour, mark.trace.value)).encode())
