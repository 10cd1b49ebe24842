"""Fixed filters by a whole factor: how training reduces a picture, and the classical enlarging.

Pixel centres follow the usual convention (sample i covers [i, i + 1)), so that reducing then
enlarging moves nothing: output f * i + p of an enlarging by f sits at i + (p + 1/2) / f - 1/2 of
its input.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, pi, sin
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Filter = Literal["area", "bilinear", "bicubic", "lanczos"]
FILTERS: tuple[Filter, ...] = ("area", "bilinear", "bicubic", "lanczos")
BASE_REACH = 3
"""Input pixels on either side that the widest enlarging filter uses."""


def _area(x: float) -> float:
    return 1.0 if -0.5 <= x < 0.5 else 0.0


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(x: float) -> float:
    """Keys' cubic with a = -1/2 (IEEE TASSP 29, 1981), the one that reproduces parabolas."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def _lanczos(x: float) -> float:
    if x == 0:
        return 1.0
    return 3 * sin(pi * x) * sin(pi * x / 3) / (pi * x) ** 2 if abs(x) < 3 else 0.0


_KERNELS: dict[Filter, tuple[Callable[[float], float], float]] = {
    "area": (_area, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def reducing_taps(kind: Filter, *, factor: int) -> tuple[list[float], int]:
    """Weights, summing to 1, of the inputs from `factor * i + start` on for output i; `start`."""
    kernel, support = _KERNELS[kind]
    centre = (factor - 1) / 2
    start, stop = ceil(centre - factor * support), floor(centre + factor * support)
    raw = [kernel((k - centre) / factor) for k in range(start, stop + 1)]
    return [value / sum(raw) for value in raw], start


def enlarging_taps(kind: Filter, *, factor: int) -> list[list[float]]:
    """Weights over inputs [i - 3, i + 3] of each output factor * i + p, each summing to 1."""
    kernel, _ = _KERNELS[kind]
    phases = []
    for phase in range(factor):
        centre = (phase + 0.5) / factor - 0.5
        raw = [kernel(k - centre) for k in range(-BASE_REACH, BASE_REACH + 1)]
        phases.append([value / sum(raw) for value in raw])
    return phases


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
