"""Times of work are learnt from what is nearest to it, and one wild receipt changes little."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from flows.forecast.durations import Durations, Estimate, Sample, Timing, Work

WORK = Work(stage="upscale", kind="aa.11", model="m", device="cpu", pixels=1920 * 1080, frames=24)
CHANCE = random.Random(7)


def seen(seconds: float, *, work: Work = WORK, run: str = "r1") -> Sample:
    took = Timing(
        load_s=seconds / 10, compute_s=seconds * 0.9, store_s=0.0, bytes_out=seconds * 100
    )
    return Sample(work=work, run=run, took=took)


def about(seconds: float, *, times: int = 30, work: Work = WORK, run: str = "r1") -> list[Sample]:
    return [seen(seconds * CHANCE.lognormvariate(0, 0.1), work=work, run=run) for _ in range(times)]


def usual(estimate: Estimate | None) -> float:
    assert estimate is not None
    return median(draw.seconds for draw in estimate.draws)


def test_the_same_work_takes_as_long_as_before() -> None:
    assert usual(Durations(about(10)).of(WORK)) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("other", [{"stage": "hold"}, {"device": "cuda"}, {"model": "n"}])
def test_nothing_is_said_of_another_stage_device_or_model(other: dict[str, Any]) -> None:
    assert Durations(about(10, work=replace(WORK, **other))).of(WORK) is None


def test_a_near_resolution_beats_a_far_one() -> None:
    """The far ones would say 40 s by their pixels; the near ones know better."""
    far = about(10, times=40, work=replace(WORK, pixels=WORK.pixels // 4))
    near = about(10, times=2, work=replace(WORK, pixels=int(WORK.pixels / 1.2)))
    assert usual(Durations(near + far).of(WORK)) == pytest.approx(12, rel=0.15)


def test_where_the_resolution_differs_time_grows_with_pixels() -> None:
    small = about(10, work=replace(WORK, pixels=WORK.pixels // 4))
    estimate = Durations(small).of(WORK)
    assert usual(estimate) == pytest.approx(40, rel=0.15)
    assert estimate is not None
    assert estimate.expected.bytes_out == pytest.approx(4000, rel=0.15)


def test_time_grows_with_frames_as_it_was_seen_to() -> None:
    short, long = (replace(WORK, frames=frames) for frames in (6, 24))
    alike = about(10, work=short) + about(10, work=long)
    growing = about(10, work=short) + about(40, work=long)
    middle = replace(WORK, frames=12)
    assert usual(Durations(alike).of(middle)) == pytest.approx(10, rel=0.1)
    assert usual(Durations(growing).of(middle)) == pytest.approx(20, rel=0.15)
    assert usual(Durations(about(40)).of(middle)) == pytest.approx(20, rel=0.1), "not seen yet"


def test_the_same_parameters_beat_others_and_others_of_the_engine_beat_none() -> None:
    others = about(50, work=replace(WORK, kind="aa.22"))
    assert usual(Durations(others).of(WORK)) == pytest.approx(50, rel=0.1)
    assert usual(Durations(others + about(10)).of(WORK)) == pytest.approx(10, rel=0.1)


def test_another_engine_is_said_to_be_far() -> None:
    other = Durations(about(50, work=replace(WORK, kind="bb.11"))).of(WORK)
    assert other is not None
    assert other.far
    mixed = Durations(about(50, work=replace(WORK, kind="bb.11")) + about(10)).of(WORK)
    assert mixed is not None
    assert not mixed.far
    assert usual(mixed) == pytest.approx(10, rel=0.1)


def test_another_size_is_said_to_be_far() -> None:
    large = about(50, work=replace(WORK, pixels=4 * WORK.pixels))
    other = Durations(large).of(WORK)
    assert other is not None
    assert other.far
    mixed = Durations(large + about(10, work=replace(WORK, pixels=int(1.2 * WORK.pixels)))).of(WORK)
    assert mixed is not None
    assert not mixed.far


def test_a_chunk_that_hung_for_an_hour_changes_little() -> None:
    calm, wild = Durations(about(10)).of(WORK), Durations([*about(10), seen(3600)]).of(WORK)
    assert calm is not None
    assert wild is not None
    assert wild.expected.seconds == pytest.approx(calm.expected.seconds, rel=0.1)


def test_receipts_of_an_older_douga_count_where_there_are_no_others() -> None:
    """They name neither the kind of work nor the size of its frames."""
    old = about(30, work=replace(WORK, kind="", pixels=0))
    assert usual(Durations(old).of(WORK)) == pytest.approx(30, rel=0.1)
    assert usual(Durations(old + about(10)).of(WORK)) == pytest.approx(10, rel=0.1)


def test_a_single_receipt_still_scatters() -> None:
    estimate = Durations([seen(10)]).of(WORK)
    assert usual(estimate) == pytest.approx(10)
    assert estimate is not None
    assert max(draw.seconds for draw in estimate.draws) > 12
    assert estimate.unsure >= 0.2


def test_runs_that_differ_make_the_next_one_unsure() -> None:
    alike = Durations([each for n in range(6) for each in about(10, run=f"r{n}")]).of(WORK)
    moody = Durations(
        [each for n in range(6) for each in about(10 * 1.5 ** (n % 3 - 1), run=f"r{n}")]
    ).of(WORK)
    assert alike is not None
    assert moody is not None
    assert alike.unsure < 0.1
    assert 0.25 < moody.unsure < math.log(2)
