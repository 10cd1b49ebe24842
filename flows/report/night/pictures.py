"""Pictures small enough to be part of a page."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PICTURE_BYTES = 64_000_000
"""An object that is larger is no frame."""


def data_uri(data: bytes | None, *, width: int, quality: int) -> str:
    """A picture file as a `data:` URI of a JPEG that is `width` pixels wide at the most; empty
    where it cannot be read."""
    picture = _decode(data)
    return "" if picture is None else jpeg_uri(picture, width=width, quality=quality)


def jpeg_uri(picture: NDArray[np.uint8], *, width: int, quality: int) -> str:
    """The same of pixels, (H, W, 3) 8-bit B'G'R'."""
    rows, columns = picture.shape[:2]
    if columns > width:
        size = (width, max(1, round(rows * width / columns)))
        picture = _pixels(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    done, file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(file.tobytes()).decode()}"


def cut_sheet(data: bytes | None, count: int, *, columns: int, gap: int, width: int) -> list[Any]:
    """The cells of a contact sheet with `count` of them, (H, W, 3); none where it is another."""
    sheet = _decode(data)
    if sheet is None or not count:
        return []
    rows = -(-count // columns)
    height, left_over = divmod(sheet.shape[0] - gap, rows)
    across = min(columns, count) * (width + gap) + gap
    if left_over or height <= gap or sheet.shape[1] != across:
        return []
    cells = []
    for number in range(count):
        top = gap + number // columns * height
        left = gap + number % columns * (width + gap)
        cells.append(sheet[top : top + height - gap, left : left + width])
    return cells


def _decode(data: bytes | None) -> NDArray[np.uint8] | None:
    if not data or len(data) > PICTURE_BYTES:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else _pixels(picture)


def _pixels(picture: Any) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = picture
    return pixels
