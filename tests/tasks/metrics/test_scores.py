"""PSNR and SSIM, by hand."""

from math import inf, isnan, log10

import numpy as np
import pytest

from tasks.metrics.scores import BEST_DB, mean_db, psnr, ssim


def noise(seed: int = 1, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_equal_pictures_are_infinitely_and_wholly_alike() -> None:
    picture = noise()
    assert psnr(picture, picture.copy()) == inf
    assert ssim(picture, picture.copy()) == pytest.approx(1.0, abs=1e-12)


def test_psnr_of_a_known_error() -> None:
    grey = np.full((10, 20, 3), 100, np.uint8)
    assert psnr(grey + 5, grey) == pytest.approx(20 * log10(255 / 5))
    spot = grey.copy()
    spot[3, 4, 1] = 160  # 60² over 600 values: a mean square error of 6
    assert psnr(spot, grey) == pytest.approx(10 * log10(255**2 / 6))


def test_psnr_does_not_wrap_around() -> None:
    assert psnr(np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)) == 0.0


def test_ssim_of_flat_pictures_is_their_luminance_term() -> None:
    a, b = np.full((30, 30, 3), 100, np.uint8), np.full((30, 30, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_the_published_formula_under_a_gaussian_window() -> None:
    a, b = noise(1, (11, 11)), noise(2, (11, 11))
    x = np.arange(-5, 6)
    line = np.exp(-(x**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    by_channel = []
    for channel in range(3):
        p, q = a[..., channel].astype(float), b[..., channel].astype(float)
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
        cov = (window * (p - mp) * (q - mq)).sum()
        by_channel.append(
            (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
        )
    assert ssim(a, b) == pytest.approx(np.mean(by_channel), abs=1e-9)


def test_mean_of_decibels_counts_exact_pictures_as_the_best_there_is() -> None:
    assert mean_db([30.0, inf]) == (30 + BEST_DB) / 2
    assert isnan(mean_db([]))
