"""Painted drawings as pictures: cases, ways, shares."""

import cv2
import numpy as np

from tasks.benchmarks.colourings import paint_case, ways_to_paint, with_shares
from tasks.benchmarks.evaluation import evaluate
from tasks.benchmarks.paint import PaintPair


def sheet(left: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawing of two boxes and its colouring, as signals; the boxes' left edge at `left`."""
    lines = np.full((90, 140, 3), 255, np.uint8)
    paint = lines.copy()
    for at, colour in ((left, (200, 60, 60)), (left + 40, (60, 90, 200))):
        cv2.rectangle(paint, (at, 20), (at + 40, 60), colour, -1)
        for picture in (lines, paint):
            cv2.rectangle(picture, (at, 20), (at + 40, 60), (0, 0, 0), 2)
    return lines / np.float32(255), paint / np.float32(255)


def pair() -> PaintPair:
    (lines, paint), (next_lines, truth) = sheet(20), sheet(28)
    return PaintPair(name="boxes/3", lines=lines, paint=paint, next_lines=next_lines, truth=truth)


def test_a_pair_gives_what_a_painter_is_given() -> None:
    case = paint_case(pair())
    assert (case.source, case.name) == ("boxes", "drawing after 3")
    lines, paint, next_lines = case.inputs
    assert np.array_equal(lines, np.rint(pair().lines * 255))
    assert np.array_equal(next_lines, np.rint(pair().next_lines * 255))
    assert np.array_equal(paint, case.beside[0])
    assert np.array_equal(case.truth, np.rint(pair().truth * 255))


def test_ours_paints_what_moved_and_is_the_default() -> None:
    ways = ways_to_paint()
    assert [way.name for way in ways if way.default] == ["douga"]
    found = evaluate([paint_case(pair())], ways)
    rows = {row.method: row for row in with_shares(found.rows(), [pair()])}
    assert rows["douga"].psnr > rows["same place"].psnr + 6
    assert rows["douga"].regions == 1.0
    assert (rows["douga"].pixels or 0) > (rows["same place"].pixels or 1)
    assert all(row.regions is not None for row in rows.values())


def test_references_are_pictures_with_the_next_drawings_lines() -> None:
    case = paint_case(pair())
    for way in ways_to_paint():
        made = way.make(*case.inputs)
        if way.name == "same place":
            assert np.array_equal(made, case.inputs[1])
        else:
            assert made[40, 28].max() < 60  # the box's edge, where it is now
