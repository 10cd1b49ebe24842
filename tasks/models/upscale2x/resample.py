"""Fixed 2:1 filters: how training halves a picture, and the classical doubling to compare with.

Pixel centres follow the usual convention (sample i covers [i, i + 1)), so that halving then
doubling moves nothing: output 2i + p of a doubling sits at i + (p - 1/2) / 2 of its input.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, pi, sin
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Filter = Literal["area", "bilinear", "bicubic", "lanczos"]
FILTERS: tuple[Filter, ...] = ("area", "bilinear", "bicubic", "lanczos")


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


def halving_taps(kind: Filter) -> list[float]:
    """Weights, summing to 1, of the 2n input samples around an output sample's centre."""
    kernel, support = _KERNELS[kind]
    reach = ceil(2 * support)
    raw = [kernel((k + 0.5) / 2) for k in range(-reach, reach)]
    return [value / sum(raw) for value in raw]


def doubling_taps(kind: Filter) -> tuple[list[float], list[float]]:
    """Weights over inputs [i - 3, i + 3] of outputs 2i and 2i + 1, each summing to 1."""
    kernel, _ = _KERNELS[kind]
    phases = []
    for centre in (-0.25, 0.25):
        raw = [kernel(k - centre) for k in range(-3, 4)]
        phases.append([value / sum(raw) for value in raw])
    return phases[0], phases[1]


def halve(frames: Tensor, *, kind: Filter) -> Tensor:
    """(N, C, H, W) float to (N, C, H // 2, W // 2); edges replicated, values not clipped."""
    taps = halving_taps(kind)
    pad = len(taps) // 2 - 1
    wide = F.pad(frames, (pad, pad, pad, pad), mode="replicate")
    return _halve_rows(_halve_rows(wide.transpose(2, 3), taps).transpose(2, 3), taps)


def _halve_rows(frames: Tensor, taps: list[float]) -> Tensor:
    rows = (frames.shape[2] - len(taps)) // 2 + 1
    shifted = [frames[:, :, k : k + 2 * rows - 1 : 2] * tap for k, tap in enumerate(taps)]
    return torch.stack(shifted).sum(0)


def double(frames: Tensor, *, kind: Filter) -> Tensor:
    """(N, C, H, W) float to (N, C, 2H, 2W); edges replicated, values not clipped."""
    wide = F.pad(frames, (3, 3, 3, 3), mode="replicate")
    kernel = doubling_kernel(kind, channels=frames.shape[1]).to(frames)
    return F.pixel_shuffle(F.conv2d(wide, kernel), 2)


def doubling_kernel(kind: Filter, *, channels: int) -> Tensor:
    """A dense convolution (4C, C, 7, 7), float32, whose pixel shuffle by 2 doubles a picture."""
    phases = doubling_taps(kind)
    kernel = torch.zeros(channels, 2, 2, channels, 7, 7)
    for y in range(2):
        for x in range(2):
            outer = torch.outer(torch.tensor(phases[y]), torch.tensor(phases[x]))
            for channel in range(channels):
                kernel[channel, y, x, channel] = outer
    return kernel.view(4 * channels, channels, 7, 7)
