"""The background painter's tools: washes, dabs, clouds and texture at any density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.synthetic.cel import Rgb
from tasks.synthetic.curves import Matrix, Points

Field = NDArray[np.float32]
"""(rows, columns) of a board, values in about [-1, 1]."""

SHIFT = 4


@dataclass(frozen=True, slots=True)
class Board:
    """A finished painting: premultiplied R'G'B', coverage (None: opaque) and its place."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    to_world: Matrix


class Easel:
    """A board being painted. All positions and sizes are world units."""

    def __init__(
        self, extent: tuple[float, float, float, float], density: float, seed: int, *, clear: bool
    ) -> None:
        self.x0, self.y0, self.x1, self.y1 = extent
        self.density = density
        self.columns = max(round((self.x1 - self.x0) * density), 1)
        self.rows = max(round((self.y1 - self.y0) * density), 1)
        self.rgb = np.zeros((self.rows, self.columns, 3), np.uint8)
        self.alpha = np.zeros((self.rows, self.columns), np.uint8) if clear else None
        self.chance = np.random.Generator(np.random.PCG64(seed))

    def finish(self, *, blur: float = 0.0) -> Board:
        """The painting, colour premultiplied by coverage, cut to the rows it covers."""
        rgb, alpha = self.rgb, self.alpha
        if alpha is not None:
            rgb = np.asarray(cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255), np.uint8)
        if blur > 0:
            rgb = self._soften(rgb, blur)
            alpha = None if alpha is None else self._soften(alpha, blur)
        top = 0
        if alpha is not None:
            covered = np.flatnonzero(alpha.any(axis=1))
            top, end = (int(covered[0]), int(covered[-1]) + 1) if len(covered) else (0, 1)
            rgb, alpha = rgb[top:end], alpha[top:end]
        to_world = np.array(
            [
                [1 / self.density, 0, self.x0 + 0.5 / self.density],
                [0, 1 / self.density, self.y0 + (top + 0.5) / self.density],
            ]
        )
        return Board(rgb, alpha, to_world)

    # -- fields -----------------------------------------------------------------------------

    def across(self) -> Field:
        """World x of every column, (1, columns)."""
        x = self.x0 + (np.arange(self.columns, dtype=np.float32) + 0.5) / self.density
        return np.asarray(x[None, :], np.float32)

    def down(self) -> Field:
        """World y of every row, (rows, 1)."""
        y = self.y0 + (np.arange(self.rows, dtype=np.float32) + 0.5) / self.density
        return np.asarray(y[:, None], np.float32)

    def noise(
        self, cell: float, *, octaves: int = 3, stretch: float = 1.0, gain: float = 0.5
    ) -> Field:
        """Smooth noise of features `cell` high, `stretch` times as wide; alike at any density."""
        total = np.zeros((self.rows, self.columns), np.float32)
        weight, whole = 1.0, 0.0
        for _ in range(octaves):
            wide = cell * stretch
            nx = int(np.ceil((self.x1 - self.x0) / wide)) + 1
            ny = int(np.ceil((self.y1 - self.y0) / cell)) + 1
            lattice = self.chance.uniform(-1, 1, (ny, nx)).astype(np.float32)
            size = (round(nx * wide * self.density), round(ny * cell * self.density))
            size = (max(size[0], self.columns), max(size[1], self.rows))
            how = cv2.INTER_CUBIC if cell * self.density >= 1 else cv2.INTER_AREA
            fine = cv2.resize(lattice, size, interpolation=how)
            total += np.float32(weight) * fine[: self.rows, : self.columns]
            whole += weight
            weight *= gain
            cell /= 2
        return total / np.float32(whole)

    # -- paint ------------------------------------------------------------------------------

    def gradient(self, stops: Sequence[tuple[float, Rgb]]) -> None:
        """Fill everything with a vertical gradient through `(y, colour)` stops."""
        y = self.down()[:, 0]
        at = [s[0] for s in stops]
        bands = np.stack([np.interp(y, at, [s[1][c] for s in stops]) for c in range(3)], 1)
        self.rgb[:] = np.rint(bands)[:, None, :].astype(np.uint8)
        if self.alpha is not None:
            self.alpha[:] = 255

    def area(self, points: Points | Sequence[Sequence[float]], colour: Rgb) -> None:
        """A flat polygon."""
        fixed = self._fixed(np.asarray(points, np.float64))
        cv2.fillPoly(self.rgb, [fixed], colour, cv2.LINE_AA, SHIFT)
        if self.alpha is not None:
            cv2.fillPoly(self.alpha, [fixed], 255, cv2.LINE_AA, SHIFT)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        """A flat rectangle."""
        self.area([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def dabs(
        self,
        centres: Points,
        sizes: Points,
        turns: NDArray[np.float64],
        colours: NDArray[np.float64],
    ) -> None:
        """Brush dabs, in order: `sizes` (n, 2) half-axes, `turns` radians, `colours` (n, 3)."""
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        u, v = np.cos(angle)[None] * sizes[:, :1], np.sin(angle)[None] * sizes[:, 1:]
        cos, sin = np.cos(turns)[:, None], np.sin(turns)[:, None]
        ring = np.stack([u * cos - v * sin, u * sin + v * cos], 2) + centres[:, None, :]
        fixed = self._fixed(ring)
        paints = np.clip(np.rint(colours), 0, 255).astype(int).tolist()
        for shape, paint in zip(fixed, paints, strict=True):
            cv2.fillPoly(self.rgb, [shape], paint, cv2.LINE_AA, SHIFT)
        if self.alpha is not None:
            for shape in fixed:
                cv2.fillPoly(self.alpha, [shape], 255, cv2.LINE_AA, SHIFT)

    def mottle(self, amount: float, *, cell: float = 60.0, stretch: float = 1.0) -> None:
        """Uneven pigment: brightness varies by `amount` (a part of it)."""
        field = self.noise(cell, octaves=5, stretch=stretch, gain=0.7)
        gain = np.rint(128 * (1 + amount * field)).astype(np.uint8)
        self.rgb = np.asarray(
            cv2.multiply(self.rgb, cv2.merge([gain] * 3), scale=1 / 128), np.uint8
        )

    def light(self, gain: Field) -> None:
        """Multiply brightness by a field (rows, columns) in [0, 2)."""
        step = np.rint(np.clip(gain, 0, 1.99) * 128).astype(np.uint8)
        full = np.broadcast_to(step, (self.rows, self.columns))
        self.rgb = np.asarray(
            cv2.multiply(self.rgb, cv2.merge([full] * 3), scale=1 / 128), np.uint8
        )

    def tinge(self, colour: Rgb, cover: Field) -> None:
        """Glaze towards a colour; `cover` (rows, columns) in [0, 1]."""
        k = np.clip(np.broadcast_to(cover, (self.rows, self.columns)), 0, 1)[..., None]
        mixed = self.rgb + (np.array(colour, np.float32) - self.rgb) * k
        self.rgb = np.rint(mixed).astype(np.uint8)

    def smear(self, reach: float, *, cell: float = 26.0) -> None:
        """Drag the wet paint: hard edges become a hand's edges."""
        x = np.arange(self.columns, dtype=np.float32)[None, :]
        y = np.arange(self.rows, dtype=np.float32)[:, None]
        step = np.float32(reach * self.density)
        map_x = x + step * self.noise(cell, octaves=3)
        map_y = y + step * self.noise(cell, octaves=3)
        mode = cv2.BORDER_REPLICATE
        self.rgb = np.asarray(
            cv2.remap(self.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=mode), np.uint8
        )
        if self.alpha is not None:
            self.alpha = np.asarray(
                cv2.remap(self.alpha, map_x, map_y, cv2.INTER_LINEAR, borderMode=mode), np.uint8
            )

    def blur(self, radius: float) -> None:
        """Soften everything painted so far."""
        self.rgb = self._soften(self.rgb, radius)
        if self.alpha is not None:
            self.alpha = self._soften(self.alpha, radius)

    def halo(self, x: float, y: float, radius: float, colour: Rgb, strength: float) -> None:
        """Soft light around a point."""
        far = np.hypot(self.across() - np.float32(x), self.down() - np.float32(y))
        self.tinge(colour, np.clip(1 - far / np.float32(radius), 0, 1) ** 2 * np.float32(strength))

    def _soften(self, pixels: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
        sigma = max(radius * self.density / 2, 0.1)
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        samples = (points - (self.x0, self.y0)) * self.density - 0.5
        return np.rint(samples * (1 << SHIFT)).astype(np.int32)
