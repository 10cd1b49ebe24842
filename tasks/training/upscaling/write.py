"""Leaves a trained upscaler in a folder as the shelf wants it."""

from __future__ import annotations

from pathlib import Path

from tasks.models.tiles import LARGEST_AREA
from tasks.models.upscaling.net import UpscaleNet
from tasks.training.loop import write_model
from tasks.training.upscaling.lesson import Lesson


def write_upscaler(net: UpscaleNet, lesson: Lesson, *, out: Path) -> None:
    """Weights and card."""
    write_model(
        net,
        out,
        name=lesson.name,
        verb="upscale",
        scale=net.scale,
        kind=lesson.kind,
        shape={"channels": net.channels, "layers": len(net.convs)},
        halo=net.halo,
        precisions=("fp32", "bf16"),
        memory_bytes_per_megapixel=memory_estimate(net),
    )


def memory_estimate(net: UpscaleNet) -> int:
    """Peak bytes for one input megapixel: the frame in, made and rounded (measured at 2x,
    250 MiB), and a window's activations, four of float32."""
    frames = 50 * (1 + net.scale**2) << 20
    return frames + 4 * LARGEST_AREA * max(net.channels, 3 * net.scale**2) * 4
