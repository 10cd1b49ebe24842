"""A contact sheet: one picture of every shot, labelled."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_GAP, _LABEL = 8, 22


def contact_sheet(
    pictures: Sequence[tuple[str, NDArray[np.uint8]]], *, columns: int = 4, width: int = 240
) -> bytes:
    """PNG of labelled (H, W, 3) 8-bit R'G'B' pictures of any size, in rows of `columns`."""
    cells = [_cell(label, picture, width) for label, picture in pictures]
    height = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    across = min(columns, len(cells))
    sheet = np.full(
        (rows * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP, 3), 24, np.uint8
    )
    for number, cell in enumerate(cells):
        top = _GAP + number // columns * (height + _GAP)
        left = _GAP + number % columns * (width + _GAP)
        sheet[top : top + cell.shape[0], left : left + width] = cell
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    return data.tobytes()


def _cell(label: str, picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    cell = np.full((height + _LABEL, width, 3), 24, np.uint8)
    cell[:height] = small
    place, paint = (2, height + _LABEL - 7), (230, 230, 230)
    cv2.putText(cell, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, paint, 1, cv2.LINE_AA)
    return cell
