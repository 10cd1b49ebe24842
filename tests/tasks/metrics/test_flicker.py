"""Flicker: change where the truth stands still, and nowhere else."""

from math import isnan

import numpy as np

from tasks.metrics.flicker import flicker


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Two true frames: a square moves in the right half, the left half stands still."""
    before = np.full((40, 80, 3), 90, np.uint8)
    after = before.copy()
    before[10:20, 50:60] = 200
    after[10:20, 60:70] = 200
    return before, after


def test_the_truth_does_not_flicker() -> None:
    before, after = scene()
    assert flicker(after, after, beside=[(before, before)]) == 0.0


def test_change_where_nothing_moves_counts_in_codes() -> None:
    before, after = scene()
    made = after.copy()
    made[:, :40] += 4  # the still half of the frame, and nothing of the moving one
    still_part = 40 * 40 / (80 * 40 - 14 * 24)  # a square's trail, 2 pixels wider each way
    assert abs(flicker(made, after, beside=[(before, before)]) - 4 * still_part) < 1e-9


def test_change_where_the_truth_moves_does_not_count() -> None:
    before, after = scene()
    made = after.copy()
    made[10:20, 50:70] = 0
    assert flicker(made, after, beside=[(before, before)]) == 0.0


def test_an_offset_that_stays_is_no_flicker() -> None:
    before, after = scene()
    assert flicker(after + 7, after, beside=[(before + 7, before)]) == 0.0


def test_with_both_neighbours_only_what_all_three_share_counts() -> None:
    before, after = scene()
    later = np.full_like(after, 10)
    assert isnan(flicker(after, after, beside=[(before, before), (later, later)]))
    assert isnan(flicker(after, after, beside=[]))
