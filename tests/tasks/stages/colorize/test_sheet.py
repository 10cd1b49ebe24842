"""Colour from a model sheet in other poses, and what is not on the sheet."""

import numpy as np

from tasks.benchmarks.model_sheets import model_sheet, posed_characters, score_sheets
from tasks.stages.colorize.regions import segment_drawing
from tasks.stages.colorize.sheet import paint_from_sheets, read_sheet
from tasks.synthetic.cast import make_cast


def test_a_sheets_colours_and_poses_are_found():
    actor = make_cast(4)[0]
    sheet = read_sheet(model_sheet(actor))
    assert set(sheet.figure[sheet.figure > 0]) == {1, 2}
    for paint in (actor.skin, actor.hair, actor.cloth):
        near = np.abs(sheet.colour - np.array(paint) / 255).max(1) < 0.02
        assert set(sheet.figure[near]) >= {1, 2}


def test_characters_in_other_poses_get_their_colours_and_doubt_is_earned():
    score = score_sheets(list(posed_characters([4])))
    assert score.right.mean() > 0.65  # .73 over casts 1 to 4
    assert (score.right * score.area).sum() / score.area.sum() > 0.97
    assert score.right[score.sure >= 0.8].mean() > 0.9  # .98
    assert score.right[score.sure < 0.5].mean() < 0.6


def test_of_several_sheets_the_characters_own_is_used():
    first, second, _ = make_cast(2)
    posed = next(posed_characters([2]))
    drawing = segment_drawing(posed.lines)
    own = read_sheet(model_sheet(first))
    alone = paint_from_sheets(drawing, [own])
    both = paint_from_sheets(drawing, [read_sheet(model_sheet(second)), own])
    area = drawing.shape.area
    same = np.abs(alone.colour - both.colour).max(1) < 0.02
    assert (area * same)[area < 20_000].sum() > 0.8 * area[area < 20_000].sum()


def test_a_sheet_of_one_colour_is_a_sheet():
    sheet = read_sheet(np.ones((40, 60, 3), np.float32))
    drawing = segment_drawing(next(posed_characters([2])).lines)
    assert (paint_from_sheets(drawing, [sheet]).colour >= 0.99).all()
