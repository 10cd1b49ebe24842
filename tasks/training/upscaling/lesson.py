"""What tells one network of the family from another: its size, its start, what it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.models.shelf import Kind
from tasks.models.upscaling.resample import enlarge, reduce
from tasks.models.upscaling.taps import FILTERS

FILTER_SHARES = (0.4, 0.1, 0.35, 0.15)  # of FILTERS: what masters were made smaller by
CHROMA_HALVED_SHARE = 0.15  # drawings whose input has the soft chroma of 4:2:0 sources
LUMA = (0.2126, 0.7152, 0.0722)  # BT.709

Degrade = Callable[[Tensor, int, np.random.Generator], Tensor]
"""(N, 3, H, W) true pictures in [0, 1], a scale, chance → (N, 3, H // scale, W // scale) inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A network of the family and what it learns from.

    `crop` is the edge of the true pictures of a step, `start` names the model on the shelf that
    it starts as (empty: from nothing), `degrade` makes its inputs.
    """

    name: str
    scale: int
    channels: int
    layers: int
    crop: int
    degrade: Degrade
    kind: Kind = "faithful"
    start: str = ""


def reduce_faithfully(truth: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
    """Smaller inputs of true pictures: a filter at random each, 8-bit, chroma soft at times."""
    made = []
    for picture in truth.split(1):
        kind = FILTERS[rng.choice(len(FILTERS), p=FILTER_SHARES)]
        small = reduce(picture, kind=kind, factor=scale)
        if rng.random() < CHROMA_HALVED_SHARE:
            luma = (small * torch.tensor(LUMA).to(small).view(1, 3, 1, 1)).sum(1, keepdim=True)
            chroma = reduce(small - luma, kind="area", factor=2)
            small = luma + enlarge(chroma, kind="bilinear", factor=2)
        made.append(round8(small))
    return torch.cat(made)


def round8(signal: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to 8 bits."""
    return (signal.clamp(0, 1) * 255).round() / 255
