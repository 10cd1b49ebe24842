"""Reference pictures: decoded, and fitted to the frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cluster.errors import InputError, StageError
from tasks.frames.optical_flow import Floats
from tasks.frames.picture import Picture

_PAPER_SHARE = 0.6
"""A frame with this much bright paper is a line drawing, for `mode: auto`."""


def decode_picture(data: bytes, path: str) -> Floats:
    """A png, jpg or tiff of 8 or 16 bits as R'G'B' signal (H, W, 3), alpha laid over white."""
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            "expected a png, jpg or tiff of 8 or 16 bits",
            where=path,
            remedy="export the reference again",
        )
    signal = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    if signal.ndim == 2:
        signal = np.repeat(signal[..., None], 3, -1)
    if signal.shape[2] == 4:
        signal = signal[..., :3] * signal[..., 3:] + (1 - signal[..., 3:])
    return np.ascontiguousarray(signal[..., ::-1], np.float32)


def is_line_drawing(signal: Floats) -> bool:
    """Whether a frame (H, W, 3) is lines on bright paper rather than a grey picture."""
    paper = np.median(signal.reshape(-1, 3), 0)
    near = np.abs(signal - paper).max(-1) < 0.1
    return bool(paper.min() > 0.7 and near.mean() > _PAPER_SHARE)


def sample(picture: Floats, point: tuple[int, int], where: str) -> Floats:
    """The colour (3,) around a point: the median of 3x3 pixels. StageError beyond the picture."""
    x, y = point
    height, width = picture.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise StageError(
            f"expected a point within {width}x{height}, the reference's size, got {x}, {y}",
            where=where,
            remedy="count pixels from the reference's upper left",
        )
    around = picture[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3)
    return np.asarray(np.median(around, 0), np.float32)


def fit_picture(art: Floats, picture: Picture, path: str) -> Floats:
    """A reference at the frame's size. StageError if it has another shape."""
    height, width = art.shape[:2]
    if (width, height) == (picture.width, picture.height):
        return art
    if abs(width * picture.height - height * picture.width) > 0.01 * width * picture.height:
        raise StageError(
            f"expected a reference shaped like {picture.width}x{picture.height}, got "
            f"{width}x{height} ({path})",
            where="colorize",
            remedy="crop it to the frame's shape",
        )
    size = (picture.width, picture.height)
    way = cv2.INTER_AREA if width > picture.width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(art, size, interpolation=way))
