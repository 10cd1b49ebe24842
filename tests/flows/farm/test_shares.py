"""Who gets how many workers of a shared farm: the same answer in every render's driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.store.open import open_store
from flows.farm.shares import LIVE, LiveRun, live_runs, may_ask, member, room_in_s, shares


def run(name: str, **more: Any) -> LiveRun:
    about: dict[str, Any] = {"who": "mika", "pool": "cpu", "size": 1.0, "wants": 1000}
    return LiveRun(run=name, episode=f"ep-{name}", **(about | more))


@pytest.mark.parametrize(
    ("runs", "capacity", "expected"),
    [
        ([run("a")], 16, {"a": 16}),
        ([run("a"), run("b")], 16, {"a": 8, "b": 8}),
        ([run("a", weight=2), run("b"), run("c")], 16, {"a": 8, "b": 4, "c": 4}),
        ([run("a"), run("b", queue="night")], 15, {"a": 12, "b": 3}),
        ([run("a", wants=3), run("b")], 16, {"a": 3, "b": 13}),
        ([run("a", queue="urgent"), run("b"), run("c")], 16, {"a": 14, "b": 1, "c": 1}),
        ([run("a", queue="urgent", wants=4), run("b"), run("c")], 16, {"a": 4, "b": 6, "c": 6}),
        ([run("a", used=90.0), run("b", used=10.0)], 3, {"a": 1, "b": 2}),
        ([run("a", queue="urgent"), run("b")], 1, {"a": 1, "b": 0}),
        ([run("a", size=2.0), run("b")], 8, {"a": 2, "b": 4}),
        ([run("a")], 0, {"a": 0}),
    ],
)
def test_shares(runs: list[LiveRun], capacity: float, expected: dict[str, int]) -> None:
    assert shares(runs, capacity) == expected


@pytest.mark.parametrize(
    ("runs", "capacity", "expected"),
    [
        ([run("a")], 0, {"a": 1}),  # from no node at all
        ([run("a", holds=4)], 4, {"a": 6}),
        ([run("a", holds=3)], 4, {"a": 4}),  # one is on its way
        ([run("a", wants=4, holds=4)], 4, {"a": 4}),
        ([run("a", holds=2), run("b", holds=2)], 4, {"a": 3, "b": 2}),  # one asks for all
        ([run("a", wants=2, holds=2), run("b", holds=2)], 4, {"a": 2, "b": 3}),
        ([run("a", holds=4), run("b")], 4, {"a": 2, "b": 2}),  # first of all everybody's share
    ],
)
def test_what_may_be_asked_for(
    runs: list[LiveRun], capacity: float, expected: dict[str, int]
) -> None:
    assert {one.run: may_ask(runs, capacity, one.run) for one in runs} == expected


@pytest.mark.parametrize(
    ("others", "capacity", "expected"),
    [
        ([run("a", holds=8, left_s=600.0)], 8, 0.0),  # its share is one already
        ([run("a", holds=1, left_s=600.0)], 1, 600.0),
        ([run("a", holds=1, left_s=600.0), run("b", holds=1, left_s=60.0)], 2, 60.0),
        ([run("a", holds=1), run("b", holds=1, left_s=60.0)], 2, 60.0),
        ([run("a", holds=1)], 1, None),
        ([run("a", holds=1), run("b", holds=1)], 2, None),
        ([run("a", holds=1, left_s=60.0), run("b", queue="urgent")], 1, None),
        ([], 0, None),
    ],
)
def test_when_a_worker_is_free(
    others: list[LiveRun], capacity: float, expected: float | None
) -> None:
    runs = [*others, run("me", used=1e6)]
    assert room_in_s(runs, capacity, "me") == expected


RUNS = st.lists(
    st.builds(
        run,
        st.uuids().map(str),
        size=st.sampled_from([0.5, 1.0, 2.0]),
        wants=st.integers(0, 20),
        queue=st.sampled_from(["urgent", "day", "night"]),
        weight=st.floats(0.1, 10),
        used=st.floats(0, 1000),
    ),
    max_size=8,
)


@given(RUNS, st.integers(0, 40), st.randoms(use_true_random=False))
def test_nothing_idles_that_somebody_wants_and_nobody_holds_what_is_not_there(
    runs: list[LiveRun], capacity: int, random: Any
) -> None:
    given = shares(runs, capacity)
    left = capacity - sum(given[one.run] * one.size for one in runs)
    assert left >= -1e-6
    for one in runs:
        assert 0 <= given[one.run] <= one.wants
        assert given[one.run] == one.wants or one.size > left - 1e-6
    shuffled = random.sample(runs, len(runs))
    assert shares(shuffled, capacity) == given, "every driver comes to the same answer"


def test_pools_of_a_render_that_need_other_nodes_are_known_apart(
    tmp_path: Path, set_variables: Callable[..., None]
) -> None:
    """And others learn which nodes to let go of first."""
    set_variables(DOUGA_FARM=(tmp_path / "farm").as_uri(), DOUGA_QUEUE="day")
    fast = {"douga/tag-a6000": "yes"}
    with (
        member("one", "ep07", pool="cpu", size=1, wants=8) as plain,
        member("two", "ep08", pool="cpu", size=1, wants=8) as other,
        member("two", "ep08", pool="cpu", size=1, wants=2, part="1", labels=fast) as placed,
    ):
        assert plain is not None
        assert other is not None
        assert placed is not None
        assert plain.share(9, wants=20, holds=9, seconds=5) == 3
        assert other.share(9, wants=20, holds=4, seconds=5) == 4
        assert placed.share(9, wants=2, holds=0, seconds=5) == 2
        assert plain.wanted(9) == [fast]
        assert placed.share(9, wants=2, holds=2, seconds=5) == 2
        assert plain.wanted(9) == []


def test_members_see_one_another_and_leave_nothing(
    tmp_path: Path, set_variables: Callable[..., None]
) -> None:
    url = (tmp_path / "farm").as_uri()
    set_variables(DOUGA_FARM=url, DOUGA_QUEUE="day")
    with member("one", "ep07", pool="cpu", size=1, wants=8) as first:
        assert first is not None
        assert first.share(8, wants=8, holds=8, seconds=5) == 8
        set_variables(DOUGA_QUEUE="urgent")
        with member("two", "ep08", pool="cpu", size=1, wants=8) as second:
            assert second is not None
            assert first.share(8, wants=20, holds=8, seconds=5) == 1
            assert second.share(8, wants=20, holds=0, seconds=5) == 7
            holders, when = second.waits_for(8)
            assert "ep07" in holders
            assert "8 of 8" in holders
            assert "chunk in hand" in when
        assert first.share(8, wants=8, holds=1, seconds=5) == 8
    assert live_runs(open_store(url)) == []


def test_a_damaged_lease_and_one_of_another_pool_count_as_none(
    tmp_path: Path, set_variables: Callable[..., None]
) -> None:
    url = (tmp_path / "farm").as_uri()
    set_variables(DOUGA_FARM=url)
    open_store(url).put(f"{LIVE}torn.cpu.json", b"{")
    with (
        member("one", "ep07", pool="cpu", size=1, wants=8) as first,
        member("one", "ep07", pool="gpu", size=0.5, wants=8),
    ):
        assert first is not None
        assert first.share(8, wants=20, holds=0, seconds=5) == 8


def test_without_a_farm_nobody_shares() -> None:
    with member("one", "ep07", pool="cpu", size=1, wants=8) as alone:
        assert alone is None
