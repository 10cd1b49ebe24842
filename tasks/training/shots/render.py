"""Frames of scenes: any instant, any resolution, anti-aliased by distance, with their truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.training.shots.motion import Pose, pose_at, to_material, to_screen
from tasks.training.shots.scene import CELLS, LAYERS, TEXTURES, Scenes

_TEXTURE_EDGE = 256
_TEXTURE_SEED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """B frames at one instant, with the truth that drew them.

    `frame` (B, 3, H, W) R'G'B' 0 to 1; `drawing` (B, 1, H, W) the line drawing, 1 paper, 0 ink;
    `region` (B, H, W) int64, `layer * CELLS + cell + 1` of what is painted there, the same number
    for the same region at every instant; `layer` (B, H, W) int64; `ink` (B, H, W) the part of a
    pixel that lines cover. `time` (B,), `stepped`: what was asked for.
    """

    frame: Tensor
    drawing: Tensor
    region: Tensor
    layer: Tensor
    ink: Tensor
    time: Tensor
    stepped: bool


def render(
    scenes: Scenes, time: Tensor | float, *, height: int, width: int, stepped: bool = False
) -> Rendering:
    """Draw every scene at `time` (frames; one number or (B,)), on the scenes' device."""
    when = _times(scenes, time)
    poses = pose_at(scenes, when, stepped=stepped)
    x, y = screen_grid(height, width, scenes.device)
    count = len(scenes)
    frame = torch.zeros(count, 3, height, width, device=scenes.device)
    drawing = torch.ones(count, 1, height, width, device=scenes.device)
    ink = torch.zeros(count, height, width, device=scenes.device)
    layer_at = torch.zeros(count, height, width, dtype=torch.int64, device=scenes.device)
    cell_at = torch.zeros_like(layer_at)
    for layer in range(LAYERS):
        drawn = _draw_layer(scenes, poses.of_layer(layer), layer, x, y)
        if drawn is None:
            continue
        cover, line = drawn.cover[:, None], drawn.line[:, None]
        frame = frame + (drawn.colour - frame) * cover
        frame = frame + (scenes.ink[:, layer, :, None, None] - frame) * line
        drawing = (drawing + (1 - drawing) * cover) * (1 - line)
        ink = torch.maximum(ink * (1 - drawn.cover), drawn.line)
        on_top = (drawn.cover > 0.5) | (drawn.line > 0.5)
        layer_at = torch.where(on_top, layer, layer_at)
        cell_at = torch.where(on_top, drawn.cell, cell_at)
    return Rendering(
        frame=_lit(scenes, frame, when).clamp(0, 1),
        drawing=drawing,
        region=layer_at * CELLS + cell_at + 1,
        layer=layer_at,
        ink=ink,
        time=when,
        stepped=stepped,
    )


def flow_to(scenes: Scenes, rendering: Rendering, time: Tensor | float) -> Tensor:
    """Where each pixel's paint is at another instant: (B, 2, H, W), pixels, x then y.

    Exact for what is painted there, seen or hidden at that instant. `time` as in `render`; the
    animation's steps are those of `rendering`.
    """
    height, width = rendering.layer.shape[1:]
    x, y = screen_grid(height, width, scenes.device)
    harmonics = _at_pixels(scenes.harmonics, rendering.layer)
    before = pose_at(scenes, rendering.time, stepped=rendering.stepped).at_pixels(rendering.layer)
    then = pose_at(scenes, _times(scenes, time), stepped=rendering.stepped)
    u, v = to_material(before, harmonics, x, y)
    to_x, to_y = to_screen(then.at_pixels(rendering.layer), harmonics, u, v)
    return torch.stack([to_x - x, to_y - y], 1) * (height / 2)


