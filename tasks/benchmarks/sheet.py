"""Contact sheets for people: the worst cases first, every way side by side, and a close look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.benchmarks.evaluation import Kind, Way, default_of
from tasks.benchmarks.pictures import Section, StageName
from tasks.benchmarks.table import short_name
from tasks.metrics.scores import Frame, psnr

_PAPER, _INK, _MARK = 24, (230, 230, 230), (255, 214, 0)
_FONT, _LETTERS = cv2.FONT_HERSHEY_SIMPLEX, 0.55
_GAP, _LABEL, _HEAD = 10, 24, 34
_WIDTH = 300
"""Of a column, in pixels."""
_CLOSE = 5
"""A close look shows about a fifth of the picture's width."""
_REFERENCES, _OURS, _PEERS = 2, 1, 2
"""Shown beside the default, at the most."""

ROWS: Mapping[StageName, int] = {"interpolate": 6, "upscale": 2, "colorize": 6}
"""Cases of a section; enlarging has a section for each factor and way to reduce."""


@dataclass(frozen=True, slots=True)
class _Cell:
    label: str
    picture: Frame


def comparison_sheet(sections: Sequence[Section], *, rows: Mapping[StageName, int] = ROWS) -> bytes:
    """PNG: for each section its worst cases by the default way, so many `rows`, inputs to truth.

    Under every picture the place where the default is farthest from the truth, enlarged; it is
    framed in the picture. Captions name the way and its PSNR. ValueError if there are no cases.
    """
    if not any(section.cases for section in sections):
        raise ValueError("no cases for a comparison sheet")
    parts = [part for section in sections for part in _section(section, rows[section.stage])]
    width = max(part.shape[1] for part in parts)
    return _png(np.concatenate([_widened(part, width) for part in parts]))


def _section(section: Section, rows: int) -> list[Frame]:
    shown = _shown_ways(section)
    parts = [_title(f"{section.stage}: {section.what}")]
    for number in section.evaluation.worst(rows):
        case = section.cases[number]
        made = {way.name: way.make(*case.inputs) for way in shown}
        chosen = made[default_of(section.ways).name]
        place = _worst_place(chosen, case.truth)
        cells = [_Cell(label, picture) for label, picture in _inputs(section, number)]
        for way in shown:
            mark = " (ours)" if way.kind == "ours" and "ours" not in way.name else ""
            score = psnr(made[way.name], case.truth)
            name = short_name(way.name, most=24)
            cells.append(_Cell(f"{name}{mark}  {score:.2f} dB", made[way.name]))
        cells.append(_Cell("truth", case.truth))
        parts.append(_row(f"{case.source}  {case.name}", cells, place))
    return parts


def _shown_ways(section: Section) -> list[Way]:
    """The best references, then ours, the default first, then peers: what fits beside another."""
    mean = {row.method: row.psnr for row in section.rows}
    chosen = default_of(section.ways)

    def best(kind: Kind, count: int) -> list[Way]:
        some = [way for way in section.ways if way.kind == kind and way is not chosen]
        return sorted(some, key=lambda way: -mean[way.name])[:count]

    others = [*best("ours", _OURS), *best("peer", _PEERS)]
    return [*best("reference", _REFERENCES), chosen, *others]


def _inputs(section: Section, number: int) -> list[tuple[str, Frame]]:
    """What the ways were given, at the truth's size."""
    case = section.cases[number]
    names = {
        "interpolate": ("before", "after"),
        "upscale": ("input",),
        "colorize": ("drawing before", "its colouring", "drawing"),
    }[section.stage]
    height, width = case.truth.shape[:2]
    return [
        (name, _sized(picture, width, height))
        for name, picture in zip(names, case.inputs, strict=True)
    ]


def _worst_place(made: Frame, truth: Frame) -> tuple[slice, slice]:
    """The window, as wide as a close look shows, with the largest squared error."""
    height, width = truth.shape[:2]
    columns = min(width, _WIDTH // _zoom(width))
    rows = min(height, max(1, round(columns * height / width)))
    error = np.square(made.astype(np.float32) - truth).sum(-1)
    sums = cv2.boxFilter(error, -1, (columns, rows), normalize=False, anchor=(0, 0))
    inside = sums[: height - rows + 1, : width - columns + 1]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)


def _zoom(width: int) -> int:
    """How many times as large a close look is: whole, so that every pixel is as wide."""
    return max(1, round(_WIDTH * _CLOSE / width))


def _row(head: str, cells: Sequence[_Cell], place: tuple[slice, slice]) -> Frame:
    columns = [_column(cell, place) for cell in cells]
    gap = _paper(columns[0].shape[0], _GAP)
    row = np.concatenate([gap, *(part for column in columns for part in (column, gap))], axis=1)
    line = _paper(_LABEL, row.shape[1])
    _write(line, head, (_GAP, _LABEL - 7), _INK)
    return np.concatenate([line, row, _paper(_GAP, row.shape[1])])


def _column(cell: _Cell, place: tuple[slice, slice]) -> Frame:
    height = round(_WIDTH * cell.picture.shape[0] / cell.picture.shape[1])
    whole = _sized(cell.picture, _WIDTH, height)
    scale = _WIDTH / cell.picture.shape[1]
    corners = [
        (round(place[1].start * scale), round(place[0].start * scale)),
        (round(place[1].stop * scale) - 1, round(place[0].stop * scale) - 1),
    ]
    cv2.rectangle(whole, corners[0], corners[1], _MARK, 1)
    close = _sized(np.ascontiguousarray(cell.picture[place]), _WIDTH, height)
    label = _paper(_LABEL, _WIDTH)
    _write(label, cell.label, (2, _LABEL - 8), _INK)
    return np.concatenate([whole, _paper(4, _WIDTH), close, label])


def _title(text: str) -> Frame:
    line = _paper(_HEAD, _WIDTH)
    wide = cv2.getTextSize(text, _FONT, 0.7, 1)[0][0] + 2 * _GAP
    line = _widened(line, max(_WIDTH, wide))
    cv2.putText(line, text, (_GAP, _HEAD - 10), _FONT, 0.7, _MARK, 1, cv2.LINE_AA)
    return line


def _write(line: Frame, text: str, place: tuple[int, int], ink: tuple[int, int, int]) -> None:
    """Text in one line, smaller where it would not fit; OpenCV has letters for ASCII only."""
    text = text.encode("ascii", "replace").decode()
    wide = cv2.getTextSize(text, _FONT, _LETTERS, 1)[0][0]
    letters = _LETTERS * min(1.0, (line.shape[1] - place[0] - 4) / max(1, wide))
    cv2.putText(line, text, place, _FONT, letters, ink, 1, cv2.LINE_AA)


def _sized(picture: Frame, width: int, height: int) -> Frame:
    """A copy at another size: pixels kept apart where it grows, averaged where it shrinks."""
    way = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_NEAREST
    return np.array(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def _widened(part: Frame, width: int) -> Frame:
    return np.concatenate([part, _paper(part.shape[0], width - part.shape[1])], axis=1)


def _paper(height: int, width: int) -> Frame:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _png(sheet: NDArray[np.uint8]) -> bytes:
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    return data.tobytes()
