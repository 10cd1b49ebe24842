"""The ways to draw a frame between two: that each does what its name says."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from tasks.benchmarks.footage import triplet
from tasks.benchmarks.inbetweens import (
    average,
    dis_warp,
    engine,
    engine_names,
    hold_nearest,
    minterpolate,
)
from tasks.benchmarks.triplets import all_ways, best_blocks, measure_triplets
from tasks.frames.codes import from_uint8, to_uint8
from tasks.metrics.scores import psnr
from tasks.models.inbetweening import Pair
from tasks.stages.interpolate.stage import InterpolateParams


def pan(shift: int) -> np.ndarray:
    """A soft texture seen `shift` pixels further right."""
    noise = np.random.default_rng(1).integers(0, 256, (140, 240, 3)).astype(np.uint8)
    soft = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return np.ascontiguousarray(soft[10:130, 10 + shift : 202 + shift], np.uint8)


def test_average_and_hold_are_exact() -> None:
    a, b = np.full((4, 4, 3), 10, np.uint8), np.full((4, 4, 3), 50, np.uint8)
    assert (average(a, b, 0.25) == 20).all()
    assert hold_nearest(a, b, 0.5) is a
    assert hold_nearest(a, b, 0.6) is b


def test_minterpolate_draws_the_moment_asked_for_between_the_two_frames() -> None:
    for part, moved in ((0.5, 6), (0.25, 3), (0.75, 9)):
        made = minterpolate(pan(0), pan(12), part)
        near = {shift: psnr(made, pan(shift)) for shift in range(13)}
        assert max(near, key=near.__getitem__) == moved
    a = pan(0)
    assert minterpolate(a, pan(12), 0) is a


def test_minterpolate_interpolates_whatever_the_change() -> None:
    dark, grey = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 60, np.uint8)
    # Its scene change detection would have repeated the dark one.
    assert (minterpolate(dark, grey, 0.5) == 30).all()


def test_dis_warp_follows_motion() -> None:
    made = dis_warp(pan(0), pan(8), 0.5)[8:-8, 16:-16]
    assert psnr(made, pan(4)[8:-8, 16:-16]) > 35
    assert psnr(dis_warp(pan(0), pan(8), 0.25)[8:-8, 16:-16], pan(2)[8:-8, 16:-16]) > 33


def test_engines_are_those_of_the_stage_and_draw_what_a_render_draws() -> None:
    assert {"dis", "average"} <= set(engine_names())
    a, b = pan(0), pan(8)
    wanted = Pair(from_uint8(a), from_uint8(b), depth=8).between(0.5)
    assert np.array_equal(engine("dis")(a, b, 0.5), to_uint8(wanted))
    with pytest.raises(ValueError, match=r"t = \.5"):
        engine("average")(a, b, 0.25)


def test_the_engine_that_a_render_takes_is_marked() -> None:
    chosen = InterpolateParams(factor=Fraction(2)).engine
    assert [way.name for way in all_ways() if way.default] == [f"ours {chosen}"]


def test_a_method_of_ones_own_is_measured_beside_the_rest_and_bounds_bound() -> None:
    case = triplet(pan(0), pan(4), pan(8), source="pan", name="4")
    found = measure_triplets([case], {"cheat": lambda a, b, t: pan(round(8 * t))})
    rows = {row.method: row for row in found.rows()}
    assert rows["cheat"].psnr == 100.0
    assert rows["cheat"].ssim == pytest.approx(1)
    parts = [rows[name].psnr for name in ("average", "dis warp", "hold nearest")]
    assert rows["oracle per triplet"].psnr == max(parts)
    assert rows["oracle per 16x16"].psnr >= max(parts)
    assert rows["oracle per 16x16"].ms is None


def test_best_blocks_takes_each_block_from_where_it_is_right() -> None:
    truth = np.random.default_rng(2).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    left, right = truth.copy(), truth.copy()
    left[:, 32:] = 0
    right[:, :32] = 0
    assert np.array_equal(best_blocks([left, right], truth), truth)
