"""Leaves a trained network in a folder as the shelf wants it: weights, then the card."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

from cluster.keys import digest_bytes
from tasks.models.shelf import ModelCard
from tasks.models.tiles import LARGEST_AREA
from tasks.models.upscaling.lesson import Lesson
from tasks.models.upscaling.net import UpscaleNet


def write_model(net: UpscaleNet, lesson: Lesson, *, out: Path) -> None:
    """Weights, then the card that names their digest, each by an atomic rename."""
    weights = save({key: tensor.cpu().contiguous() for key, tensor in net.state_dict().items()})
    card = ModelCard(
        name=lesson.name,
        verb="upscale",
        scale=net.scale,
        kind=lesson.kind,
        shape={"channels": net.channels, "layers": len(net.convs)},
        halo=net.halo,
        parameters=sum(tensor.numel() for tensor in net.parameters()),
        precisions=("fp32", "bf16"),
        memory_bytes_per_megapixel=memory_estimate(net),
        sha256=digest_bytes(weights),
    )
    for file, data in (
        ("weights.safetensors", weights),
        ("card.json", (json.dumps(card.model_dump(), indent=2) + "\n").encode()),
    ):
        partial = out / f"{file}.partial"
        partial.write_bytes(data)
        partial.replace(out / file)


def memory_estimate(net: UpscaleNet) -> int:
    """Peak bytes for one input megapixel: the frame in, made and rounded (measured at 2x,
    250 MiB), and a window's activations, four of float32."""
    frames = 50 * (1 + net.scale**2) << 20
    return frames + 4 * LARGEST_AREA * max(net.channels, 3 * net.scale**2) * 4
