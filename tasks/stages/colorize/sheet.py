"""Colour from a model sheet: a character painted once, in other poses and sizes than the drawing's.

Place means nothing here. A region is likened to the sheet's by form, by its share of the figure, by
where in the figure it lies (the head is above the shoes in most poses), and by its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats
from tasks.stages.colorize.features import forms
from tasks.stages.colorize.paint import Painted, main_colours
from tasks.stages.colorize.regions import Drawing

_LEVELS = 24
_LEAST_SHARE = 2e-5
_INK = 0.3
_THIN = 2.5
"""Ink on a sheet is darker than this share of white, and no thicker than twice this many pixels."""
_ROUNDS = 4
_PAIR = (1.23, 1.62, -0.80, 1.81, -1.66, -13.37, -8.78, -1.77)
_BESIDE, _MOVED, _MOVED_FORM, _NEW = 7.46, -1.03, 2.12, 0.03
_BEYOND = 0.15
"""Weights of the numbers of `_speaking`, of neighbours, of lying to them as on the sheet (in roots
of the figure's area, this far off at most) and of a region that the sheet has not; fitted as in
fit.py on 90 drawings of 30 synthesised characters (casts 10 to 19 of measure/model_sheets.py)."""
_WHOSE = 10.0
"""Weight of how well one sheet explains a whole figure, against the best sheet: with three sheets
of a cast .95 of the area comes out as with the figure's own alone (at 0: .83, at 3: .92)."""
_SAME = 0.06


@dataclass(frozen=True)
class Sheet:
    """A colour model taken apart: its regions as a drawing, each one's colour and figure.

    `figure` (count,) is the pose that a region belongs to, from 1; 0 is paper.
    """

    drawing: Drawing
    colour: Floats
    figure: NDArray[np.int32]


def read_sheet(picture: Floats) -> Sheet:
    """A sheet from its picture (H, W, 3): areas of one colour are regions, dark thin ones ink."""
    levels = np.rint(np.clip(picture, 0, 1) * _LEVELS).astype(np.int32)
    code = (levels * np.array([1, 32, 1024])).sum(-1)
    even = np.ones(code.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(picture, axis=axis)).max(-1) > 1 / _LEVELS
        near = [slice(None), slice(None)]
        far = [slice(None), slice(None)]
        near[axis], far[axis] = slice(None, -1), slice(1, None)
        even[tuple(near)] &= ~step
        even[tuple(far)] &= ~step
    paper = int(np.bincount(code[_border(code.shape)]).argmax())
    least = max(6, round(_LEAST_SHARE * code.size))
    marked = np.zeros(code.shape, np.int32)
    count = 0
    for value in np.unique(code[even]):
        _, parts, stats, _ = cv2.connectedComponentsWithStats(
            (even & (code == value)).astype(np.uint8), connectivity=4
        )
        kept = stats[:, cv2.CC_STAT_AREA] >= least
        kept[0] = False
        number = np.zeros(len(stats), np.int32)
        number[kept] = count + 1 + np.arange(kept.sum())
        marked += number[parts]
        count += int(kept.sum())
    if not count:
        marked[:], count = 1, 1
    # A colour spread over two levels by noise or a gradient is one region only for the eye; each
    # part has the same colour, which is all that a match needs.
    plain = _plain(marked)
    colour = main_colours(plain, picture)
    is_paper = np.zeros(count, bool)
    on_paper = marked[(code == paper) & _border(code.shape)]
    is_paper[np.unique(on_paper[on_paper > 0]) - 1] = True
    gone = (colour.max(1) < _INK) & (_thickness(plain) < _THIN)
    if gone.any() and not gone.all():
        number = np.zeros(count + 1, np.int32)
        number[1:][~gone] = np.arange(1, int((~gone).sum()) + 1)
        plain = _plain(number[marked])
        colour, is_paper = colour[~gone], is_paper[~gone]
    return Sheet(plain, colour, _figures(plain, is_paper))


def _plain(marked: NDArray[np.int32]) -> Drawing:
    """Regions as a drawing whose lines are black."""
    return Drawing(
        darkness=(marked == 0).astype(np.float32),
        trace=np.zeros(marked.shape, np.uint8),
        marked=marked,
        threshold=0.5,
        count=int(marked.max()),
    )


def paint_from_sheets(drawing: Drawing, sheets: Sequence[Sheet]) -> Painted:
    """A drawing in the colours of sheets: every region the likeliest colour of all of them."""
    paper = _is_paper(drawing)
    chance = sheet_chances(drawing, paper, sheets)
    colour = np.concatenate([sheet.colour for sheet in sheets])
    same = (np.abs(colour[:, None] - colour[None]).max(-1) <= _SAME).astype(np.float32)
    votes = chance @ same
    sure = np.where(paper, 1, np.minimum(votes.max(1), 1)).astype(np.float32)
    chosen = np.where(paper[:, None], 1, colour[votes.argmax(1)]).astype(np.float32)
    count = drawing.count
    return Painted(
        drawing=drawing,
        paint=chosen[drawing.filled - 1],
        colour=chosen,
        flat=np.ones(count, bool),
        ink=np.zeros((count, 3), np.float32),
        trace_ink=np.array([[0, 0, 0]] + [[np.nan] * 3] * 3, np.float32),
        sure=sure,
        was_sure=np.ones(count, np.float32),
    )


def sheet_chances(drawing: Drawing, paper: NDArray[np.bool_], sheets: Sequence[Sheet]) -> Floats:
    """(drawing.count, regions of all sheets): how likely each region is each of theirs."""
    figure = _figures(drawing, paper)
    about = _about(drawing, figure)
    there = [_about(sheet.drawing, sheet.figure) for sheet in sheets]
    scores = []
    for sheet, other in zip(sheets, there, strict=True):
        score = np.zeros((drawing.count, sheet.drawing.count), np.float32)
        for weight, values in zip(_PAIR, _speaking(about, other), strict=True):
            score += np.float32(weight) * values
        score[:, sheet.figure == 0] = -20
        scores.append(score)
    whose = np.stack([_fit(score, figure) for score in scores])
    whose = _WHOSE * (whose - whose.max(0))
    scores = [score + part[figure][:, None] for score, part in zip(scores, whose, strict=True)]
    return _with_neighbours(np.concatenate(scores, 1), drawing, paper, about, sheets, there)


@dataclass(frozen=True, slots=True)
class _About:
    """Per region what mostly stays in other poses: form, log share of its figure, place in the
    figure's box, elongation, and its centre in roots of the figure's area."""

    form: Floats
    size: Floats
    place: Floats
    long: Floats
    centre: Floats


def _about(drawing: Drawing, figure: NDArray[np.int32]) -> _About:
    shape = drawing.shape
    count = int(figure.max()) + 1
    total = np.maximum(np.bincount(figure, shape.area, count), 1)
    place = np.zeros((drawing.count, 2), np.float32)
    for number in range(count):
        inside = figure == number
        if not inside.any():
            continue
        rows, columns = np.nonzero(np.concatenate([[False], inside])[drawing.marked])
        left, right = columns.min(), columns.max() + 1
        top, bottom = rows.min(), rows.max() + 1
        place[inside, 0] = (shape.x[inside] - left) / (right - left) - 0.5
        place[inside, 1] = (shape.y[inside] - top) / (bottom - top)
    middle = (shape.xx + shape.yy) / 2
    apart = np.sqrt(((shape.xx - shape.yy) / 2) ** 2 + shape.xy**2)
    long = 0.5 * np.log((middle + apart + 0.3) / (np.maximum(middle - apart, 0) + 0.3))
    centre = np.stack([shape.x, shape.y], -1) / np.sqrt(total[figure])[:, None]
    return _About(
        forms(drawing),
        np.log(shape.area / total[figure]).astype(np.float32),
        place,
        long.astype(np.float32),
        centre.astype(np.float32),
    )


def _speaking(a: _About, b: _About) -> Iterator[Floats]:
    """What speaks for each pair: form either way round, form, then differences in size, place
    across (either way round, then as it is), place down (and whether at all), elongation."""
    form = a.form @ b.form.T
    yield np.maximum(form, a.form @ _mirrored(b.form).T)
    yield form
    yield np.minimum(np.abs(a.size[:, None] - b.size[None]), 3)
    across, across_there = a.place[:, :1], b.place[None, :, 0]
    yield np.abs(np.abs(across) - np.abs(across_there))
    yield np.abs(across - across_there)
    down = np.abs(a.place[:, 1:] - b.place[None, :, 1])
    yield down
    yield np.minimum(down, np.float32(0.1))
    yield np.minimum(np.abs(a.long[:, None] - b.long[None]), 2)


def _mirrored(form: Floats) -> Floats:
    side = round(form.shape[1] ** 0.5)
    return np.ascontiguousarray(form.reshape(-1, side, side)[:, :, ::-1]).reshape(form.shape)


def _fit(score: Floats, figure: NDArray[np.int32]) -> Floats:
    """How well a sheet explains each figure of the drawing: the mean best score of its regions."""
    count = int(figure.max()) + 1
    size = np.maximum(np.bincount(figure, minlength=count), 1)
    return np.asarray(np.bincount(figure, score.max(1), count) / size, np.float32)


def _with_neighbours(
    score: Floats,
    drawing: Drawing,
    paper: NDArray[np.bool_],
    about: _About,
    sheets: Sequence[Sheet],
    there: Sequence[_About],
) -> Floats:
    """Chances, raised where neighbours are neighbours on the sheet and lie there the same way."""
    shares = drawing.borders / np.maximum(drawing.borders.sum(1, keepdims=True), 1)
    touching = _touching(sheets)
    beside = shares * ~paper
    beside /= beside.sum(1, keepdims=True) + np.float32(1e-3)
    offset = about.centre - beside @ about.centre
    place = np.concatenate([other.centre for other in there])
    form = np.concatenate([about.form @ other.form.T for other in there], 1)
    is_paper = np.concatenate([sheet.figure == 0 for sheet in sheets])
    score = np.where(paper[:, None] & is_paper, np.float32(20), score)
    new = np.full((len(score), 1), _NEW, np.float32)
    total = score
    for _ in range(_ROUNDS):
        chance = _softmax(total)
        expected = beside @ (chance @ place) + offset
        away = ((expected[:, None] - place[None]) ** 2).sum(-1)
        near = np.exp(-away / np.float32(2 * _BEYOND**2))
        support = shares @ chance @ touching
        total = score + _BESIDE * support + (_MOVED + _MOVED_FORM * form) * near
    return _softmax(np.concatenate([total, new], 1))[:, :-1]


def _touching(sheets: Sequence[Sheet]) -> Floats:
    """Which regions of all sheets lie next to each other, 0 to 1; none of two sheets do."""
    sizes = [sheet.drawing.count for sheet in sheets]
    touching = np.zeros((sum(sizes), sum(sizes)), np.float32)
    start = 0
    for sheet, size in zip(sheets, sizes, strict=True):
        borders = sheet.drawing.borders
        longest = np.maximum(borders.max(1, keepdims=True), 1)
        touching[start : start + size, start : start + size] = np.minimum(
            3 * borders / longest, 1
        ).T
        start += size
    return touching


def _softmax(score: Floats) -> Floats:
    chance = np.exp(score - score.max(1, keepdims=True))
    return np.asarray(chance / chance.sum(1, keepdims=True), np.float32)


def _figures(drawing: Drawing, paper: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Which connected figure each region belongs to, from 1; 0 for paper."""
    ground = np.concatenate([[False], paper])[drawing.filled]
    _, parts = cv2.connectedComponents((~ground).astype(np.uint8), connectivity=8)
    rows, columns = np.nonzero(drawing.marked)
    figure = np.zeros(drawing.count, np.int32)
    figure[drawing.marked[rows, columns] - 1] = parts[rows, columns]
    figure[paper] = 0
    return figure


def _is_paper(drawing: Drawing) -> NDArray[np.bool_]:
    """The region that has most of the frame's edge is the paper around the figures."""
    edge = drawing.filled[_border(drawing.filled.shape)]
    owned = np.bincount(edge, minlength=drawing.count + 1)[1:]
    paper = np.zeros(drawing.count, bool)
    if owned.any():
        paper[int(owned.argmax())] = True
    return paper


def _border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    border = np.zeros(shape, bool)
    border[[0, -1]] = True
    border[:, [0, -1]] = True
    return border


def _thickness(drawing: Drawing) -> Floats:
    """Each region's greatest distance from its edge, in pixels."""
    away = cv2.distanceTransform((drawing.marked > 0).astype(np.uint8), cv2.DIST_L2, 5)
    widest = np.zeros(drawing.count + 1, np.float32)
    np.maximum.at(widest, drawing.marked.ravel(), away.ravel())
    return widest[1:]
