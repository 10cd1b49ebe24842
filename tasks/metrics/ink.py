"""Measures how far a picture's lines are from the true ones: chamfer distance in pixels."""

from __future__ import annotations

from math import nan

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.metrics.scores import Frame

FARTHEST = 10.0
"""Pixels. A line with no counterpart counts as so far off, however far the next one is."""

_DEPTH = 20.0
"""8-bit codes of luma by which a line is darker than what lies on both of its sides."""
_ROWS_PER_PIXEL = 160
"""A line is at most 2 pixels of radius at 320 rows, and grows with the picture."""


def find_lines(picture: Frame) -> NDArray[np.bool_]:
    """The middle of every ink line, (H, W): narrow, and darker than both of its sides.

    A closing of luma minus luma leaves what is dark and narrow; of that, pixels that are darkest
    across the line, in the direction in which darkness bends most.
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    radius = max(2, round(picture.shape[0] / _ROWS_PER_PIXEL))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    dark = cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, disc).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(dark, (0, 0), 1.0))
    wide = np.pad(soft, 1, mode="edge")
    left, right = wide[1:-1, :-2], wide[1:-1, 2:]
    above, below = wide[:-2, 1:-1], wide[2:, 1:-1]
    bends_across = left + right <= above + below
    crest = np.where(
        bends_across,
        (soft >= left) & (soft > right),
        (soft >= above) & (soft > below),
    )
    return np.asarray(crest & (dark >= _DEPTH), np.bool_)


def chamfer(made: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean distance in pixels from the lines of one to the nearest of the other, both ways.

    The mean of the two directions, each distance at most `FARTHEST`; that too where only one has
    lines. NaN where neither has.
    """
    if not made.any() and not truth.any():
        return nan
    if not made.any() or not truth.any():
        return FARTHEST
    return (_to_nearest(made, truth) + _to_nearest(truth, made)) / 2


def line_distance(made: Frame, truth: Frame) -> float:
    """The chamfer distance of two pictures' lines, in pixels: 0 for equal pictures with lines."""
    return chamfer(find_lines(made), find_lines(truth))


def _to_nearest(lines: NDArray[np.bool_], target: NDArray[np.bool_]) -> float:
    distance = cv2.distanceTransform(
        np.where(target, 0, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return float(np.minimum(distance[lines], FARTHEST).mean(dtype=np.float64))
