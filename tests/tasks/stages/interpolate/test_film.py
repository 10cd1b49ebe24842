"""Any factor and any rate, over a film of several shots: exact times, no frame lost or doubled."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.frames.picture import Picture
from tasks.frames.track import Track, chunk_spans
from tasks.stages.interpolate.stage import Interpolate
from tasks.stages.interpolate.timing import Place
from tasks.stages.registry import make_stage

NTSC = Fraction(24000, 1001)
HALF_STAMP = Fraction(1, 2000)
RATES = [Fraction(12), NTSC, Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30),
         Fraction(60000, 1001), Fraction(60), Fraction(120)]  # fmt: skip
rates = st.sampled_from(RATES)
factors = st.builds(Fraction, st.integers(1, 12), st.integers(1, 6))
timings = st.sampled_from(["smooth", "keep"])
exposures = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=1, max_size=5)
"""Per shot, for how many frames each of its drawings is shown."""


def film(exposed: list[list[int]], times: list[Fraction], rate: Fraction | None) -> list[Track]:
    """The shots of a film whose frames appear at `times`, the last of which is its end."""
    firsts = [0, *accumulate(sum(shot) for shot in exposed)]
    return [
        Track(
            picture=Picture(width=64, height=48),
            times=tuple(times[first:until]),
            end=times[until],
            rate=rate,
            first=first,
            drawing=tuple(
                start
                for start, on in zip([0, *accumulate(shot)], shot, strict=False)
                for _ in range(on)
            ),
        )
        for shot, first, until in zip(exposed, firsts, firsts[1:], strict=False)
    ]


def steady(exposed: list[list[int]], rate: Fraction, start: Fraction = Fraction(0)) -> list[Track]:
    count = sum(map(sum, exposed))
    return film(exposed, [start + i / rate for i in range(count + 1)], rate)


@st.composite
def varying(draw: st.DrawFn) -> list[Track]:
    """A film with stamps of whole milliseconds, as Matroska has them."""
    exposed = draw(exposures)
    count = sum(map(sum, exposed))
    stays = draw(st.lists(st.integers(2, 200), min_size=count, max_size=count))
    return film(exposed, [Fraction(ms, 1000) for ms in accumulate([0, *stays])], None)


def stage(**params: object) -> Interpolate:
    made = make_stage("interpolate", params)
    assert isinstance(made, Interpolate)
    return made


def joined(shots: list[Track]) -> list[Fraction]:
    """When every frame of the film appears; its shots must follow one another."""
    full = [shot for shot in shots if shot.times]
    assert all(one.end == two.times[0] for one, two in pairwise(full))
    assert all(two.first == one.first + len(one) for one, two in pairwise(shots))
    return [time for shot in shots for time in shot.times]


def places(of: Interpolate, shot: Track) -> tuple[Place, ...]:
    context = of.key_context(of.track_after(shot).span, shot)
    assert isinstance(context, list)
    return tuple(context[1])


@given(exposures, rates, rates, timings, st.integers(0, 300))
def test_any_rate_from_any_rate_is_one_grid(
    exposed: list[list[int]], source: Fraction, rate: Fraction, timing: str, before: int
) -> None:
    """23.976 → 60, 24 → 60, 25 → 30, 12 → 24, 24 → 24000/1001 and all others, at any start."""
    shots = steady(exposed, source, start=before / source)
    after = [stage(rate=rate, timing=timing).track_after(shot) for shot in shots]
    times = joined(after)
    first = ceil((before / source - HALF_STAMP) * rate)
    assert times == [(first + i) / rate for i in range(len(times))]
    assert 0 <= first / rate - before / source + HALF_STAMP < 1 / rate
    assert 0 <= after[-1].end - shots[-1].end + HALF_STAMP < 1 / rate
    assert {shot.rate for shot in after} == {rate}


@given(exposures, rates, factors, timings)
def test_any_factor_of_any_rate_is_one_grid(
    exposed: list[list[int]], source: Fraction, factor: Fraction, timing: str
) -> None:
    shots = steady(exposed, source)
    after = [stage(factor=factor, timing=timing).track_after(shot) for shot in shots]
    times = joined(after)
    assert times == [i / (source * factor) for i in range(len(times))]
    assert len(times) == ceil(sum(len(shot) for shot in shots) * factor)
    assert 0 <= after[-1].end - shots[-1].end < 1 / (source * factor)
    assert {shot.rate for shot in after} == {source * factor}


@given(varying(), rates, timings)
def test_any_rate_from_a_varying_one_is_one_grid(
    shots: list[Track], rate: Fraction, timing: str
) -> None:
    after = [stage(rate=rate, timing=timing).track_after(shot) for shot in shots]
    times = joined(after)
    assert times == [i / rate for i in range(len(times))]
    assert len(times) == ceil((shots[-1].end - HALF_STAMP) * rate)


@given(varying(), factors, timings)
def test_a_factor_keeps_the_shots_of_a_varying_rate_where_they_are(
    shots: list[Track], factor: Fraction, timing: str
) -> None:
    after = [stage(factor=factor, timing=timing).track_after(shot) for shot in shots]
    times = [time for shot in after for time in shot.times]
    assert times == sorted(set(times))
    assert len(times) == ceil(sum(len(shot) for shot in shots) * factor)
    assert [shot.end for shot in after] == [shot.end for shot in shots]
    for shot, was in zip(after, shots, strict=True):
        assert shot.rate is None
        if shot.times:
            assert shot.times[0] == was.times[0]
        if factor.denominator == 1:
            assert shot.times[:: int(factor)] == was.times
        if factor == 2:
            assert shot.times[1] == (was.times[0] + (*was.times, was.end)[1]) / 2


@given(st.one_of(varying(), st.builds(steady, exposures, rates)), rates, factors)
def test_timing_moves_no_frame_and_no_cut(
    shots: list[Track], rate: Fraction, factor: Fraction
) -> None:
    for target in ({"rate": rate}, {"factor": factor}):
        smooth, keep = (
            [stage(timing=timing, **target).track_after(shot) for shot in shots]
            for timing in ("smooth", "keep")
        )
        assert [replace(shot, drawing=()) for shot in smooth] == [
            replace(shot, drawing=()) for shot in keep
        ]


@given(st.one_of(varying(), st.builds(steady, exposures, rates)), rates, timings)
def test_each_frame_shows_its_shot_at_its_time(
    shots: list[Track], rate: Fraction, timing: str
) -> None:
    """Copies are of the frame on screen (to a millisecond stamp), in-betweens lie around it."""
    of = stage(rate=rate, timing=timing)
    for shot in shots:
        after = of.track_after(shot)
        coarse = Fraction(1, 1000) if shot.rate is None else Fraction(0)
        for time, place in zip(after.times, places(of, shot), strict=True):
            assert 0 <= place.before <= place.after < len(shot)
            until = (*shot.times, shot.end)[place.before + 1]
            assert shot.times[place.before] - max(coarse, HALF_STAMP) <= time
            if place.fraction:
                assert time < shot.times[place.after]
            else:
                assert time < until + coarse


@given(st.one_of(varying(), st.builds(steady, exposures, rates)), rates, timings)
def test_a_chunk_needs_a_little_more_than_its_own_time(
    shots: list[Track], rate: Fraction, timing: str
) -> None:
    """However long a hold, a window reaches at most seven 48ths of a second beyond its frames,
    or, where frames stay longer than that, one frame."""
    of = stage(rate=rate, timing=timing)
    for shot in shots:
        after = of.track_after(shot)
        for span in chunk_spans(len(after), chunk=4):
            needed = of.needs(span, shot)
            assert list(needed) == sorted(set(needed))
            begins = shot.frame_at(after.times[span.start] - Fraction(7, 48))
            ends = shot.frame_at(after.times[span.end - 1] + Fraction(7, 48))
            assert begins - 1 <= needed[0]
            assert needed[-1] <= ends + 1


@given(exposures, rates, factors, timings)
def test_frames_of_one_drawing_are_said_to_be_and_no_others(
    exposed: list[list[int]], source: Fraction, factor: Fraction, timing: str
) -> None:
    of = stage(factor=factor, timing=timing)
    for shot in steady(exposed, source):
        after = of.track_after(shot)
        shown = [
            (shot.drawing[place.before], place.fraction, i if place.fraction else 0)
            for i, place in enumerate(places(of, shot))
        ]
        assert after.drawing == tuple(shown.index(what) for what in shown)


@pytest.mark.parametrize(
    ("given_rate", "exact"),
    [
        (23.976, NTSC),
        (23.98, NTSC),
        ("23.976024", NTSC),
        ("29.970", Fraction(30000, 1001)),
        (47.952, Fraction(48000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        (59.94005994005994, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        ("60000/1001", Fraction(60000, 1001)),
        ("2997/100", Fraction(2997, 100)),
        (60, Fraction(60)),
        ("60.0", Fraction(60)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates_are_exact(given_rate: object, exact: Fraction) -> None:
    assert stage(rate=given_rate).params.rate == exact
