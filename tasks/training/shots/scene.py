"""What is in a shot: layers back to front, their shapes, paints and ways, drawn from a seed.

Lengths are in half picture heights, angles in radians, times in frames, colours R'G'B' 0 to 1.
A way is five numbers (start, speed, swing, turns a frame, phase) of
`start + speed t + swing sin(2 pi (turns t + phase))`.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LAYERS = 20
HARMONICS = 5
CELLS = 5
"""Regions that a layer is parted into at most."""
TEXTURES = 12
_FAR = 50.0
_LAYER_WAYS = (
    *("angle", "bend_x", "bend_y", "grow", "swell"),
    *("figure_x", "figure_y", "figure_angle"),
)
_SCENERY, _FIGURES, _PARTS = 4, 2, 7
_Rng = np.random.Generator
_Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """A batch of B scenes of `LAYERS` layers; every tensor begins with (B,) or (B, LAYERS).

    `plane` marks layers without an edge. `figure` numbers the figure that a layer belongs to (0:
    scenery). `harmonics` (…, HARMONICS, 2) are amplitude and phase of the outline's radius.
    `place` (…, 2) is where the layer hangs from its figure's pivot. Ways (…, 5): `angle`,
    `bend_x`, `bend_y`, `grow`, `swell` of a layer, `figure_x`, `figure_y`, `figure_angle` shared
    by a figure's layers; `camera` (B, 4, 5) is pan x, pan y, log zoom, roll. `step` is on how
    many frames a layer is animated (0: held), `step_shift` where its steps begin. `seeds`
    (…, CELLS, 2) part a layer into regions in colours `paint` (…, CELLS, 3). `light` (B, 3) is
    the frame of a flash or the middle of a fade, its length in frames, its strength.
    """

    plane: Tensor
    figure: Tensor
    size: Tensor
    harmonics: Tensor
    place: Tensor
    angle: Tensor
    bend_x: Tensor
    bend_y: Tensor
    grow: Tensor
    swell: Tensor
    figure_x: Tensor
    figure_y: Tensor
    figure_angle: Tensor
    camera: Tensor
    parallax: Tensor
    step: Tensor
    step_shift: Tensor
    seeds: Tensor
    paint: Tensor
    gradient: Tensor
    shade: Tensor
    texture: Tensor
    texture_scale: Tensor
    texture_strength: Tensor
    patches: Tensor
    ink: Tensor
    line: Tensor
    inner_line: Tensor
    light: Tensor

    def __len__(self) -> int:
        return len(self.plane)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.plane.device

    @property
    def palette(self) -> Tensor:
        """(B, LAYERS * CELLS, 3): the paint of region r at [r - 1] (see `Rendering.region`)."""
        return self.paint.flatten(1, 2)

    def to(self, device: torch.device | str) -> Scenes:
        """The same scenes on another device."""
        moved = {field.name: getattr(self, field.name).to(device) for field in fields(self)}
        return Scenes(**moved)


def draw_scenes(*, seed: int, first: int, count: int, liveliness: float = 1.0) -> Scenes:
    """Scenes `first` to `first + count` of the endless series of `seed`, on the CPU.

    `liveliness` multiplies every motion.
    """
    drawn = [_scene(np.random.default_rng((seed, first + at)), liveliness) for at in range(count)]
    stacked: dict[str, Tensor] = {}
    for name in drawn[0]:
        values = np.stack([scene[name] for scene in drawn])
        kind = torch.float32 if values.dtype.kind == "f" else None
        stacked[name] = torch.from_numpy(values).to(kind) if kind else torch.from_numpy(values)
    return Scenes(**stacked)


def _scene(rng: _Rng, liveliness: float) -> dict[str, _Array]:
    layers = _blank()
    _backdrop(rng, layers)
    for at in range(1, _SCENERY):
        _piece_of_scenery(rng, layers, at)
    at = _SCENERY
    for figure in range(1, _FIGURES + 1):
        _figure(rng, layers, at, figure, liveliness)
        at += _PARTS
    while at < LAYERS:
        _foreground(rng, layers, at, liveliness)
        at += 1
    layers["camera"] = _camera(rng, liveliness)
    layers["light"] = _light(rng)
    return layers


def _blank() -> dict[str, _Array]:
    way = np.zeros((LAYERS, 5))
    return {
        "plane": np.zeros(LAYERS, bool),
        "figure": np.zeros(LAYERS, np.int64),
        "size": np.full((LAYERS, 2), 0.2),
        "harmonics": np.zeros((LAYERS, HARMONICS, 2)),
        "place": np.full((LAYERS, 2), _FAR),
        **{name: way.copy() for name in _LAYER_WAYS},
        "parallax": np.ones(LAYERS),
        "step": np.ones(LAYERS),
        "step_shift": np.zeros(LAYERS),
        "seeds": np.full((LAYERS, CELLS, 2), _FAR),
        "paint": np.zeros((LAYERS, CELLS, 3)),
        "gradient": np.zeros((LAYERS, 2)),
        "shade": np.tile([1.0, 0.0, _FAR, 1.0], (LAYERS, 1)),
        "texture": np.zeros(LAYERS, np.int64),
        "texture_scale": np.ones(LAYERS),
        "texture_strength": np.zeros(LAYERS),
        "patches": np.zeros(LAYERS),
        "ink": np.zeros((LAYERS, 3)),
        "line": np.zeros((LAYERS, 3)),
        "inner_line": np.zeros(LAYERS),
    }


def _backdrop(rng: _Rng, layers: dict[str, _Array]) -> None:
    layers["plane"][0] = True
    layers["place"][0] = 0
    layers["size"][0] = rng.uniform(1.0, 2.0)
    layers["parallax"][0] = rng.uniform(0.3, 1.0)
    _paint(rng, layers, 0, _palette(rng, CELLS), cells=int(rng.choice([1, 1, 2, 4])))
    layers["gradient"][0] = rng.normal(0, 0.3, 2)
    _texture(rng, layers, 0, strength=_log(rng, 0.02, 0.5), scale=rng.uniform(0.1, 0.6))
    layers["patches"][0] = rng.choice([0, 0, 0.5, 1.0]) * rng.uniform(0.3, 1)
    layers["inner_line"][0] = 0


def _piece_of_scenery(rng: _Rng, layers: dict[str, _Array], at: int) -> None:
    if rng.random() < 0.25:
        return
    _outline(rng, layers, at, angular=rng.random() < 0.5)
    layers["size"][at] = _log(rng, 0.15, 1.2, 2)
    layers["place"][at] = rng.uniform(-1.5, 1.5, 2)
    layers["angle"][at, 0] = rng.uniform(0, 7)
    layers["parallax"][at] = rng.uniform(layers["parallax"][0], 1.1)
    _paint(rng, layers, at, _palette(rng, CELLS), cells=int(rng.integers(1, CELLS + 1)))
    layers["gradient"][at] = rng.normal(0, 0.15, 2)
    if rng.random() < 0.7:
        _texture(rng, layers, at, strength=_log(rng, 0.02, 0.3), scale=rng.uniform(0.1, 0.7))
    if rng.random() < 0.6:
        _ink(rng, layers, at, width=_log(rng, 0.004, 0.02))


def _figure(
    rng: _Rng, layers: dict[str, _Array], first: int, figure: int, liveliness: float
) -> None:
    """Parts around a pivot that go together and each on its own, in one palette and one ink."""
    if rng.random() < 0.15:
        return
    scale = _log(rng, 0.4, 1.5)
    palette = _palette(rng, 6)
    width = _log(rng, 0.005, 0.03) * scale**0.5
    ink = _dark(rng)
    held = rng.random() < 0.15
    speed = 0.0 if held else liveliness
    ways = {
        "figure_x": _way(rng, rng.uniform(-1, 1), 0.08 * speed, 0.12 * speed),
        "figure_y": _way(rng, rng.uniform(-0.7, 0.7), 0.04 * speed, 0.08 * speed),
        "figure_angle": _way(rng, rng.uniform(-0.6, 0.6), 0.05 * speed, 0.15 * speed),
    }
    step, shift = rng.choice([1, 1, 2, 2, 3]), rng.integers(3)
    parallax = rng.uniform(0.9, 1.2)
    body_grow = _way(rng, 0.0, 0.015 * speed, 0.02 * speed)
    for part in range(_PARTS):
        at = first + part
        _outline(rng, layers, at, angular=rng.random() < 0.15)
        size = scale * (rng.uniform(0.3, 0.5) if part == 0 else _log(rng, 0.04, 0.35))
        lean = _log(rng, 0.3, 1.0)
        layers["size"][at] = np.array([size, size * lean])[rng.permutation(2)]
        reach = 0.0 if part == 0 else 0.75 * scale * rng.uniform(0.1, 1.0)
        turn = rng.uniform(0, 2 * np.pi)
        layers["place"][at] = [reach * np.cos(turn), reach * np.sin(turn)]
        layers["angle"][at] = _way(rng, rng.uniform(0, 7), 0.08 * speed, 0.25 * speed)
        layers["bend_x"][at] = _way(rng, rng.normal(0, 0.6), 0.08 * speed, 0.4 * speed)
        layers["bend_y"][at] = _way(rng, rng.normal(0, 0.3), 0.04 * speed, 0.2 * speed)
        layers["swell"][at] = _way(rng, 0.0, 0.03 * speed, 0.15 * speed)
        layers["grow"][at] = body_grow
        for name, way in ways.items():
            layers[name][at] = way
        layers["figure"][at] = figure
        layers["parallax"][at] = parallax
        layers["step"][at], layers["step_shift"][at] = step, shift
        cells = int(rng.choice([1, 1, 2, 3, CELLS]))
        _paint(rng, layers, at, palette[rng.permutation(6)[:CELLS]], cells=cells)
        _ink(rng, layers, at, width=width * rng.uniform(0.6, 1.3), ink=ink)
        if rng.random() < 0.5:
            turn = rng.uniform(0, 2 * np.pi)
            layers["shade"][at] = [np.cos(turn), np.sin(turn), rng.uniform(0, 0.7), 0]
            layers["shade"][at, 3] = rng.uniform(0.55, 0.9)
        if rng.random() < 0.25:
            layers["gradient"][at] = rng.normal(0, 0.15, 2)
        if rng.random() < 0.1:
            _texture(rng, layers, at, strength=_log(rng, 0.02, 0.2), scale=rng.uniform(0.2, 1))


def _foreground(rng: _Rng, layers: dict[str, _Array], at: int, liveliness: float) -> None:
    """Something small that flies through, or something large and near."""
    if rng.random() < 0.5:
        return
    _outline(rng, layers, at, angular=rng.random() < 0.4)
    near = rng.random() < 0.3
    layers["size"][at] = _log(rng, 0.3, 0.8, 2) if near else _log(rng, 0.02, 0.15, 2)
    layers["place"][at] = 0
    layers["parallax"][at] = rng.uniform(1.0, 1.6) if near else 1.0
    layers["figure"][at] = _FIGURES + 1 + at
    layers["figure_x"][at] = _way(rng, rng.uniform(-1.3, 1.3), 0.15 * liveliness, 0)
    layers["figure_y"][at] = _way(rng, rng.uniform(-0.9, 0.9), 0.1 * liveliness, 0)
    layers["angle"][at] = _way(rng, rng.uniform(0, 7), 0.2 * liveliness, 0)
    _paint(rng, layers, at, _palette(rng, CELLS), cells=int(rng.choice([1, 1, 2])))
    if rng.random() < 0.7:
        _ink(rng, layers, at, width=_log(rng, 0.004, 0.02))


def _outline(rng: _Rng, layers: dict[str, _Array], at: int, *, angular: bool) -> None:
    amplitude = rng.normal(0, 1, HARMONICS) / np.arange(1, HARMONICS + 1) ** 1.2
    amplitude[0] *= 0.4
    if angular:
        amplitude *= 0.3
        amplitude[rng.integers(2, HARMONICS)] += 0.25
    amplitude *= rng.uniform(0.1, 0.6) / max(0.6, float(np.abs(amplitude).sum()))
    layers["harmonics"][at, :, 0] = amplitude
    layers["harmonics"][at, :, 1] = rng.uniform(0, 2 * np.pi, HARMONICS)


def _paint(rng: _Rng, layers: dict[str, _Array], at: int, palette: _Array, *, cells: int) -> None:
    layers["seeds"][at, :cells] = rng.uniform(-0.8, 0.8, (cells, 2))
    layers["paint"][at] = palette[:CELLS]


def _texture(
    rng: _Rng, layers: dict[str, _Array], at: int, *, strength: float, scale: float
) -> None:
    layers["texture"][at] = rng.integers(TEXTURES)
    layers["texture_strength"][at] = strength
    layers["texture_scale"][at] = scale


def _ink(
    rng: _Rng, layers: dict[str, _Array], at: int, *, width: float, ink: _Array | None = None
) -> None:
    layers["ink"][at] = _dark(rng) if ink is None else ink
    layers["line"][at] = [width, rng.choice([0.0, rng.uniform(0, 0.8)]), rng.uniform(0, 7)]
    layers["inner_line"][at] = width * rng.choice([0.0, 0.5, 0.8, 1.0])


def _camera(rng: _Rng, liveliness: float) -> _Array:
    ways = np.zeros((4, 5))
    if rng.random() < 0.5:
        for axis, speed in ((0, 0.06), (1, 0.03)):
            ways[axis] = _way(rng, 0.0, speed * liveliness, 0.0)
    if rng.random() < 0.2:
        ways[2] = _way(rng, 0.0, 0.015 * liveliness, 0.0)
    if rng.random() < 0.1:
        ways[3] = _way(rng, 0.0, 0.01 * liveliness, 0.0)
    if rng.random() < 0.08:  # a shaken camera
        ways[0], ways[1] = _way(rng, 0, 0, 0.05 * liveliness), _way(rng, 0, 0, 0.05 * liveliness)
    return ways


def _light(rng: _Rng) -> _Array:
    """Frame, length and strength of a flash (length below 3) or a fade; mostly none."""
    kind = rng.random()
    if kind < 0.03:
        return np.array([rng.integers(-3, 24), rng.uniform(1, 3), rng.uniform(0.2, 0.9)])
    if kind < 0.08:
        return np.array([rng.uniform(-12, 36), rng.uniform(8, 40), -rng.uniform(0.3, 1)])
    return np.array([0.0, 1.0, 0.0])


def _way(rng: _Rng, start: float, speed: float, swing: float) -> _Array:
    """Speed and swing in a random direction, of a size spread over a decade and a half."""
    hurry = _log(rng, 0.03, 1.0) * rng.choice([-1, 1])
    sway = _log(rng, 0.03, 1.0) * rng.random()
    return np.array([start, speed * hurry, swing * sway, _log(rng, 0.02, 0.12), rng.random()])


def _palette(rng: _Rng, count: int) -> _Array:
    """Colours that go together: hues around two, from dull to vivid."""
    hues, vivid = rng.random(2), rng.beta(1.3, 1.6)
    colours = [
        colorsys.hsv_to_rgb(
            float(hues[rng.integers(2)] + rng.normal(0, 0.06)) % 1.0,
            float(np.clip(vivid + rng.normal(0, 0.2), 0, 1)),
            float(rng.uniform(0.15, 1.0)),
        )
        for _ in range(count)
    ]
    return np.array(colours)


def _dark(rng: _Rng) -> _Array:
    if rng.random() < 0.12:  # a trace in colour
        return np.array(colorsys.hsv_to_rgb(rng.random(), 0.8, rng.uniform(0.5, 0.9)))
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.random() * 0.8, rng.random() ** 2 * 0.3))


def _log(rng: _Rng, low: float, high: float, count: int | None = None) -> Any:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))
