"""Scores a picture against the truth: PSNR and SSIM of 8-bit R'G'B'."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, log10

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""(H, W, 3) uint8 full-range R'G'B'."""

BEST_DB = 100.0
"""What an exact picture counts as in a mean of decibels."""

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(made: Frame, truth: Frame) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; inf for equal pictures."""
    apart = made.astype(np.float32) - truth.astype(np.float32)
    error = float(np.mean(np.square(apart), dtype=np.float64))
    return 10 * log10(255**2 / error) if error else inf


def mean_db(values: Iterable[float]) -> float:
    """The mean of decibels; exact pictures (inf) count as `BEST_DB`. NaN for none."""
    capped = [min(value, BEST_DB) for value in values]
    return float(np.mean(capped)) if capped else float("nan")


def ssim(made: Frame, truth: Frame) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004), the mean of the channels R', G', B'.

    A Gaussian window of 11x11 and sigma 1.5, K1 = .01, K2 = .03, population moments; the 5 pixels
    at each edge, where the window does not fit, are left out (where a side has more than 10).
    """
    a, b = made.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = _local(a), _local(b)
    var_a = _local(a * a) - mean_a * mean_a
    var_b = _local(b * b) - mean_b * mean_b
    cov = _local(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + _C1) * (2 * cov + _C2)
    alike /= (mean_a * mean_a + mean_b * mean_b + _C1) * (var_a + var_b + _C2)
    rows, columns = (slice(5, -5) if side > 10 else slice(None) for side in alike.shape[:2])
    return float(np.mean(alike[rows, columns], dtype=np.float64))


def _local(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means under the window around every pixel."""
    return np.asarray(cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA), np.float64)
