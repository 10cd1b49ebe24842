"""One bar over all of a render: it moves by frames, never back, and says when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.eta import AFTER, PREPARED, Eta, Look, end_words
from flows.progress import Plain

PIECE = 24.0


class Clock:
    """A time that only moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Played:
    """A render played on a clock: 10 s of preparing, pieces by workers, then verifying."""

    def __init__(self, *, workers: int, pieces_s: list[float], after_s: float) -> None:
        self.clock = Clock()
        self.eta = Eta(self.clock)
        self.workers, self.pieces_s, self.after_s = workers, pieces_s, after_s
        free = [0.0] * workers
        for seconds in pieces_s:
            free.sort()
            free[0] += seconds
        self.rendering_s = max(free)
        self.done = 0.0

    @property
    def end(self) -> float:
        return 110.0 + self.rendering_s + self.after_s

    def looks(self, *, every_s: float) -> Iterator[Look]:
        """What it says from its begin to its end."""
        while self.clock.now < 110:
            yield self._tick(every_s, until=110.0)
        self.eta.phase()
        total = PIECE * len(self.pieces_s)
        self.eta.total(total, piece=PIECE, workers=self.workers)
        free, ends = [110.0] * self.workers, []
        for seconds in self.pieces_s:
            free.sort()
            free[0] += seconds
            ends.append(free[0])
        for end in sorted(ends):
            while self.clock.now < end:
                yield self._tick(every_s, until=end)
            self.done += PIECE
            self.eta.advance(PIECE)
            yield self.eta.look()
        self.eta.phase()
        began = self.clock.now
        while self.clock.now < self.end:
            self.eta.fraction((self.clock.now - began) / self.after_s)
            yield self._tick(every_s, until=self.end)

    def _tick(self, every_s: float, *, until: float) -> Look:
        self.clock.now = min(until, self.clock.now + every_s)
        return self.eta.look()


renders = st.builds(
    lambda workers, seed, pieces, after_s: Played(
        workers=workers,
        pieces_s=[Random(seed + at).lognormvariate(1.0, 0.5) for at in range(pieces)],
        after_s=after_s,
    ),
    st.integers(1, 9),
    st.integers(0, 99),
    st.integers(1, 40),
    st.floats(0.1, 30.0),
)


@given(renders)
def test_it_never_goes_back_nor_stands_at_nothing_nor_ends_before_the_end(played: Played) -> None:
    shares = [look.share for look in played.looks(every_s=0.5)]
    assert shares[0] > 0
    assert shares == sorted(shares)
    assert shares[-1] < 1


@given(renders)
def test_it_counts_no_more_than_a_piece_in_the_hands_of_each_worker(played: Played) -> None:
    total = PIECE * len(played.pieces_s)
    for look in played.looks(every_s=0.7):
        proven = (played.done + PIECE * played.workers) / total
        assert look.share <= PREPARED + (1 - PREPARED) * min(1.0, proven) + 1e-9


def test_it_moves_between_the_ends_of_pieces() -> None:
    played = Played(workers=2, pieces_s=[100.0] * 10, after_s=20.0)
    shares = [look.share for look in played.looks(every_s=5.0)]
    stood = sum(one == other for one, other in pairwise(shares))
    assert stood < len(shares) / 10


def test_a_piece_of_a_hundred_seconds_does_not_leave_it_at_nothing() -> None:
    played = Played(workers=1, pieces_s=[100.0] * 3, after_s=1.0)
    early = [look.share for look in played.looks(every_s=10.0)][:10]
    assert early == sorted(set(early))
    assert early[-1] > 0.05


@given(renders)
def test_the_end_that_it_names_is_the_end(played: Played) -> None:
    for look in played.looks(every_s=1.0):
        if played.done < 0.4 * PIECE * len(played.pieces_s) or len(played.pieces_s) < 10:
            continue
        assert look.left_s is not None
        assert look.worst_s is not None
        left = played.end - played.clock.now
        slack = played.after_s + max(played.pieces_s) + 0.3 * played.rendering_s
        assert abs(look.left_s - left) <= slack
        assert look.worst_s >= look.left_s


def test_a_forecast_counts_until_the_run_s_own_speed_is_known() -> None:
    played = Played(workers=2, pieces_s=[10.0] * 20, after_s=10.0)
    looks = played.looks(every_s=5.0)
    next(looks)
    played.eta.expect(50.0, 80.0)
    first = next(looks)
    assert first.left_s == pytest.approx(45.0)
    assert first.worst_s == pytest.approx(75.0)
    halfway = next(look for look in looks if played.done >= 0.5 * 20 * PIECE)
    assert halfway.left_s == pytest.approx(played.end - played.clock.now, rel=0.15)


def test_work_that_is_to_be_made_again_takes_nothing_back() -> None:
    played = Played(workers=2, pieces_s=[10.0] * 6, after_s=5.0)
    before = list(played.looks(every_s=2.0))[-1]
    played.eta.total(2 * PIECE, piece=PIECE, workers=2)
    assert before.share <= played.eta.look().share < 1
    assert before.share > 1 - AFTER


NOON = datetime(2026, 11, 30, 12, 0)


@pytest.mark.parametrize(
    ("left_s", "worst_s", "words"),
    [
        (None, None, ""),
        (40.0, 52.0, "done in 40 s, at worst in 52 s"),
        (40.0, 40.0, "done in 40 s"),
        (24000.0, 24720.0, "done 18:40, at worst 18:52"),
        (24000.0, 24010.0, "done 18:40"),
        (24000.0, 50000.0, "done Mon 18:40, at worst Tue 01:53"),
    ],
)
def test_ends_are_worded_by_how_near_they_are(
    left_s: float | None, worst_s: float | None, words: str
) -> None:
    assert end_words(Look(share=0.5, left_s=left_s, worst_s=worst_s), NOON) == words


def test_lines_of_a_render_say_how_far_it_is_and_become_rarer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    reporter = Plain(clock)
    reporter.phase("probing x")
    reporter.whole("ep01")
    reporter.total(1000.0, piece=1.0, workers=1)
    for _ in range(1000):
        clock.now += 1.0
        reporter.advance(1.0)
    reporter.whole("")
    said = [line for line in capsys.readouterr().err.splitlines() if "ep01" in line]
    assert "%, done " in said[5]
    assert 30 < len(said) < 120, "every five seconds first, then by the time it took"
    assert all(one != other for one, other in pairwise(said))
