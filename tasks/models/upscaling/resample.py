"""Fixed filters by a whole factor: how training reduces a picture, and the classical enlarging."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.models.upscaling.taps import BASE_REACH, Filter, enlarging_taps, reducing_taps


def reduce(frames: Tensor, *, kind: Filter, factor: int) -> Tensor:
    """(N, C, H, W) float to (N, C, H // factor, W // factor); edges replicated, not clipped."""
    taps, start = reducing_taps(kind, factor=factor)
    before, after = -start, start + len(taps) - factor
    wide = F.pad(frames, (before, after, before, after), mode="replicate")
    narrow = _reduce_rows(wide.transpose(2, 3), taps, factor).transpose(2, 3)
    return _reduce_rows(narrow, taps, factor)


def _reduce_rows(frames: Tensor, taps: list[float], factor: int) -> Tensor:
    rows = (frames.shape[2] - len(taps)) // factor + 1
    reach = factor * (rows - 1) + 1
    shifted = [frames[:, :, k : k + reach : factor] * tap for k, tap in enumerate(taps)]
    return torch.stack(shifted).sum(0)


def enlarge(frames: Tensor, *, kind: Filter, factor: int) -> Tensor:
    """(N, C, H, W) float to (N, C, factor H, factor W); edges replicated, values not clipped."""
    wide = F.pad(frames, (BASE_REACH,) * 4, mode="replicate")
    kernel = enlarging_kernel(kind, factor=factor, channels=frames.shape[1]).to(frames)
    return F.pixel_shuffle(F.conv2d(wide, kernel), factor)


def enlarging_kernel(kind: Filter, *, factor: int, channels: int) -> Tensor:
    """A dense convolution (factor² C, C, 7, 7), float32, whose pixel shuffle enlarges a picture."""
    phases = enlarging_taps(kind, factor=factor)
    edge = 2 * BASE_REACH + 1
    kernel = torch.zeros(channels, factor, factor, channels, edge, edge)
    for y in range(factor):
        for x in range(factor):
            outer = torch.outer(torch.tensor(phases[y]), torch.tensor(phases[x]))
            for channel in range(channels):
                kernel[channel, y, x, channel] = outer
    return kernel.view(factor**2 * channels, channels, edge, edge)
