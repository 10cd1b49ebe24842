"""Regions of line art: closed ones, leaky ones, coloured traces, nothing at all."""

import cv2
import numpy as np
import pytest

from tasks.frames.codes import from_uint8, to_float
from tasks.stages.colorize.regions import segment_drawing


def page(width=120, height=80):
    return np.full((height, width, 3), 255, np.uint8)


def parts(picture, **options):
    return segment_drawing(to_float(from_uint8(picture)), **options)


def box(picture, x, y, side, colour=(0, 0, 0), gap=0):
    cv2.rectangle(picture, (x, y), (x + side, y + side), colour, 1, cv2.LINE_AA)
    if gap:
        picture[y - 1 : y + 2, x + side // 2 : x + side // 2 + gap] = 255
    return picture


def test_lines_part_inside_from_outside():
    drawing = parts(box(box(page(), 10, 10, 30), 60, 20, 30))
    assert drawing.count == 3
    assert len({drawing.marked[5, 5], drawing.marked[25, 25], drawing.marked[35, 75]}) == 3


@pytest.mark.parametrize("gap", [1, 2])
def test_a_small_gap_does_not_leak(gap):
    drawing = parts(box(page(), 30, 20, 40, gap=gap))
    assert drawing.filled[40, 50] != drawing.filled[5, 5]


def test_a_wide_gap_is_an_opening():
    drawing = parts(box(page(), 30, 20, 40, gap=12))
    assert drawing.filled[40, 50] == drawing.filled[5, 5]


@pytest.mark.parametrize(
    ("colour", "trace"),
    [((0, 0, 0), 0), ((230, 90, 80), 1), ((40, 160, 60), 2), ((70, 120, 225), 3)],
)
def test_traces_of_every_colour_are_lines(colour, trace):
    drawing = parts(box(page(), 30, 20, 40, colour=colour))
    assert drawing.count == 2
    assert drawing.trace[20, 50] == trace


def test_pale_thin_lines_on_grey_paper_are_lines():
    picture = box(np.full((80, 120, 3), 235, np.uint8), 30, 20, 40, colour=(170, 170, 170))
    assert parts(picture).count == 2


def test_a_blank_page_is_one_region():
    drawing = parts(page())
    assert drawing.count == 1
    assert (drawing.filled == 1).all()


def test_a_black_page_is_one_region():
    assert parts(page() * 0).count == 1


def test_every_pixel_belongs_to_a_region_next_to_it():
    drawing = parts(box(page(), 30, 20, 40))
    assert drawing.filled.min() == 1
    assert (drawing.filled[drawing.marked > 0] == drawing.marked[drawing.marked > 0]).all()
    assert drawing.filled[20, 50] in (drawing.filled[17, 50], drawing.filled[23, 50])


def test_noise_does_not_make_countless_regions():
    noise = np.random.default_rng(1).integers(0, 2, (400, 600, 1), np.uint8) * 255
    assert parts(np.repeat(noise, 3, -1)).count <= 1500


def test_threshold_can_be_set():
    faint = box(page(), 30, 20, 40, colour=(215, 215, 215))
    assert parts(faint, threshold=0.05).count == 2
    assert parts(faint, threshold=0.5).count == 1


def test_geometry_is_that_of_the_region():
    drawing = parts(box(page(), 30, 20, 40))
    inside = drawing.marked[40, 50] - 1
    shape = drawing.shape
    assert 37 * 37 <= shape.area[inside] <= 39 * 39
    assert (shape.x[inside], shape.y[inside]) == (
        pytest.approx(50, abs=0.5),
        pytest.approx(40, abs=0.5),
    )
    assert shape.xx[inside] == pytest.approx(38**2 / 12, rel=0.1)
    assert drawing.borders[0, 1] == drawing.borders[1, 0] > 100
