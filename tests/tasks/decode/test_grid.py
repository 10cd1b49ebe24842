"""Constant rates come back exactly from rounded timestamps; real variable ones stay variable."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.decode.grid import STANDARD_RATES, find_grid, missing_frames

MS = Fraction(1, 1000)
TV_RATES = [Fraction(n, d) for n, d in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1),
                                        (50, 1), (60000, 1001), (60, 1))]  # fmt: skip


def rounded(
    rate: Fraction, count: int, *, base: Fraction, start: Fraction = Fraction(0)
) -> list[int]:
    """Timestamps as a muxer writes them: to the nearest tick."""
    return [floor((start + k / rate) / base + Fraction(1, 2)) for k in range(count)]


@pytest.mark.parametrize("rate", TV_RATES)
@pytest.mark.parametrize("count", [48, 500, 34000])
def test_milliseconds_give_the_rate_without_being_told(rate: Fraction, count: int) -> None:
    grid = find_grid(rounded(rate, count, base=MS), time_base=MS)
    assert grid is not None
    assert (grid.rate, grid.start) == (rate, 0)


@pytest.mark.parametrize("rate", TV_RATES)
def test_muxer_that_cuts_digits_off_is_understood(rate: Fraction) -> None:
    pts = [floor(k / rate / MS) for k in range(200)]
    grid = find_grid(pts, time_base=MS)
    assert grid is not None
    assert grid.rate == rate


@settings(derandomize=True)
@given(
    rate=st.sampled_from(STANDARD_RATES[:20]),
    base=st.sampled_from([MS, Fraction(1, 90000), Fraction(1, 12800), Fraction(1, 600)]),
    start=st.fractions(0, 5, max_denominator=90000),
    count=st.integers(60, 300),
)
def test_exact_times_are_within_a_tick_of_every_timestamp(
    rate: Fraction, base: Fraction, start: Fraction, count: int
) -> None:
    pts = rounded(rate, count, base=base, start=start)
    grid = find_grid(pts, time_base=base, declared=[rate])
    assert grid is not None
    assert grid.rate == rate
    for k, ticks in enumerate(pts):
        assert abs(grid.start + k / grid.rate - ticks * base) <= base


@settings(derandomize=True)
@given(
    base=st.sampled_from([MS, Fraction(1, 90000)]),
    lost=st.integers(1, 98),
    rate=st.sampled_from(TV_RATES),
)
def test_one_lost_frame_is_no_constant_rate(base: Fraction, lost: int, rate: Fraction) -> None:
    pts = rounded(rate, 100, base=base)
    del pts[lost]
    assert find_grid(pts, time_base=base, declared=[rate]) is None
    assert missing_frames(pts, time_base=base, rate=rate) == (1, lost - 1)


def test_telecine_pattern_is_variable() -> None:
    rate = Fraction(24000, 1001)
    pts = [t for k, t in enumerate(rounded(rate, 200, base=MS)) if k % 5 != 3]
    assert find_grid(pts, time_base=MS, declared=[rate]) is None
    assert missing_frames(pts, time_base=MS, rate=rate) == (0, 0)


def test_slow_drift_is_variable() -> None:
    pts = [floor(k * Fraction(417083, 10000) + Fraction(k * k, 20000)) for k in range(300)]
    assert find_grid(pts, time_base=MS, declared=[Fraction(24000, 1001)]) is None


def test_milliseconds_kept_in_finer_ticks_are_seen_through() -> None:
    base = Fraction(1, 16000)
    pts = [ticks * 16 for ticks in rounded(Fraction(24000, 1001), 200, base=MS)]
    grid = find_grid(pts, time_base=base, declared=[Fraction(36000, 1501)])
    assert grid is not None
    assert grid.rate == Fraction(24000, 1001)


def test_start_goes_back_on_the_grid_of_zero() -> None:
    rate = Fraction(24000, 1001)
    grid = find_grid(rounded(rate, 100, base=MS, start=2 / rate), time_base=MS)
    assert grid is not None
    assert grid.start == 2 / rate


def test_exact_container_keeps_its_start() -> None:
    pts = [133508 + 3600 * k for k in range(50)]
    grid = find_grid(pts, time_base=Fraction(1, 90000))
    assert grid is not None
    assert (grid.rate, grid.start) == (25, Fraction(133508, 90000))


def test_odd_rate_of_equal_steps_is_kept() -> None:
    grid = find_grid([3 * k for k in range(20)], time_base=Fraction(1, 100))
    assert grid is not None
    assert grid.rate == Fraction(100, 3)


def test_declared_rate_settles_what_few_frames_leave_open() -> None:
    pts, base = [0, 33, 67], MS
    for rate in (Fraction(30), Fraction(30000, 1001)):
        grid = find_grid(pts, time_base=base, declared=[rate])
        assert grid is not None
        assert grid.rate == rate


def test_single_frame_has_the_rate_of_its_duration() -> None:
    grid = find_grid([7], time_base=Fraction(1, 25), declared=[Fraction(30)], last_duration=1)
    assert grid is not None
    assert grid.rate == 25
    assert find_grid([7], time_base=Fraction(1, 25)) is None
