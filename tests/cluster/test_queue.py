"""The rule by which a free worker takes its next item."""

import pytest

from cluster.queue import choose_next


def test_a_worker_stays_with_its_shot() -> None:
    assert choose_next(["a", "b", "a"], last="b", busy=frozenset()) == 1


def test_a_worker_without_a_shot_takes_one_that_nobody_is_on() -> None:
    assert choose_next(["a", "b", "c"], last=None, busy=frozenset({"a", "b"})) == 2


def test_a_worker_helps_with_the_oldest_when_all_are_taken() -> None:
    assert choose_next(["a", "b"], last="z", busy=frozenset({"a", "b"})) == 0


def test_nothing_waiting_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing waits"):
        choose_next([], last=None, busy=frozenset())
