"""Measures flicker: change over time where nothing should change."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.metrics.scores import Frame

STILL = 3
"""8-bit codes: what changes by no more, in any channel within 5x5 pixels, stands still."""


def flicker(made: Frame, truth: Frame, *, beside: Sequence[tuple[Frame, Frame]]) -> float:
    """Mean change in time that the truth has not, in 8-bit codes, where the truth stands still.

    `beside` are the frames before and after, or one of them: (as made, as true). What counts is
    still in all of them. 0 for the truth itself; NaN where nothing is still, or nothing beside.
    """
    if not beside:
        return nan
    still = np.logical_and.reduce([still_in(truth, true) for _, true in beside])
    if not still.any():
        return nan
    apart = [
        (made.astype(np.int16) - near) - (truth.astype(np.int16) - true) for near, true in beside
    ]
    return float(np.mean([np.abs(change[still]).mean(dtype=np.float64) for change in apart]))


def still_in(truth: Frame, beside: Frame) -> NDArray[np.bool_]:
    """Pixels (H, W) around which two true frames are the same, noise of compression aside."""
    apart = cv2.absdiff(truth, beside).max(-1)
    return np.asarray(cv2.dilate(apart, np.ones((5, 5), np.uint8)) <= STILL)
