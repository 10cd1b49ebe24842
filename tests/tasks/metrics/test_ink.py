"""Lines and how far they are off, in pixels."""

from math import isnan

import cv2
import numpy as np
import pytest

from tasks.metrics.ink import FARTHEST, chamfer, find_lines, line_distance


def ruled(*columns: int, size: tuple[int, int] = (60, 80), width: int = 1) -> np.ndarray:
    """Black vertical lines on light grey."""
    picture = np.full((*size, 3), 220, np.uint8)
    for column in columns:
        picture[:, column : column + width] = 20
    return picture


def test_a_line_shifted_by_two_pixels_is_two_pixels_off() -> None:
    assert line_distance(ruled(42), ruled(40)) == 2.0
    assert line_distance(ruled(40), ruled(42)) == 2.0


def test_a_wide_line_counts_by_its_middle() -> None:
    assert find_lines(ruled(40, width=3)).sum() == 60
    assert line_distance(ruled(43, width=3), ruled(40, width=3)) == 3.0


def test_lines_across_and_aslant_are_found() -> None:
    across = np.ascontiguousarray(ruled(30).transpose(1, 0, 2))
    assert find_lines(across)[30].all()
    slant = np.full((60, 60, 3), 220, np.uint8)
    cv2.line(slant, (5, 5), (54, 54), (0, 0, 0), 1, cv2.LINE_AA)
    rows, columns = np.nonzero(find_lines(slant))
    assert len(rows) > 40
    assert np.abs(rows - columns).max() <= 1


def test_equal_drawings_are_not_apart() -> None:
    assert line_distance(ruled(20, 50), ruled(20, 50)) == 0.0


def test_an_edge_between_two_paints_is_no_line() -> None:
    picture = np.full((60, 80, 3), 220, np.uint8)
    picture[:, 40:] = 60
    assert not find_lines(picture).any()


def test_a_missing_line_costs_one_way_only() -> None:
    # Every line made is right; of those true, half are 8 pixels from the next one made.
    assert line_distance(ruled(40), ruled(40, 48)) == pytest.approx((0 + 4) / 2)


def test_far_is_far_and_nothing_is_nothing() -> None:
    none, one = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    one[:, 5] = True
    other = np.roll(one, 40, axis=1)
    assert chamfer(one, other) == FARTHEST
    assert chamfer(none, one) == FARTHEST
    assert isnan(chamfer(none, none))
