"""Pictures made smaller and larger by a whole factor, with the filters that the networks use."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tasks.metrics.scores import Frame
from tasks.models.upscaling import resample

Filter = Literal["area", "bicubic", "lanczos"]


def reduce(picture: Frame, *, factor: int, kind: Filter) -> Frame:
    """(H, W, 3) to (H // factor, W // factor, 3), rounded to 8 bits. Sides must divide."""
    return _frame(resample.reduce(_batch(picture), kind=kind, factor=factor))


def enlarge(picture: Frame, *, factor: int, kind: Filter) -> Frame:
    """(H, W, 3) to (factor H, factor W, 3), clipped and rounded to 8 bits."""
    return _frame(resample.enlarge(_batch(picture), kind=kind, factor=factor))


def _batch(picture: Frame) -> Tensor:
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]


def _frame(batch: Tensor) -> Frame:
    return np.asarray(batch[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy())
