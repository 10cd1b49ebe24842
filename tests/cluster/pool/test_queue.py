"""The rule by which a free worker takes its next item."""

from dataclasses import dataclass, field

import pytest

from cluster.pool.failures import History, Kind, Place
from cluster.pool.queue import Taker, choose_call, choose_next, next_change


def test_a_worker_stays_with_its_shot() -> None:
    assert choose_next(["a", "b", "a"], last="b", busy=frozenset()) == 1


def test_a_worker_without_a_shot_takes_one_that_nobody_is_on() -> None:
    assert choose_next(["a", "b", "c"], last=None, busy=frozenset({"a", "b"})) == 2


def test_a_worker_helps_with_the_oldest_when_all_are_taken() -> None:
    assert choose_next(["a", "b"], last="z", busy=frozenset({"a", "b"})) == 0


def test_nothing_waiting_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing waits"):
        choose_next([], last=None, busy=frozenset())


@dataclass
class Waits:
    group: str
    ready_at: float = 0.0
    history: History = field(default_factory=History)


def choose(*waiting: Waits, taker: Taker, others: tuple[Taker, ...] = (), now: float = 0.0):
    return choose_call(waiting, taker, others=others, now=now, last=None, busy=frozenset())


HERE = Taker(number=0, node="A")
FAILED_HERE = History().after(Kind.FAULT, Place(worker=0, node="A"))


def test_what_failed_elsewhere_comes_first() -> None:
    failed = Waits(group="b", history=History().after(Kind.FAULT, Place(worker=9, node="Z")))
    assert choose(Waits(group="a"), failed, taker=HERE) == 1


def test_what_failed_here_is_left_to_another_node_then_to_another_worker() -> None:
    failed, beside = Waits(group="b", history=FAILED_HERE), Taker(number=1, node="A")
    away = Taker(number=2, node="B")
    assert choose(failed, Waits(group="a"), taker=beside, others=(HERE, away)) == 1
    assert choose(failed, taker=away, others=(HERE, beside)) == 0
    assert choose(failed, taker=HERE, others=(beside,)) is None
    assert choose(failed, taker=beside, others=(HERE,)) == 0
    assert choose(failed, taker=HERE) == 0


def test_what_waits_for_its_time_is_left() -> None:
    later = Waits(group="a", ready_at=5.0)
    assert choose(later, taker=HERE, now=4.0) is None
    assert next_change([later], now=4.0) == 1.0
    assert choose(later, taker=HERE, now=5.0) == 0
    assert next_change([later], now=5.0) is None
