"""Measures how much of one picture is missing from another, for cut detection.

Two pictures are compared block by block. A block of the second is still there if the first has it
at the same place, or where optical flow or one shift of the whole picture says that it came from;
brighter, darker or inverted is still the same picture. What is left is the share of the picture
that came from nowhere: about 0 within a shot, about 0.9 across a cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

THUMB_WIDTH, THUMB_HEIGHT = 256, 144
"""Size of the pictures that cut detection looks at, whatever the source's."""

_WIDTH, _HEIGHT, _BLOCK = 128, 72, 8
_ROWS, _COLUMNS = _HEIGHT // _BLOCK, _WIDTH // _BLOCK
GRID_SHAPE = (_ROWS, _COLUMNS, 3)
"""Block means of Y, Cr, Cb: 9 rows of 16."""

# In 8-bit codes at 128x72: below NOISE a difference is compression or grain; a block whose
# luma spreads less than FLAT has no structure to recognise and is judged by its colour alone,
# at a quarter of the weight (a white background says little about the shot).
_NOISE = 4.0
_FLAT = 4.0
_FLAT_WEIGHT = 0.25
_HELD = 1.5
"""Largest block difference (Y + Cr + Cb, 8-bit codes at 128x72) still taken for a held frame."""

_EXPLAINED = 0.05
"""Once this little is gone the pictures are the same shot and no further guess is tried."""

SmallPicture = NDArray[np.uint8]
"""(72, 128, 3) uint8 Y, Cr, Cb: one picture prepared for comparison."""


def shrink(thumb: NDArray[np.uint8]) -> SmallPicture:
    """Shrinks a (144, 256, 3) uint8 R'G'B' thumbnail for `difference`."""
    small = cv2.resize(thumb, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.uint8, copy=False)


def grid_of(picture: SmallPicture) -> NDArray[np.uint8]:
    """Block means of a picture, (9, 16, 3) uint8."""
    return np.rint(_means(picture.astype(np.float32))).astype(np.uint8)


def contrast_of(picture: SmallPicture) -> float:
    """How far a picture's pixels spread: root of the summed variances of Y, Cr and Cb."""
    _, deviation = cv2.meanStdDev(picture)
    return float(np.sqrt((deviation**2).sum()))


def difference(before: SmallPicture, after: SmallPicture) -> float:
    """The share of the picture, 0 to 1, that two frames do not have in common.

    Symmetric (what came from nowhere, or what went without trace, whichever is more), and
    invariant to motion and to global changes of brightness and contrast, inversion included.
    Deterministic for one build of OpenCV.
    """
    distance = cv2.absdiff(before, after).astype(np.float32)
    if float(_means(distance).sum(-1).max()) < _HELD:
        return 0.0
    return max(_new_in(before, after), _new_in(after, before))


def mix_error(before: SmallPicture, between: SmallPicture, after: SmallPicture) -> float:
    """How far `between` is from a mix of the other two, as a part of their distance.

    One mix for the whole picture; the median over the blocks that differ most (half of them), so
    that what moves meanwhile does not count. About 0 to .3 in a dissolve, above .5 in a pan.
    """
    start = before.astype(np.float32)
    way, step = after - start, between - start
    share = float((step * way).sum()) / (float((way * way).sum()) or 1.0)
    aside = _means((step - way * np.float32(share)) ** 2).sum(-1)
    length = _means(way * way).sum(-1) + 1
    most = length >= np.median(length)
    return float(np.sqrt(np.median(aside[most] / length[most])))


def _new_in(before: SmallPicture, after: SmallPicture) -> float:
    """The share of `after` that is nowhere in `before`."""
    target = after.astype(np.float32)
    gone: NDArray[np.float32] | None = None
    weight: NDArray[np.float32] | None = None
    for guess in _guesses(before, after):
        share, textured = _gone(guess, target)
        gone = share if gone is None else np.minimum(gone, share)
        weight = textured if weight is None else np.maximum(weight, textured)
        if (total := float((gone * weight).sum() / weight.sum())) < _EXPLAINED:
            break
    return total


def _guesses(before: SmallPicture, after: SmallPicture) -> Iterator[NDArray[np.float32]]:
    """What `after` may look like if it is the same shot, the likeliest and cheapest first."""
    target: NDArray[np.float32] = after.astype(np.float32)
    still: NDArray[np.float32] = before.astype(np.float32)
    yield still
    flowed = _flowed(still, before, after)
    yield flowed
    yield from _relit(still, target)
    yield from _relit(flowed, target)
    shifted = _shifted(still, target)
    yield shifted
    yield from _relit(shifted, target)


def _flowed(
    still: NDArray[np.float32], before: SmallPicture, after: SmallPicture
) -> NDArray[np.float32]:
    x, y, _ = _mesh()
    flow = _flow().calc(after[..., 0], before[..., 0], None)
    places = (x + flow[..., 0], y + flow[..., 1])
    flowed = cv2.remap(still, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flowed, np.float32)


def _shifted(still: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    (x, y), _ = cv2.phaseCorrelate(still[..., 0], target[..., 0], _mesh()[2])
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    shifted = cv2.warpAffine(still, matrix, (_WIDTH, _HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted, np.float32)


def _relit(
    guess: NDArray[np.float32], target: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """The guess in the light of the target where that explains it.

    Light is a blend with one colour (black and white included): one gain for every channel, and
    an offset that leads to a colour which exists. An abrupt change of hue alone is no light.
    """
    a, b = guess[..., 0], target[..., 0]
    var_a, var_b = float(a.var()), float(b.var())
    cov = float((a * b).mean()) - float(a.mean()) * float(b.mean())
    if var_a < 1 or var_b < 1 or cov * cov < 0.5 * var_a * var_b:
        return
    gain = cov / var_a
    offset = target.mean((0, 1)) - gain * guess.mean((0, 1))
    reach = np.sort(np.array([0.0, 255.0]) * (1 - gain))
    yield guess * np.float32(gain) + np.clip(offset, *reach).astype(np.float32)


def _gone(
    guess: NDArray[np.float32], target: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Per block: how far it is gone, 0 to 1, and its weight."""
    a, b = guess[..., :1], target[..., :1]
    both = np.concatenate([a, b, a * a, b * b, a * b, np.abs(guess - target)], -1)
    mean_a, mean_b, aa, bb, ab, *distances = np.moveaxis(_means(both), -1, 0)
    var_a, var_b = np.maximum(aa - mean_a**2, 0), np.maximum(bb - mean_b**2, 0)
    spread = np.sqrt(np.maximum(var_a, var_b))
    floor = _NOISE + 2
    similarity = np.abs(ab - mean_a * mean_b) / np.sqrt((var_a + floor) * (var_b + floor))
    by_colour = np.clip((sum(distances) - _NOISE) / (0.8 * spread + 8) - 0.3, 0, 1)
    by_structure = np.clip((0.8 - similarity) / 0.4, 0, 1)
    textured = spread > _FLAT
    gone = np.where(textured, np.minimum(by_colour, by_structure), by_colour)
    return gone.astype(np.float32), np.where(textured, 1, _FLAT_WEIGHT).astype(np.float32)


def _means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    means = cv2.resize(values, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


@cache
def _flow() -> Any:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow.setFinestScale(1)
    return flow


@cache
def _mesh() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(_WIDTH, dtype=np.float32), np.arange(_HEIGHT, dtype=np.float32))
    window = cv2.createHanningWindow((_WIDTH, _HEIGHT), cv2.CV_32F)
    return x, y, np.asarray(window, np.float32)
