"""Repeated drawings: held through noise, never where something moves; and the stage itself."""

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.analysis.holds import HoldDetector, find_drawings, motion_limit
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.stages.hold import Hold, HoldParams
from tasks.stages.stage import Window

Plane = NDArray[np.uint8]
SIZE = (360, 640)


def ground() -> Plane:
    """A painted background with soft forms, (360, 640)."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(60, 200, (12, 20)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def face(*, open_eye: bool = True, x: float = 300.0) -> Plane:
    """A head on the ground whose eye is 5 pixels high; `x` may lie between pixels."""
    plane = ground()
    cv2.circle(plane, (round(x * 16), 180 * 16), 60 * 16, 210, -1, cv2.LINE_AA, 4)
    cv2.circle(plane, (round(x * 16), 180 * 16), 60 * 16, 30, 2, cv2.LINE_AA, 4)
    if open_eye:
        cv2.ellipse(plane, (285, 170), (3, 2), 0, 0, 360, 40, -1, cv2.LINE_AA)
    else:
        cv2.line(plane, (282, 172), (288, 172), 40, 1, cv2.LINE_AA)
    return plane


def drawings(planes: Sequence[NDArray[np.unsignedinteger]], *, depth: int = 8) -> tuple[int, ...]:
    detector = HoldDetector()
    for plane in planes:
        detector.add(plane, depth=depth)
    motion = detector.motion()
    return find_drawings(motion, limit=motion_limit(motion))


def grained(planes: Sequence[Plane], strength: float) -> list[Plane]:
    rng = np.random.default_rng(5)
    return [np.clip(p + rng.normal(0, strength, p.shape), 0, 255).astype(np.uint8) for p in planes]


def test_a_blink_of_a_few_pixels_is_a_new_drawing() -> None:
    planes = [face()] * 4 + [face(open_eye=False)] * 2 + [face()] * 3
    assert drawings(planes) == (0, 0, 0, 0, 4, 4, 6, 6, 6)


@pytest.mark.parametrize("strength", [1.0, 3.0, 8.0])
def test_grain_does_not_break_a_hold(strength: float) -> None:
    planes = [face(x=300)] * 6 + [face(x=304)] * 6
    assert drawings(grained(planes, strength)) == (0,) * 6 + (6,) * 6


@pytest.mark.parametrize("strength", [1.5, 8.0])
def test_a_blink_shows_through_grain(strength: float) -> None:
    planes = [face()] * 6 + [face(open_eye=False)] * 6
    assert drawings(grained(planes, strength)) == (0,) * 6 + (6,) * 6


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_every_depth_is_measured_as_eight_bits(depth: int) -> None:
    planes = [
        np.asarray(plane.astype(np.uint16) << (depth - 8))
        for plane in (face(), face(open_eye=False))
    ]
    noisy = planes[0].copy()
    noisy[8:16, 8:16] += 5 << (depth - 8) >> 2  # 1.25 codes of 8 bits in one block: noise
    shown = drawings([planes[0], noisy, planes[0], planes[1], planes[1]], depth=depth)
    assert shown == (0, 0, 0, 3, 3)


@pytest.mark.parametrize("step", [0.2, 0.5, 1.0])
def test_a_slow_pan_over_a_soft_ground_is_not_held(step: float) -> None:
    wide = ground()
    planes = []
    for frame in range(10):
        matrix = np.array([[1, 0, -step * frame], [0, 1, 0]], np.float32)
        moved = cv2.warpAffine(
            wide, matrix, SIZE[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        planes.append(np.asarray(moved, np.uint8))
    assert drawings(planes) == tuple(range(10))


def test_a_slow_change_of_light_is_not_held() -> None:
    planes = [
        np.asarray(cv2.convertScaleAbs(face(), alpha=1 - 0.01 * i), np.uint8) for i in range(8)
    ]
    assert drawings(planes) == tuple(range(8))


def test_what_creeps_is_told_by_the_drawings_first_frame() -> None:
    planes = []
    for frame in range(12):
        plane = face()
        plane[100:140, 400:440] = 100 + frame  # one code a frame, a small patch
        planes.append(plane)
    starts = sorted(set(drawings(planes)))
    assert 3 <= len(starts) <= 6


def test_a_change_of_colour_alone_is_a_new_drawing() -> None:
    detector = HoldDetector()
    grey = np.full((180, 320), 128, np.uint8)
    blush = grey.copy()
    blush[80:90, 100:112] = 150
    for chroma in (grey, grey, blush, blush):
        detector.add(face(), grey, chroma)
    assert find_drawings(detector.motion(), limit=motion_limit(detector.motion())) == (0, 0, 2, 2)


def test_a_shot_begins_a_drawing_whatever_came_before() -> None:
    assert find_drawings((0.1, 0.0, 9.0, 0.2), limit=3) == (0, 0, 2, 2)
    assert find_drawings((), limit=3) == ()


def test_noise_raises_the_limit_but_not_beyond_what_moves() -> None:
    assert motion_limit(()) == motion_limit((0.0, 99.0, 40.0)) == motion_limit((0.2, 0.3)) == 2.2
    assert 2.2 < motion_limit((2.5,) * 20) < 5
    assert motion_limit((4.9,) * 20) == 5


def test_hold_repeats_the_drawings_first_frame() -> None:
    count = 6
    track = Track(
        picture=Picture(width=2, height=1),
        times=tuple(Fraction(i, 24) for i in range(count)),
        end=Fraction(count, 24),
        drawing=(0, 0, 0, 3, 3, 5),
    )
    stage = Hold(HoldParams())
    assert stage.card().needs_drawings
    assert stage.needs(Span(1, 5), track) == (0, 3)
    frames = np.arange(2 * 6, dtype=np.uint16).reshape(2, 1, 2, 3)
    frames.flags.writeable = False
    out = stage.process(Window(track=track, indices=(0, 3), frames_nhwc=frames), Span(1, 5))
    assert np.array_equal(out, frames[[0, 0, 1, 1]])


def test_the_key_of_a_held_frame_names_what_it_repeats() -> None:
    one = Track(picture=Picture(width=2, height=1), times=(), end=Fraction(0), drawing=(0, 0, 2, 3))
    other = Track(
        picture=Picture(width=2, height=1), times=(), end=Fraction(0), drawing=(0, 1, 2, 2)
    )
    stage = Hold(HoldParams())
    assert stage.key_context(Span(0, 4), one) != stage.key_context(Span(0, 4), other)
    assert stage.key_context(Span(2, 3), one) == stage.key_context(Span(2, 3), other)
