"""Where everything is at an instant: the maps between a layer's own material and the screen.

Material coordinates stick to the paint: the outline is the unit circle. They become local ones by
the outline's radius, then are sized, bent (two triangular maps, exactly invertible), turned,
placed on the figure, and seen by the camera. Screen coordinates are in half picture heights from
the centre, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import pi

import torch
from torch import Tensor

from tasks.training.shots.scene import HARMONICS, Scenes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """The map of layers at one instant. Tensors of one shape, (B, LAYERS) or (B, H, W)."""

    cos: Tensor
    sin: Tensor
    x: Tensor
    y: Tensor
    size_x: Tensor
    size_y: Tensor
    bend_x: Tensor
    bend_y: Tensor
    swell: Tensor

    def of_layer(self, layer: int) -> Pose:
        """One layer's pose, (B, 1, 1), to spread over pixels."""
        parts = {f.name: getattr(self, f.name)[:, layer, None, None] for f in fields(self)}
        return Pose(**parts)

    def at_pixels(self, layer: Tensor) -> Pose:
        """Per pixel the pose of the layer that `layer` (B, H, W) int64 names."""
        flat = layer.flatten(1)
        return Pose(
            **{
                f.name: getattr(self, f.name).gather(1, flat).view(layer.shape)
                for f in fields(self)
            }
        )


def follow(way: Tensor, time: Tensor) -> Tensor:
    """The value (…) of ways (…, 5) at `time`, in frames, of a shape that spreads to it."""
    swing = torch.sin(2 * pi * (way[..., 3] * time + way[..., 4]))
    return way[..., 0] + way[..., 1] * time + way[..., 2] * swing


def pose_at(scenes: Scenes, time: Tensor, *, stepped: bool = False) -> Pose:
    """All layers of B scenes at `time` (B,) in frames, (B, LAYERS).

    `stepped`: as animated on ones, twos, threes or held; otherwise the true motion between.
    """
    now = time[:, None].expand_as(scenes.parallax)
    own = now
    if stepped:
        step = scenes.step.clamp(min=1)
        own = torch.floor((now + scenes.step_shift) / step) * step - scenes.step_shift
        own = torch.where(scenes.step > 0, own, torch.zeros_like(own))
    figure_angle = follow(scenes.figure_angle, own)
    cos, sin = figure_angle.cos(), figure_angle.sin()
    hang_x, hang_y = scenes.place.unbind(-1)
    on_x = follow(scenes.figure_x, own) + cos * hang_x - sin * hang_y
    on_y = follow(scenes.figure_y, own) + sin * hang_x + cos * hang_y
    pan_x, pan_y, log_zoom, roll = (
        follow(way, now) * scenes.parallax for way in scenes.camera[:, :, None].unbind(1)
    )
    zoom = log_zoom.exp()
    cam_cos, cam_sin = zoom * roll.cos(), zoom * roll.sin()
    angle = figure_angle + follow(scenes.angle, own) + roll
    grow = follow(scenes.grow, own).exp()
    return Pose(
        cos=zoom * angle.cos(),
        sin=zoom * angle.sin(),
        x=cam_cos * on_x - cam_sin * on_y - pan_x,
        y=cam_sin * on_x + cam_cos * on_y - pan_y,
        size_x=scenes.size[..., 0] * grow,
        size_y=scenes.size[..., 1] * grow,
        bend_x=follow(scenes.bend_x, own),
        bend_y=follow(scenes.bend_y, own),
        swell=follow(scenes.swell, own).clamp(-0.6, 0.6),
    )


def to_screen(pose: Pose, harmonics: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Material (u, v) to screen; `harmonics` (…, HARMONICS, 2) spreads to their shape."""
    radius = outline_radius(harmonics, pose.swell, u, v)
    x, y = u * radius * pose.size_x, v * radius * pose.size_y
    y = y + pose.bend_y * x * x
    x = x + pose.bend_x * y * y
    return pose.cos * x - pose.sin * y + pose.x, pose.sin * x + pose.cos * y + pose.y


def to_material(pose: Pose, harmonics: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Screen to material: the inverse of `to_screen`."""
    x, y = x - pose.x, y - pose.y
    square = pose.cos * pose.cos + pose.sin * pose.sin
    x, y = (pose.cos * x + pose.sin * y) / square, (pose.cos * y - pose.sin * x) / square
    x = x - pose.bend_x * y * y
    y = y - pose.bend_y * x * x
    u, v = x / pose.size_x, y / pose.size_y
    radius = outline_radius(harmonics, pose.swell, u, v)
    return u / radius, v / radius


def outline_radius(harmonics: Tensor, swell: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Radius of the outline in the direction of (u, v): 1 plus a few harmonics, never below .2.

    Depends on the direction alone, so it serves material and local coordinates alike.
    The cosines of multiple angles come from Chebyshev's recurrence instead of an arc tangent.
    """
    length = (u * u + v * v).sqrt().clamp(min=1e-6)
    cos1, sin1 = u / length, v / length
    cos, sin = cos1, sin1
    total = torch.zeros_like(u)
    for k in range(HARMONICS):
        amplitude, phase = harmonics[..., k, 0], harmonics[..., k, 1]
        total = total + amplitude * (phase.cos() * cos - phase.sin() * sin)
        cos, sin = cos * cos1 - sin * sin1, sin * cos1 + cos * sin1
    return (1 + (1 + swell) * total).clamp(min=0.2)