def hidden_at(rendering: Rendering, flow: Tensor, other: Rendering) -> Tensor:
    """(B, H, W) bool: pixels of `rendering` that `other` does not show: covered, or off screen.

    `flow` leads from the one to the other. Within half a pixel of an edge either answer is right.
    """
    height, width = rendering.layer.shape[1:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=flow.device),
        torch.arange(width, device=flow.device),
        indexing="ij",
    )
    to_x = (columns + flow[:, 0]).round().long()
    to_y = (rows + flow[:, 1]).round().long()
    outside = (to_x < 0) | (to_x >= width) | (to_y < 0) | (to_y >= height)
    index = to_y.clamp(0, height - 1) * width + to_x.clamp(0, width - 1)
    there = other.layer.flatten(1).gather(1, index.flatten(1)).view_as(rendering.layer)
    return outside | (there != rendering.layer)


def screen_grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres in half picture heights from the centre: x and y, (1, H, W) each."""
    rows = (torch.arange(height, device=device) + 0.5) / (height / 2) - 1
    columns = (torch.arange(width, device=device) + 0.5) / (height / 2) - width / height
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return x[None], y[None]


@dataclass(frozen=True, slots=True)
class _Drawn:
    colour: Tensor
    cover: Tensor
    line: Tensor
    cell: Tensor


def _draw_layer(scenes: Scenes, pose: Pose, layer: int, x: Tensor, y: Tensor) -> _Drawn | None:
    plane = scenes.plane[:, layer, None, None]
    if not bool(plane.any() | _on_screen(scenes, pose, layer, x).any()):
        return None
    harmonics = scenes.harmonics[:, layer, None, None]
    u, v = to_material(pose, harmonics, x, y)
    away = _pixels((u * u + v * v).sqrt() - 1)
    away = torch.where(plane, torch.full_like(away, -1e3), away)
    cells, parting = _cells(scenes.seeds[:, layer], u, v)
    cover = (0.5 - away).clamp(0, 1)
    half_height = x.shape[1] / 2
    edge = _line_cover(away.abs(), _line_width(scenes, layer, u, v) * half_height)
    inner = scenes.inner_line[:, layer, None, None] * half_height
    line = torch.maximum(edge, _line_cover(parting, inner) * cover)
    colour = _coloured(scenes, layer, cells, parting, u, v)
    return _Drawn(colour, cover, line, cells[:, 0])


def _on_screen(scenes: Scenes, pose: Pose, layer: int, x: Tensor) -> Tensor:
    """Whether a layer can reach the screen at all: places beyond it are blanks."""
    reach = 4 * torch.maximum(pose.size_x, pose.size_y) + x.abs().max() + 1
    return (pose.x.abs() < reach) & (pose.y.abs() < reach)


def _pixels(field: Tensor) -> Tensor:
    """A field's distance from its zero in pixels: its value over its slope."""
    padded = F.pad(field[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return field / (across * across + down * down).sqrt().clamp(min=1e-5)


def _line_cover(away: Tensor, width: Tensor) -> Tensor:
    """How much of a pixel a line `width` pixels wide covers; thin lines are faint, not broken."""
    return (width / 2 + 0.5 - away).clamp(0, 1) * width.clamp(0, 1)


def _line_width(scenes: Scenes, layer: int, u: Tensor, v: Tensor) -> Tensor:
    width, swing, phase = (n[:, None, None] for n in scenes.line[:, layer].unbind(-1))
    length = (u * u + v * v).sqrt().clamp(min=1e-6)
    return width * (1 + swing * (phase.cos() * u + phase.sin() * v) / length)


def _cells(seeds: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The two nearest of the seeds (B, CELLS, 2), and the distance in pixels from the border
    between them."""
    gaps = torch.stack(
        [
            (u - seeds[:, k, 0, None, None]) ** 2 + (v - seeds[:, k, 1, None, None]) ** 2
            for k in range(CELLS)
        ],
        1,
    )
    two = gaps.topk(2, dim=1, largest=False)
    return two.indices, _pixels(two.values[:, 1] - two.values[:, 0])


def _coloured(
    scenes: Scenes, layer: int, cells: Tensor, parting: Tensor, u: Tensor, v: Tensor
) -> Tensor:
    """Paint with what a layer has of gradient, texture, patches and cel shade, (B, 3, H, W)."""
    paint = scenes.paint[:, layer]
    colour, beyond = (_at_pixels(paint, cell).permute(0, 3, 1, 2) for cell in cells.unbind(1))
    colour = colour + (beyond - colour) * (0.5 - parting).clamp(0, 0.5)[:, None]
    slope = scenes.gradient[:, layer, :, None, None]
    tone = 1 + slope[:, 0] * u.clamp(-2, 2) + slope[:, 1] * v.clamp(-2, 2)
    strength = scenes.texture_strength[:, layer, None, None]
    patches = scenes.patches[:, layer, None, None]
    if bool((strength > 0).any() | (patches > 0).any()):
        noise = _noise(scenes, layer, u, v)
        tone = tone + strength * (noise[:, 0] - 0.5) * 2
        patch = (patches * _pixels(noise[:, 1] - 0.5).add(0.5).clamp(0, 1))[:, None]
        colour = colour + (paint[:, -1, :, None, None] - colour) * patch * 0.7
    cos, sin, offset, dark = (n[:, None, None] for n in scenes.shade[:, layer].unbind(-1))
    in_shade = _pixels(cos * u + sin * v + 0.15 * (u * u - v * v) - offset).add(0.5).clamp(0, 1)
    return colour * (tone * (1 - (1 - dark) * in_shade))[:, None]


def _noise(scenes: Scenes, layer: int, u: Tensor, v: Tensor) -> Tensor:
    """Two channels of a layer's texture, 0 to 1, wrapped around, (B, 2, H, W)."""
    bank = textures(scenes.device)[scenes.texture[:, layer]]
    scale = scenes.texture_scale[:, layer, None, None]
    grid = torch.stack([u * scale, v * scale], -1)
    grid = (grid + 1).remainder(2) - 1  # the bank's edges are alike: no seam beyond a pixel's
    return F.grid_sample(bank, grid, padding_mode="border", align_corners=True)


@lru_cache(maxsize=4)
def textures(device: torch.device) -> Tensor:
    """Painters' noise, (TEXTURES, 2, edge, edge) 0 to 1: octaves, from smooth to rough."""
    generator = torch.Generator().manual_seed(_TEXTURE_SEED)
    total = torch.zeros(TEXTURES, 2, _TEXTURE_EDGE, _TEXTURE_EDGE)
    rough = torch.linspace(0.35, 0.8, TEXTURES)[:, None, None, None]
    for octave in range(2, 8):
        edge = 2**octave
        noise = torch.rand(TEXTURES, 2, edge, edge, generator=generator)
        noise = F.pad(noise, (0, 1, 0, 1), mode="circular")
        size = (_TEXTURE_EDGE, _TEXTURE_EDGE)
        total += rough ** (octave - 2) * F.interpolate(
            noise, size=size, mode="bicubic", align_corners=True
        )
    low, high = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
    return ((total - low) / (high - low)).to(device)


def _lit(scenes: Scenes, frame: Tensor, time: Tensor) -> Tensor:
    """Flashes and fades: the whole frame towards white or black."""
    middle, length, strength = scenes.light.unbind(-1)
    near = (1 - (time - middle).abs() / length).clamp(0, 1)
    share = (near * strength)[:, None, None, None]
    return torch.where(share > 0, frame + (1 - frame) * share, frame * (1 + share))


def _at_pixels(values: Tensor, index: Tensor) -> Tensor:
    """values (B, N, …) picked by index (B, H, W) into (B, H, W, …)."""
    rows = torch.arange(len(values), device=values.device)[:, None, None]
    return values[rows, index]


def _times(scenes: Scenes, time: Tensor | float) -> Tensor:
    when = torch.as_tensor(time, dtype=torch.float32, device=scenes.device)
    return when.expand(len(scenes))
