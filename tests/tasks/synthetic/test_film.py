"""Frames: exact, repeatable, the same drawing at any size, in-betweens that lie between."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from tasks.synthetic import (
    Short,
    Shot,
    picture_identity,
    region_colours,
    render_frame,
    render_line_art,
    render_painted,
    render_regions,
    synthesise,
)
from tasks.synthetic.painting import painted
from tasks.synthetic.raster import INKED, painted_ground
from tasks.synthetic.staging import scene_of

HALF = Fraction(1, 2)


@pytest.fixture(scope="module")
def short() -> Short:
    return synthesise(1, size=(256, 144), seconds=8)


def _shot(short: Short, kind: str) -> Shot:
    return next(shot for shot in short.shots if shot.kind == kind)


def _mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def test_frames_are_the_same_on_every_run(short: Short) -> None:
    frame = _shot(short, "talk").start + 4
    first = render_frame(short, frame)
    painted_ground.cache_clear()
    painted.cache_clear()
    assert np.array_equal(first, render_frame(short, frame))
    assert first.shape == (144, 256, 3)
    assert first.dtype == np.uint8


def test_equal_identity_means_equal_pixels_and_a_hold_is_one_picture(short: Short) -> None:
    hold = _shot(short, "insert")
    identities = {picture_identity(short, f) for f in range(hold.start, hold.end)}
    assert len(identities) == 1
    first, last = render_frame(short, hold.start), render_frame(short, hold.end - 1)
    assert np.array_equal(first, last)


def test_twos_change_every_second_frame(short: Short) -> None:
    near = next(shot for shot in short.shots if shot.kind == "creature" and shot.near)
    frames = [render_frame(short, near.start + i) for i in range(4)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[1], frames[2])
    assert np.array_equal(frames[2], frames[3])


def test_pan_moves_on_ones_under_a_held_drawing(short: Short) -> None:
    walk = _shot(short, "walk")
    assert walk.level("body").poses[2] == walk.level("body").poses[3]
    a, b = (render_frame(short, walk.start + i) for i in (2, 3))
    assert not np.array_equal(a, b)
    a, b = (render_line_art(short, walk.start + i) for i in (2, 3))
    assert np.array_equal(a, b)


def test_in_between_of_a_held_drawing_is_the_drawing(short: Short) -> None:
    near = next(shot for shot in short.shots if shot.kind == "creature" and shot.near)
    held = render_frame(short, near.start)
    assert np.array_equal(render_frame(short, near.start + HALF), held)


def test_nothing_lies_between_two_shots(short: Short) -> None:
    for cut in short.cuts:
        last = short.shots[[s.start for s in short.shots].index(cut) - 1].end - 1
        assert picture_identity(short, last) == picture_identity(short, last + HALF)


@pytest.mark.parametrize("kind", ["creature", "landscape", "walk"])
def test_in_between_lies_between_its_neighbours(short: Short, kind: str) -> None:
    shot = _shot(short, kind)
    frame = shot.start + (len(shot) // 2 | 1)
    a, between, b = (render_frame(short, frame + k * HALF) for k in range(3))
    assert _mse(a, b) > 0
    assert _mse(a, between) < _mse(a, b)
    assert _mse(between, b) < _mse(a, b)


def test_creature_is_halfway_in_the_in_between(short: Short) -> None:
    """The mean height of its fur's outlines moves by halves."""
    shot = next(s for s in short.shots if s.kind == "creature" and not s.near)
    frame = shot.start + 9

    def height(time: Fraction | int) -> float:
        marks = scene_of(short, shot, Fraction(time)).drawn()
        fur = [m.points[:, 1].mean() for m in marks if getattr(m, "region", "") == "creature fur"]
        return float(np.mean(fur))

    low, middle, high = height(frame), height(frame + HALF), height(frame + 1)
    assert min(low, high) < middle < max(low, high)
    assert middle == pytest.approx((low + high) / 2, abs=0.2 * abs(high - low))


