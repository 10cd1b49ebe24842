"""The affine maps between a picture's numbers and R'G'B' code steps, as ITU-T H.273 writes them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.frames.codes import BLACK, ONE, code_step
from tasks.frames.picture import Matrix, Range

LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020nc": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
"""Kr and Kb of each matrix: ITU-T H.273 (2021), table 4."""


def levels(range_: Range, *, depth: int) -> tuple[float, float, float]:
    """(black, luma span, chroma span) in sample values; neutral chroma is 2^(depth-1) always."""
    if range_ == "full":
        return 0.0, 2.0**depth - 1, 2.0**depth - 1
    unit = 2.0 ** (depth - 8)
    return 16 * unit, 219 * unit, 224 * unit


def rgb_from_ycbcr(matrix: Matrix) -> NDArray[np.float64]:
    """(3, 3): R'G'B' in [0, 1] from Y' in [0, 1] and Cb, Cr in [-1/2, 1/2]."""
    if matrix not in LUMA_WEIGHTS:
        raise InputError(
            f"Y'CbCr planes with matrix {matrix!r}", remedy=f"expected {', '.join(LUMA_WEIGHTS)}"
        )
    kr, kb = LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    return np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )


@lru_cache(maxsize=64)
def steps_from_samples(kind: str, matrix: Matrix, range_: Range, depth: int) -> NDArray[np.float64]:
    """(3, 4) affine map: three samples at one pixel to R', G', B' in code steps above code 0."""
    black, luma, chroma = levels(range_, depth=depth)
    if kind == "yuv":
        colour = rgb_from_ycbcr(matrix)
        scale = np.array([luma, chroma, chroma])
        zero = np.array([black, 2.0 ** (depth - 1), 2.0 ** (depth - 1)])
    else:
        colour, scale, zero = np.eye(3), np.full(3, luma), np.full(3, black)
    linear = colour / scale
    affine = np.column_stack([linear, -linear @ zero])
    step = code_step(depth)
    affine *= ONE / step
    affine[:, 3] += BLACK / step
    return affine


@lru_cache(maxsize=64)
def samples_from_codes(kind: str, matrix: Matrix, range_: Range, depth: int) -> NDArray[np.float64]:
    """(3, 4) affine map: R', G', B' codes to the three samples of one pixel, unrounded.

    (1, 4) for "grey": luma by the matrix's weights, by bt709's where the matrix is "rgb".
    """
    there = steps_from_samples(kind, matrix, range_, depth)
    back = np.linalg.inv(there[:, :3])
    samples = np.column_stack([back / code_step(depth), -back @ there[:, 3]])
    if kind != "grey":
        return samples
    kr, kb = LUMA_WEIGHTS[matrix if matrix in LUMA_WEIGHTS else "bt709"]
    return np.array([[kr, 1 - kr - kb, kb]]) @ samples
