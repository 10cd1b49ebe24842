"""The measure of painting is right by hand, and ours is better than its references."""

import cv2
import numpy as np
import pytest

from tasks.benchmarks.paint import (
    METHODS,
    PaintPair,
    aligned,
    evaluate_pairs,
    folder_pairs,
    sample_pairs,
    surety,
    total,
)
from tests.conftest import ROOT

LINE_ART = ROOT.parent / "shared/data/line_art"


def box(x, colour):
    picture = np.ones((60, 120, 3), np.float32)
    cv2.rectangle(picture, (x, 10), (x + 30, 40), colour, -1)
    cv2.rectangle(picture, (x, 10), (x + 30, 40), (0, 0, 0), 1)
    return picture


def pair(truth):
    white, red = (1.0, 1.0, 1.0), (0.8, 0.2, 0.1)
    return PaintPair(
        name="box/0", lines=box(10, white), paint=box(10, red), next_lines=box(60, white),
        truth=box(60, truth),
    )  # fmt: skip


def test_regions_and_pixels_are_counted_by_hand():
    score = evaluate_pairs([pair((0.8, 0.2, 0.1))], METHODS["same place"])[0]
    assert score.regions == 2
    assert score.regions_right == 1
    assert score.pixels == 60 * 120 - (4 * 30)
    # Wrong: the box itself, and where it was; the old box's line is paint there too.
    assert score.pixels - score.pixels_right == 29 * 29 + 31 * 31
    right = evaluate_pairs([pair((0.8, 0.2, 0.1))], METHODS["douga"])[0]
    assert right.region_share == right.pixel_share == 1
    wrong = evaluate_pairs([pair((0.1, 0.2, 0.8))], METHODS["douga"])[0]
    assert wrong.regions_right == 1


def test_colouring_that_is_not_of_the_drawing_is_told():
    good = pair((0.8, 0.2, 0.1))
    assert aligned(good)
    off = PaintPair(
        name="box/1", lines=good.lines, paint=good.truth, next_lines=good.next_lines,
        truth=good.truth,
    )  # fmt: skip
    assert not aligned(off)


def test_how_sure_the_stage_is_tells_how_often_it_is_right():
    sure, right = surety(list(sample_pairs(200, per_shot=1, gap=2)))
    assert right[sure >= 0.9].mean() > 0.97
    assert right[sure < 0.5].mean() < 0.75
    assert (sure >= 0.7).mean() > 0.8


@pytest.mark.skipif(not LINE_ART.is_dir(), reason="no ../shared/data/line_art here")
def test_real_drawings_are_painted_beyond_the_references():
    pairs = [p for i, p in enumerate(folder_pairs(LINE_ART)) if i % 3 == 1]
    ours = total(evaluate_pairs(pairs, METHODS["douga"]), "ours")
    same = total(evaluate_pairs(pairs, METHODS["same place"]), "same")
    vote = total(evaluate_pairs(pairs, METHODS["flow vote"]), "vote")
    assert ours.region_share > same.region_share + 0.08
    assert ours.region_share > vote.region_share + 0.02
    assert ours.pixel_share > max(same.pixel_share, vote.pixel_share)