@pytest.mark.parametrize("kind", ["talk", "walk", "creature", "city", "focus"])
def test_double_size_reduces_to_the_frame(short: Short, kind: str) -> None:
    shot = _shot(short, kind)
    frame = shot.start + len(shot) // 3
    one, two = render_frame(short, frame), render_frame(short, frame, scale=2)
    assert two.shape == (288, 512, 3)
    reduced = cv2.resize(two, (256, 144), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(one, (512, 288), interpolation=cv2.INTER_CUBIC)
    psnr = 10 * np.log10(255**2 / _mse(one, reduced))
    assert psnr > 30, f"{kind}: {psnr:.1f} dB"
    assert _mse(enlarged, two) > _mse(one, reduced), "the larger frame holds no more than the small"


def test_double_size_agrees_at_the_default_size() -> None:
    """There the two sizes are sampled differently: lines must keep their weight."""
    film = synthesise(1)
    frame = _shot(film, "talk").start + 5
    one, two = render_frame(film, frame), render_frame(film, frame, scale=2)
    reduced = cv2.resize(two, (640, 360), interpolation=cv2.INTER_AREA)
    assert 10 * np.log10(255**2 / _mse(one, reduced)) > 38


def test_shots_look_different_across_every_hard_cut(short: Short) -> None:
    soft = {t.start: t.end for t in short.transitions if t.kind == "dissolve"}
    for cut in short.cuts:
        if any(start <= cut < end for start, end in soft.items()):
            continue
        a, b = render_frame(short, cut - 1), render_frame(short, cut)
        assert np.mean(np.abs(a.astype(int) - b)) > 8, f"cut {cut}"


def test_fades_start_and_end_in_black_and_flashes_are_white_or_negative(short: Short) -> None:
    assert render_frame(short, 0).max() == 0
    assert render_frame(short, short.frames - 1).max() == 0
    for flash in short.flashes:
        picture = render_frame(short, flash.frame)
        if not flash.negative:
            assert picture.min() > 200
        else:
            assert abs(int(picture.mean()) - 128) < 100


def test_dissolve_mixes_both_shots(short: Short) -> None:
    change = next(t for t in short.transitions if t.kind == "dissolve")
    before, after = (render_frame(short, f) for f in (change.start - 1, change.end))
    middle = render_frame(short, (change.start + change.end) // 2)
    assert _mse(middle, before) < _mse(before, after)
    assert _mse(middle, after) < _mse(before, after)


def test_line_art_is_lines_on_paper_and_painting_it_keeps_flat_colours(short: Short) -> None:
    frame = _shot(short, "talk").start + 3
    line, paint = render_line_art(short, frame), render_painted(short, frame)
    ids = render_regions(short, frame)
    assert np.all(line[ids == 0].mean() > 225)
    assert (ids == INKED).mean() > 0.005
    red, green, blue = (line[..., c].astype(int) for c in range(3))
    assert ((blue - red) > 60).any(), "no shadow border"
    assert ((red - green) > 60).any(), "no light border"
    named = region_colours(short, frame)
    pupil = next(i for i, (name, _) in named.items() if name.endswith("pupil"))
    assert line[ids == pupil].mean() < 120, "pupils are drawn black"
    present = [i for i in np.unique(ids) if i > 1]
    assert len(present) >= 12
    for i in present:
        inside = cv2.erode((ids == i).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        if inside.sum() > 20:
            colour = np.median(paint[inside], axis=0)
            assert np.abs(colour - np.array(named[int(i)][1])).max() <= 30, named[int(i)]


def test_region_ids_keep_their_paint_through_a_shot(short: Short) -> None:
    shot = _shot(short, "walk")
    a, b = (render_regions(short, f) for f in (shot.start, shot.start + 4))
    shared = set(np.unique(a)) & set(np.unique(b))
    assert len(shared) > 10
    assert region_colours(short, shot.start) == region_colours(short, shot.end - 1)


def test_time_beyond_the_film_is_refused(short: Short) -> None:
    with pytest.raises(IndexError):
        render_frame(short, short.frames)
