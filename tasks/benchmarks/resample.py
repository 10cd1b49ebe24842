"""Pictures made smaller and larger by a whole factor: the filters everyone compares with.

Pixel centres follow the usual convention (sample i covers [i, i + 1)), so that reducing and
enlarging move nothing. Edges are replicated. Reducing widens the filter by the factor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.scores import Frame

Filter = Literal["area", "bicubic", "lanczos"]
Array = NDArray[np.float64]


def reduce(picture: Frame, *, factor: int, kind: Filter) -> Frame:
    """(H, W, 3) to (H // factor, W // factor, 3), rounded to 8 bits. Sides must divide."""
    return _resized(picture, kind, lambda side: side // factor)


def enlarge(picture: Frame, *, factor: int, kind: Filter) -> Frame:
    """(H, W, 3) to (factor H, factor W, 3), clipped and rounded to 8 bits."""
    return _resized(picture, kind, lambda side: side * factor)


def _resized(picture: Frame, kind: Filter, size: Callable[[int], int]) -> Frame:
    height, width = picture.shape[:2]
    down = _weights(height, size(height), kind)
    across = _weights(width, size(width), kind)
    signal = np.einsum("yx,xwc->ywc", down, picture.astype(np.float32), optimize=True)
    made = np.einsum("vw,ywc->yvc", across, signal, optimize=True)
    return np.asarray(np.rint(np.clip(made, 0, 255)), np.uint8)


@lru_cache(maxsize=16)
def _weights(source: int, target: int, kind: Filter) -> NDArray[np.float32]:
    """(target, source): each row the weights, summing to 1, of an output sample's inputs."""
    ratio = source / target
    spread = max(1.0, ratio)
    kernel, support = _KERNELS[kind]
    reach = int(np.ceil(support * spread)) + 1
    centre = (np.arange(target) + 0.5) * ratio - 0.5
    near = np.floor(centre)[:, None] + np.arange(-reach, reach + 1)
    raw = kernel((near - centre[:, None]) / spread)
    raw /= raw.sum(1, keepdims=True)
    weights = np.zeros((target, source))
    rows = np.broadcast_to(np.arange(target)[:, None], near.shape)
    np.add.at(weights, (rows, np.clip(near, 0, source - 1).astype(int)), raw)
    return weights.astype(np.float32)


def _area(x: Array) -> Array:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _cubic(x: Array) -> Array:
    """Keys' cubic with a = -1/2 (IEEE TASSP 29, 1981)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_KERNELS: dict[Filter, tuple[Callable[[Array], Array], float]] = {
    "area": (_area, 0.5),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
