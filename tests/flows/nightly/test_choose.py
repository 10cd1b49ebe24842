"""Which episodes a night takes: the laws, on any forecasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.forecast.forecast import Forecast
from flows.nightly.choose import Candidate, Remaining, Shares, choose_episodes, hours, why_not

SHOWS = ("a", "b", "c")


def work(seconds: float = 10.0, gpu: float = 0.0, cpu: float = 0.0, money: float = 0.0) -> Forecast:
    return Forecast(
        chunks=1,
        gpu_hours=gpu,
        cpu_hours=cpu,
        bytes_put=0,
        money=money,
        finish_p50_s=seconds / 2,
        finish_p90_s=seconds,
        basis="history",
        based_on="",
    )


def candidate(
    name: str, show: str = "a", priority: int = 0, place: int = 0, forecast: Forecast | None = None
) -> Candidate:
    return Candidate(
        episode=name, show=show, priority=priority, place=place, forecast=forecast or work()
    )


AMOUNTS = st.integers(0, 40).map(float)
CANDIDATES = st.lists(
    st.builds(
        lambda show, priority, s, g, c, m: (show, priority, work(s, g, c, m)),
        st.sampled_from(SHOWS),
        st.integers(-2, 2),
        *[AMOUNTS] * 4,
    ),
    max_size=8,
).map(
    lambda rows: [
        candidate(f"ep{place}", show, priority, place, forecast)
        for place, (show, priority, forecast) in enumerate(rows)
    ]
)
LIMITS = st.builds(
    Remaining,
    seconds=st.none() | AMOUNTS,
    gpu_hours=st.none() | AMOUNTS,
    cpu_hours=st.none() | AMOUNTS,
    money=st.none() | AMOUNTS,
)
SHARES = st.builds(
    Shares,
    weights=st.fixed_dictionaries({show: st.integers(1, 5).map(float) for show in SHOWS}),
    used=st.dictionaries(st.sampled_from(SHOWS), AMOUNTS),
)


def total(taken: Sequence[Candidate]) -> Forecast:
    works = [each.forecast for each in taken]
    return work(
        sum(each.finish_p90_s for each in works),
        sum(each.gpu_hours for each in works),
        sum(each.cpu_hours for each in works),
        sum(each.money for each in works),
    )


@given(CANDIDATES, LIMITS, SHARES)
def test_deadline_and_budget_hold_by_the_forecasts(
    candidates: list[Candidate], remaining: Remaining, shares: Shares
) -> None:
    choice = choose_episodes(candidates, shares=shares, remaining=remaining)
    assert why_not(total(choice.taken), remaining) == "" or not choice.taken


@given(CANDIDATES, LIMITS, SHARES)
def test_every_episode_is_taken_or_left_out_once_with_why(
    candidates: list[Candidate], remaining: Remaining, shares: Shares
) -> None:
    choice = choose_episodes(candidates, shares=shares, remaining=remaining)
    left = [each.candidate for each in choice.left_out]
    by_place = sorted((*choice.taken, *left), key=lambda each: each.place)
    assert by_place == candidates
    assert all(each.why for each in choice.left_out)


@given(CANDIDATES, LIMITS, SHARES)
def test_nothing_of_lower_priority_is_taken_that_made_a_higher_one_impossible(
    candidates: list[Candidate], remaining: Remaining, shares: Shares
) -> None:
    """What is left out does not fit even beside only those of its own priority and higher."""
    choice = choose_episodes(candidates, shares=shares, remaining=remaining)
    for left in choice.left_out:
        above = [each for each in choice.taken if each.priority >= left.candidate.priority]
        assert why_not(total([*above, left.candidate]), remaining)


@given(CANDIDATES, LIMITS, SHARES)
def test_the_order_is_by_priority(
    candidates: list[Candidate], remaining: Remaining, shares: Shares
) -> None:
    priorities = [
        each.priority
        for each in choose_episodes(candidates, shares=shares, remaining=remaining).taken
    ]
    assert priorities == sorted(priorities, reverse=True)


@given(CANDIDATES, LIMITS, SHARES, st.randoms(use_true_random=False))
def test_the_same_episodes_in_any_order_make_the_same_night(
    candidates: list[Candidate], remaining: Remaining, shares: Shares, random: object
) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    once, again = (
        choose_episodes(each, shares=shares, remaining=remaining) for each in (candidates, shuffled)
    )
    assert once == again


@given(CANDIDATES, SHARES)
def test_without_limits_everything_is_taken(candidates: list[Candidate], shares: Shares) -> None:
    assert len(choose_episodes(candidates, shares=shares, remaining=Remaining()).taken) == len(
        candidates
    )


@given(st.fixed_dictionaries({show: st.integers(1, 4).map(float) for show in SHOWS}))
def test_over_many_nights_shows_get_their_shares_by_weight(weights: dict[str, float]) -> None:
    """Every night has room for two of many episodes of an hour each."""
    used: dict[str, float] = defaultdict(float)
    nights = 120
    hour = work(gpu=1)
    waiting = [candidate(f"{s}{n}", s, place=n, forecast=hour) for s in SHOWS for n in (1, 2)]
    for _ in range(nights):
        shares = Shares(weights=weights, used=dict(used))
        for each in choose_episodes(waiting, shares=shares, remaining=Remaining(gpu_hours=2)).taken:
            used[each.show] += hours(each.forecast)
    for show in SHOWS:
        due = 2 * nights * weights[show] / sum(weights.values())
        assert abs(used[show] - due) <= 2


def test_among_equals_the_show_furthest_below_its_share_goes_first() -> None:
    both = [candidate("ep1", "a", place=0), candidate("ep2", "b", place=1)]
    shares = Shares(weights={"a": 1, "b": 3}, used={"a": 4, "b": 9})
    assert [
        each.episode for each in choose_episodes(both, shares=shares, remaining=Remaining()).taken
    ] == [
        "ep2",
        "ep1",
    ]


def test_what_goes_now_counts_before_the_next_is_chosen() -> None:
    rows = [("a1", "a"), ("a2", "a"), ("b1", "b")]
    waiting = [
        candidate(name, show, place=place, forecast=work(gpu=1))
        for place, (name, show) in enumerate(rows)
    ]
    shares = Shares(weights={"a": 1, "b": 1})
    taken = choose_episodes(waiting, shares=shares, remaining=Remaining()).taken
    assert [each.episode for each in taken] == ["a1", "b1", "a2"]


def test_a_smaller_one_behind_what_does_not_fit_still_goes() -> None:
    large = candidate("large", priority=5, forecast=work(100))
    small = candidate("small", priority=1, place=1, forecast=work(20))
    choice = choose_episodes(
        [large, small], shares=Shares(weights={}), remaining=Remaining(seconds=50)
    )
    assert choice.taken == (small,)
    assert [each.candidate for each in choice.left_out] == [large]


@pytest.mark.parametrize(
    ("forecast", "remaining", "words"),
    [
        (
            work(7200),
            Remaining(seconds=3600),
            "would end 1 h 0 min after the deadline (p90 2 h 0 min",
        ),
        (work(30), Remaining(seconds=-5), "would end 35 s after the deadline (p90 30 s, 0 s left)"),
        (
            work(gpu=3),
            Remaining(gpu_hours=2.5),
            "needs 3 GPU-hours, 2.5 left (0.5 over the budget)",
        ),
        (work(cpu=3), Remaining(cpu_hours=1), "needs 3 CPU-hours, 1 left (2 over the budget)"),
        (work(money=12), Remaining(money=10), "needs 12 EUR, 10 left (2 over the budget)"),
        (work(30), Remaining(seconds=30), ""),
    ],
)
def test_what_is_left_out_says_by_how_much(
    forecast: Forecast, remaining: Remaining, words: str
) -> None:
    assert why_not(forecast, remaining, currency="EUR").startswith(words)
    assert bool(words) == bool(why_not(forecast, remaining, currency="EUR"))
