"""The laws of time: grids, decode order, rounded clocks, subtitles that do not overlap."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import EncodeError
from tasks.assemble.clock import find_grid
from tasks.assemble.grid import choose_timescale, make_grid, reorder_delay
from tasks.assemble.subtitles import Cue, flatten_cues, move_cues

steps = st.lists(
    st.sampled_from([Fraction(1001, 24000), Fraction(1, 25), Fraction(1, 60), Fraction(7, 1000)]),
    min_size=1,
    max_size=60,
)


def edges_of(lengths: list[Fraction]) -> list[Fraction]:
    edges = [Fraction(0)]
    for length in lengths:
        edges.append(edges[-1] + length)
    return edges


@given(steps)
def test_usual_rates_mixed_at_will_have_an_exact_clock(lengths):
    edges = edges_of(lengths)
    grid = make_grid(edges[:-1], end=edges[-1])
    assert grid.exact
    assert [tick * grid.time_base for tick in grid.ticks] == edges[:-1]
    assert grid.end * grid.time_base == edges[-1]
    assert sum(grid.duration(frame) for frame in range(len(grid))) == grid.end


@given(steps, st.integers(1, 16), st.randoms(use_true_random=False))
def test_decode_times_rise_and_never_pass_the_frame(lengths, block, random):
    edges = edges_of(lengths)
    grid = make_grid(edges[:-1], end=edges[-1])
    order = list(range(len(grid)))
    for at in range(0, len(order), block):
        part = order[at : at + block]
        random.shuffle(part)
        order[at : at + block] = part
    delay = reorder_delay(order)
    ticks = [grid.decode_tick(packet, delay=delay) for packet in range(len(order))]
    assert all(here < after for here, after in pairwise(ticks))
    assert all(tick <= grid.ticks[frame] for tick, frame in zip(ticks, order, strict=True))


def test_a_constant_rate_is_found_and_a_varying_one_is_not():
    assert make_grid([Fraction(0)], end=Fraction(1001, 24000)).rate == Fraction(24000, 1001)
    times = [Fraction(0), Fraction(1, 25), Fraction(3, 25)]
    assert make_grid(times, end=Fraction(4, 25)).rate is None


def test_times_without_a_common_clock_are_close_all_the_same():
    times = [Fraction(n, p) for n, p in enumerate([1, 10007, 10009, 10037, 10039])]
    times[1:] = [Fraction(n, p) for n, p in [(400, 10007), (900, 10009), (1300, 10037)]]
    grid = make_grid(times, end=Fraction(1, 5))
    assert not grid.exact
    worst = max(abs(a * grid.time_base - b) for a, b in zip(grid.ticks, times, strict=True))
    assert worst <= Fraction(7, 10**7)


def test_long_holds_keep_ticks_within_32_bits():
    edges = [Fraction(0), Fraction(600), Fraction(600) + Fraction(1, 999_983)]
    timescale, _ = choose_timescale(edges)
    assert 600 * timescale < 1 << 31


def test_time_that_stands_still_is_refused():
    with pytest.raises(EncodeError, match="frame 1 after"):
        make_grid([Fraction(1), Fraction(1)], end=Fraction(2))
    with pytest.raises(EncodeError, match="at 0 s or later"):
        make_grid([Fraction(-1)], end=Fraction(2))


@settings(max_examples=60)
@given(
    st.sampled_from(
        [(1024, 48_000), (1024, 44_100), (1152, 44_100), (960, 48_000), (4096, 96_000)]
    ),
    st.fractions(-1, 3, max_denominator=10**6),
    st.integers(150, 600),
)
def test_packets_rounded_to_milliseconds_are_found_again(form, start, count):
    samples, rate = form
    stamps = [round((start + Fraction(n * samples, rate)) * 1000) for n in range(count)]
    grid = find_grid(stamps, time_base=Fraction(1, 1000), rate=rate)
    assert grid is not None
    assert grid.samples == samples
    assert abs(grid.start - start) <= grid.doubt <= Fraction(1, 2000)


def test_packets_with_a_gap_or_of_many_lengths_have_no_grid():
    stamps = [n * 21 for n in range(100)] + [5000 + n * 21 for n in range(100)]
    assert find_grid(stamps, time_base=Fraction(1, 1000), rate=48_000) is None
    assert find_grid([0], time_base=Fraction(1, 1000), rate=48_000) is None


cues = st.builds(
    lambda start, length, text: Cue(
        start_s=Fraction(start), end_s=Fraction(start + length), text=text
    ),
    st.integers(0, 40),
    st.integers(1, 20),
    st.sampled_from([b"a", b"b", b"c"]),
)


@given(st.lists(cues, max_size=12))
def test_flat_cues_never_overlap_and_show_all_that_was_shown(given_cues):
    flat = flatten_cues(given_cues)
    assert all(a.end_s <= b.start_s for a, b in pairwise(flat))
    for time in (Fraction(2 * n + 1, 2) for n in range(62)):
        due = sorted(cue.text for cue in given_cues if cue.start_s <= time < cue.end_s)
        got = [cue.text for cue in flat if cue.start_s <= time < cue.end_s]
        assert sorted(got[0].split(rb"\N")) == due if due else got == []


def test_cues_are_clipped_to_their_range_and_moved():
    cue = Cue(start_s=Fraction(1), end_s=Fraction(3))
    (moved,) = move_cues([cue], start_s=Fraction(2), end_s=Fraction(9), film_s=Fraction(10))
    assert (moved.start_s, moved.end_s) == (10, 11)
    assert move_cues([cue], start_s=Fraction(3), end_s=None, film_s=Fraction(0)) == []
