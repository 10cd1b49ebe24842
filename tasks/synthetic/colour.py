"""R'G'B' to bt709 limited-range Y'CbCr 4:2:0, left-sited: what the film is encoded from."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

KR, KB = 0.2126, 0.0722
"""ITU-R BT.709."""


def to_yuv420(
    rgb: NDArray[np.uint8], *, depth: Literal[8, 10] = 8
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Planes stacked as (3H/2, W): Y, then Cb, then Cr, each row-packed; H and W even.

    Chroma is sited as MPEG-2 has it: level with the left column, between two rows.
    """
    _height, width = rgb.shape[:2]
    unit = rgb.astype(np.float32) * np.float32(1 / 255)
    red, green, blue = unit[..., 0], unit[..., 1], unit[..., 2]
    luma = np.float32(KR) * red + np.float32(1 - KR - KB) * green + np.float32(KB) * blue
    step = np.float32(1 << (depth - 8))
    planes = [(luma * (219 * step) + 16 * step).ravel()]
    for part, scale in ((blue, 2 * (1 - KB)), (red, 2 * (1 - KR))):
        chroma = (part - luma) * np.float32(1 / scale)
        rows = 0.5 * (chroma[0::2] + chroma[1::2])
        even, odd = rows[:, 0::2], rows[:, 1::2]
        before = np.concatenate([even[:, :1], odd[:, :-1]], axis=1)
        sited = 0.5 * even + 0.25 * (before + odd)
        planes.append((sited * (224 * step) + 128 * step).ravel())
    stacked = np.rint(np.concatenate(planes)).reshape(-1, width)
    return np.asarray(stacked, np.uint8) if depth == 8 else np.asarray(stacked, np.uint16)
