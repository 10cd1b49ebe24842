"""Classical optical flow between drawings: where each pixel of one frame is in another.

Dense inverse search (Kroeger et al., ECCV 2016) from OpenCV, on 8-bit luma, with what cartoons
need around it: forward splatting to a moment between two frames, and filling of what stays open.
A flow is float32 (H, W, 2), in pixels, x then y: pixel p of the first frame is at p + flow[p] of
the second. Everything here is a pure function of its inputs; the result does not depend on
OpenCV's number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flow = NDArray[np.float32]

_WORK_PIXELS = 1 << 20
_STILL = 1.5
"""8-bit codes: a pixel whose 5x5 surroundings differ by no more has not moved."""
_FILL_LEVELS = 7
_FILL_PULL = 0.01
"""Weight of the coarser level where splats arrived: smooths, and decides where none did."""


def dis_flow(luma_a: NDArray[np.uint8], luma_b: NDArray[np.uint8], *, finest: int = 1) -> Flow:
    """Flow from a to b, (H, W, 2); `finest` is the last pyramid level (0: full resolution).

    Preset medium with patches every 2 pixels: on the real sequences of the test material stride 2
    and level 1 were as good as level 0 at a third of its time. Frames under 16 pixels a side have
    no structure to follow: zero flow.
    """
    if min(luma_a.shape) < 16:
        return np.zeros((*luma_a.shape, 2), np.float32)
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setPatchStride(2)
    dis.setFinestScale(finest)
    return np.asarray(dis.calc(luma_a, luma_b, None), np.float32)


def flow_by_size(luma_a: NDArray[np.uint8], luma_b: NDArray[np.uint8]) -> Flow:
    """Flow from a to b at their size, found on pictures of at most 1 megapixel."""
    height, width = luma_a.shape
    shrink = shrink_for(height * width)
    if shrink == 1:
        return dis_flow(luma_a, luma_b)
    size = (max(1, width // shrink), max(1, height // shrink))
    small = [cv2.resize(luma, size, interpolation=cv2.INTER_AREA) for luma in (luma_a, luma_b)]
    flow = dis_flow(np.asarray(small[0]), np.asarray(small[1]), finest=0)
    return enlarged(flow, width=width, height=height)


def shrink_for(pixels: int) -> int:
    """The power of two by which a frame's sides are divided to find flow (1080p: 2)."""
    shrink = 1
    while pixels > _WORK_PIXELS * shrink * shrink:
        shrink *= 2
    return shrink


def enlarged(flow: Flow, *, width: int, height: int) -> Flow:
    """The same flow for pictures of another size."""
    scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    return np.asarray(cv2.resize(flow, (width, height))) * scale


def unmoved(apart: Floats) -> NDArray[np.bool_]:
    """Pixels around which nothing changed, by their difference in 8-bit codes: flow is 0 there."""
    soft = np.asarray(cv2.blur(apart, (3, 3)))
    return np.asarray(cv2.dilate(soft, np.ones((5, 5), np.uint8)) <= _STILL)


def warp(image: NDArray[Any], flow: Flow, *, by: float = 1.0) -> Floats:
    """Sample float `image` at p + by * flow[p], bilinear; beyond the edge, the edge's pixel."""
    height, width = flow.shape[:2]
    x, y = _mesh(width, height)
    return np.asarray(
        cv2.remap(
            image,
            x + np.float32(by) * flow[..., 0],
            y + np.float32(by) * flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def disagreement(there: Flow, back: Flow) -> Floats:
    """How far from its start a pixel lands after going there and back, in pixels, (H, W)."""
    return np.asarray(np.linalg.norm(there + warp(back, there), axis=2), np.float32)


def splat(flow: Flow, weight: Floats, *, by: float) -> tuple[Flow, Floats]:
    """Carry each pixel's flow to where the pixel is after `by` of its way.

    Gives (sum of weighted flows, sum of weights) at the nearest pixel of arrival.
    """
    height, width = weight.shape
    x, y = _mesh(width, height)
    to_x = np.rint(x + np.float32(by) * flow[..., 0]).astype(np.int64)
    to_y = np.rint(y + np.float32(by) * flow[..., 1]).astype(np.int64)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    target = (to_y * width + to_x)[inside]
    weights = weight[inside]

    def gather(values: Floats) -> Floats:
        total = np.bincount(target, values, height * width)
        return total.reshape(height, width).astype(np.float32)

    moved = [gather(weights * flow[..., axis][inside]) for axis in (0, 1)]
    return np.stack(moved, -1), gather(weights)


def fill(total: Flow, weight: Floats, *, levels: int = _FILL_LEVELS) -> Flow:
    """Weighted mean where something arrived, a smooth guess from around where nothing did."""
    if levels == 0 or min(weight.shape) < 4:
        return np.asarray(total / (weight[..., None] + np.float32(1e-6)), np.float32)
    coarse = fill(
        np.asarray(cv2.pyrDown(total)), np.asarray(cv2.pyrDown(weight)), levels=levels - 1
    )
    around = cv2.pyrUp(coarse, dstsize=weight.shape[::-1])
    pull = np.float32(_FILL_PULL)
    return np.asarray((total + pull * around) / (weight + pull)[..., None], np.float32)


@lru_cache(maxsize=4)
def _mesh(width: int, height: int) -> tuple[Floats, Floats]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x.flags.writeable = y.flags.writeable = False
    return x, y
