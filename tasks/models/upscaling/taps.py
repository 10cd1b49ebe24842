"""The taps of fixed filters by a whole factor. Plain numbers.

Pixel centres follow the usual convention (sample i covers [i, i + 1)), so that reducing then
enlarging moves nothing: output f * i + p of an enlarging by f sits at i + (p + 1/2) / f - 1/2 of
its input.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, pi, sin
from typing import Literal

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
