"""Timing: even motion on twos and threes, holds kept, drawings at their own times, nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from unicodedata import numeric

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.frames.picture import Picture
from tasks.frames.track import Track
from tasks.stages.interpolate.timing import Place, Timing, TimingChart, lead_times
from tests.conftest import ROOT

NTSC = Fraction(24000, 1001)
FILM = Fraction(24)

exposures = st.lists(st.integers(1, 9), min_size=1, max_size=12)
"""For how many frames each drawing of a shot is shown."""
rates = st.sampled_from([Fraction(12), NTSC, FILM, Fraction(25), Fraction(30000, 1001)])
timings = st.sampled_from(["smooth", "keep"])
MANUAL = ROOT / "docs/interpolate.md"
CHARTS = [
    {row.split(maxsplit=1)[0]: row.split(maxsplit=1)[1] for row in block.strip().splitlines()}
    for block in re.findall(r"```chart\n(.*?)```", MANUAL.read_text("utf-8"), re.DOTALL)
]


def shot(exposed: Sequence[int], *, rate: Fraction = FILM, start: Fraction = Fraction(0)) -> Track:
    """A shot of which each drawing is shown for so many frames."""
    count = sum(exposed)
    return Track(
        picture=Picture(width=64, height=48),
        times=tuple(start + i / rate for i in range(count)),
        end=start + count / rate,
        rate=rate,
        drawing=tuple(first for first, on in zip(firsts(exposed), exposed, strict=True)
                      for _ in range(on)),
    )  # fmt: skip


def firsts(exposed: Sequence[int]) -> list[int]:
    return [0, *accumulate(exposed)][: len(exposed)]


def seen(
    exposed: Sequence[int], timing: Timing, *, rate: Fraction = FILM, to: Fraction | int = 2
) -> list[Place]:
    """The places of every output frame, `to` times as many."""
    track = shot(exposed, rate=rate)
    chart = TimingChart(track, timing=timing)
    return [chart.place_at(i / (rate * to)) for i in range(int(sum(exposed) * to))]


def chart_of(
    exposed: Sequence[int], timing: Timing, *, to: Fraction | int = 2
) -> list[Fraction | int]:
    """Drawing number plus fraction of every output frame."""
    drawing_of = {
        frame: drawing
        for drawing, (first, on) in enumerate(zip(firsts(exposed), exposed, strict=True))
        for frame in range(first, first + on)
    }
    return [drawing_of[place.before] + place.fraction for place in seen(exposed, timing, to=to)]


def quarters(*numbers: float) -> list[Fraction]:
    return [Fraction(number) for number in numbers]


# -- examples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["smooth", "keep"])
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart["source"].replace(" ", ""))
def test_the_charts_in_the_manual_are_right(chart: dict[str, str], timing: Timing) -> None:
    exposed: list[int] = []
    for cell in chart["source"].split():
        if cell == "|":
            exposed[-1] += 1
        else:
            exposed.append(1)
            assert cell == str(len(exposed))
    written: list[Fraction] = []
    for cell in chart[timing].split():
        whole = int(written[-1]) if written else 0
        if cell == "|":
            assert written[-1] == whole, "an in-between does not stay"
            written.append(written[-1])
        elif cell.isdecimal():
            written.append(Fraction(cell))
        else:
            written.append(whole + Fraction(numeric(cell)).limit_denominator(10))
    to = Fraction(len(written), sum(exposed))
    assert written == [1 + at for at in chart_of(exposed, timing, to=to)]


def test_the_manual_has_a_chart_of_every_kind() -> None:
    assert len(CHARTS) >= 10
    assert all(set(chart) == {"source", "smooth", "keep"} for chart in CHARTS)


def test_a_hold_among_twos_stays_and_moves_as_long_as_a_two() -> None:
    assert chart_of([2, 6, 2, 2], "smooth") == [
        *quarters(0, 0.25, 0.5, 0.75),
        *[1] * 8,
        *quarters(1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75),
        *[3] * 4,
    ]


def test_motion_out_of_a_hold_takes_the_pace_of_what_follows() -> None:
    def lead(exposed: list[int], drawing: int) -> Fraction:
        frames = lead_times([on / FILM for on in exposed], frame=1 / FILM, timing="smooth")
        return frames[drawing] * FILM

    assert lead([2, 2, 9, 3, 3, 3], 2) == 3
    assert lead([3, 3, 9, 1, 1, 1], 2) == 1
    assert lead([3, 3, 9, 3], 2) == 3, "the last drawing is cut short and no measure"
    assert lead([2, 2, 9, 9, 2, 2], 2) == 2, "the pace before, where a hold follows"
    assert lead([9, 9, 9], 1) == 1, "one frame, where nothing around moves"


def test_a_three_among_ones_is_a_pause_and_among_twos_a_step() -> None:
    assert chart_of([1, 1, 3, 1, 1], "smooth") == quarters(
        0, 0.5, 1, 1.5, 2, 2, 2, 2, 2, 2.5, 3, 3.5, 4, 4
    )
    assert chart_of([2, 3, 2], "smooth")[4:10] == [1 + Fraction(i, 6) for i in range(6)]
    assert chart_of([1, 2, 1, 1], "smooth")[2:6] == quarters(1, 1.25, 1.5, 1.75)


def test_a_blink_is_spread_over_its_own_exposures() -> None:
    assert chart_of([8, 2, 3, 2, 8], "smooth") == [
        *[0] * 12,
        *quarters(0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75),
        *(2 + Fraction(i, 6) for i in range(6)),
        *quarters(3, 3.25, 3.5, 3.75),
        *[4] * 16,
    ]
    assert set(chart_of([8, 2, 3, 2, 8], "keep")) == {0, 1, 2, 3, 4}


def test_keep_draws_between_ones_only_and_into_what_ends_them() -> None:
    assert chart_of([2, 2, 1, 1, 1, 6], "keep") == [
        *[0] * 4,
        *[1] * 4,
        *quarters(2, 2.5, 3, 3.5, 4, 4.5),
        *[5] * 12,
    ]


def test_keep_leaves_a_single_frame_among_twos_alone() -> None:
    assert set(chart_of([1, 2, 2, 1, 2, 2, 1], "keep")) == set(range(7))


@pytest.mark.parametrize("rate", [NTSC, FILM, Fraction(25), Fraction(30), Fraction(60000, 1001)])
def test_threes_of_24_are_steps_and_fours_are_poses_at_any_rate(rate: Fraction) -> None:
    """In 29.97 and 59.94 fps the frames of 24 are repeated two and three fields at a time."""
    for frames_at_24, is_step in ((3, True), (4, False)):
        base = rate if rate <= 25 else Fraction(24)
        stays = [round(frames_at_24 * rate / base * i) / rate for i in range(8)]
        shown = [b - a for a, b in pairwise(stays)]
        leads = lead_times(shown, frame=1 / rate, timing="smooth")
        moves_throughout = [lead == time for lead, time in zip(leads[:-1], shown, strict=False)]
        assert moves_throughout == [is_step] * 6


def test_a_long_frame_of_varying_rate_is_held_like_any_drawing() -> None:
    times = [Fraction(round(i * 1001 / 24), 1000) for i in (0, 2, 4, 28, 30, 32)]
    track = Track(picture=Picture(width=64, height=48), times=tuple(times[:-1]), end=times[-1])
    chart = TimingChart(track, timing="smooth")
    assert chart.place_at(times[1]) == Place(1, 1, Fraction(0))
    assert chart.place_at((times[1] + times[2]) / 2) == Place(1, 2, Fraction(1, 2))
    step = times[4] - times[3]
    assert chart.place_at(times[3] - step) == Place(2, 2, Fraction(0))
    assert chart.place_at(times[3] - step / 4) == Place(2, 3, Fraction(3, 4))


def test_ones_of_varying_rate_are_ones_although_stamps_are_rounded() -> None:
    times = [Fraction(round(i * 1001 / 24), 1000) for i in (0, 1, 2, 3, 5, 7, 9)]
    track = Track(picture=Picture(width=64, height=48), times=tuple(times[:-1]), end=times[-1])
    chart = TimingChart(track, timing="keep")
    middles = [(a + b) / 2 for a, b in pairwise(times)]
    moving = [bool(chart.place_at(middle).fraction) for middle in middles]
    assert moving == [True, True, True, False, False, False]


# -- laws ---------------------------------------------------------------------------------------


@given(exposures, rates, timings, st.integers(1, 5))
def test_every_drawing_appears_at_its_own_time(
    exposed: list[int], rate: Fraction, timing: Timing, factor: int
) -> None:
    places = seen(exposed, timing, rate=rate, to=factor)
    for first in firsts(exposed):
        assert places[first * factor] == Place(first, first, Fraction(0))


@given(exposures, rates, timings, st.lists(st.fractions(0, 1), min_size=2, max_size=30))
def test_time_never_runs_backwards(
    exposed: list[int], rate: Fraction, timing: Timing, moments: list[Fraction]
) -> None:
    track = shot(exposed, rate=rate)
    chart = TimingChart(track, timing=timing)
    places = [chart.place_at(moment * track.end) for moment in sorted(moments)]
    shown = [track.drawing[place.before] for place in places]
    at = [(first, place.fraction) for first, place in zip(shown, places, strict=True)]
    assert at == sorted(at)
    assert [place.before for place in places] == sorted(place.before for place in places)


@given(exposures, rates, timings, st.integers(1, 5))
def test_an_in_between_lies_between_neighbouring_drawings_of_the_shot(
    exposed: list[int], rate: Fraction, timing: Timing, factor: int
) -> None:
    track = shot(exposed, rate=rate)
    following = dict(pairwise(firsts(exposed)))
    for number, (before, after, fraction) in enumerate(seen(exposed, timing, rate=rate, to=factor)):
        assert 0 <= fraction < 1
        if not fraction:
            assert before == after == number // factor, "the frame on screen"
            continue
        assert after == following[track.drawing[before]]
        assert before <= number // factor < after
        assert after - before <= max(Fraction(1), Fraction(7, 48) * rate), "windows stay small"


@given(exposures, rates, st.integers(1, 5))
def test_a_hold_moves_no_longer_than_the_steps_around_it(
    exposed: list[int], rate: Fraction, factor: int
) -> None:
    leads = lead_times([on / rate for on in exposed], frame=1 / rate, timing="smooth")
    for drawing, on in enumerate(exposed[:-1]):
        if on / rate < Fraction(7, 48) or on == 1:
            continue
        around = [exposed[i] for i in (drawing - 1, drawing + 1) if 0 <= i < len(exposed)]
        assert leads[drawing] * rate <= max(1, *around)
        assert leads[drawing] * rate < on
        still = seen(exposed, "smooth", rate=rate, to=factor)[firsts(exposed)[drawing] * factor :]
        held = int((on - leads[drawing] * rate) * factor)
        assert all(not place.fraction for place in still[: held + 1])
        assert all(place.fraction for place in still[held + 1 : on * factor])


@given(st.integers(2, 3), st.integers(2, 10), rates.filter(lambda rate: rate > 12), st.data())
def test_a_steady_cadence_moves_by_equal_steps(
    on: int, count: int, rate: Fraction, data: st.DataObject
) -> None:
    factor = data.draw(st.integers(1, 5))
    exposed = [on] * count
    places = seen(exposed, "smooth", rate=rate, to=factor)[: on * factor * (count - 1) + 1]
    at = [place.before // on + place.fraction for place in places]
    assert {b - a for a, b in pairwise(at)} == {Fraction(1, on * factor)}


@given(exposures, rates, st.integers(1, 5))
def test_keep_changes_nothing_but_ones(exposed: list[int], rate: Fraction, factor: int) -> None:
    track = shot(exposed, rate=rate)
    for number, place in enumerate(seen(exposed, "keep", rate=rate, to=factor)):
        drawing = firsts(exposed).index(track.drawing[number // factor])
        around = [exposed[i] for i in (drawing - 1, drawing + 1) if 0 <= i < len(exposed)]
        on_ones = exposed[drawing] == 1 and 1 in around
        within = number % factor > 0 and drawing + 1 < len(exposed)
        assert bool(place.fraction) == (on_ones and within)


@given(exposures, timings, st.integers(1, 4))
def test_when_the_shot_begins_changes_no_place(
    exposed: list[int], timing: Timing, factor: int
) -> None:
    late = Fraction(1001, 7)
    chart = TimingChart(shot(exposed, start=late), timing=timing)
    moved = [chart.place_at(late + i / (FILM * factor)) for i in range(sum(exposed) * factor)]
    assert moved == seen(exposed, timing, to=factor)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), timings, st.fractions(0, 1))
def test_unknown_drawings_of_any_rate_have_places(
    stays: list[int], timing: Timing, moment: Fraction
) -> None:
    times = [Fraction(time, 1000) for time in [0, *accumulate(stays)]]
    track = Track(picture=Picture(width=64, height=48), times=tuple(times[:-1]), end=times[-1])
    before, after, fraction = TimingChart(track, timing=timing).place_at(moment * track.end)
    assert 0 <= before <= after < len(track)
    assert after - before == (1 if fraction else 0)
    assert 0 <= fraction < 1
