"""A contact sheet: one picture of every shot, labelled."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

COLUMNS, SHEET_WIDTH = 4, 240
"""Cells side by side, and how many pixels wide each is."""
GAP, LABEL = 8, 22
"""Pixels between cells, and below a picture for its label."""
_PAPER, _INK = 24, (230, 230, 230)
_FONT, _LETTERS = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def contact_sheet(
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    columns: int = COLUMNS,
    width: int = SHEET_WIDTH,
) -> bytes:
    """PNG of labelled (H, W, 3) 8-bit R'G'B' pictures of any size, in rows of `columns`.

    Every picture fits a box of `width` by twice that and keeps its shape. ValueError if there are
    none.
    """
    if not pictures:
        raise ValueError("no pictures for a contact sheet")
    cells = [_cell(label, picture, width) for label, picture in pictures]
    height = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    across = min(columns, len(cells))
    size = (rows * (height + GAP) + GAP, across * (width + GAP) + GAP, 3)
    sheet = np.full(size, _PAPER, np.uint8)
    for number, cell in enumerate(cells):
        top = GAP + number // columns * (height + GAP)
        left = GAP + number % columns * (width + GAP)
        sheet[top : top + cell.shape[0], left : left + width] = cell
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    return data.tobytes()


def _cell(label: str, picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    rows, columns = picture.shape[:2]
    scale = min(width / columns, 2 * width / rows)
    shape = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    grows = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    cell = np.full((shape[1] + LABEL, width, 3), _PAPER, np.uint8)
    left = (width - shape[0]) // 2
    cell[: shape[1], left : left + shape[0]] = cv2.resize(picture, shape, interpolation=grows)
    place = (2, shape[1] + LABEL - 7)
    wide = cv2.getTextSize(label, _FONT, _LETTERS, 1)[0][0]
    letters = _LETTERS * min(1.0, (width - 6) / max(1, wide))
    cv2.putText(cell, label, place, _FONT, letters, _INK, 1, cv2.LINE_AA)
    return cell
