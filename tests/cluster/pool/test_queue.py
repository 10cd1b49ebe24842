"""The rule by which a free worker takes its next item."""

from dataclasses import dataclass, field

import pytest

from cluster.pool.failures import History, Kind, Place
from cluster.pool.queue import WorkerSlot, choose_call, choose_next, next_start_s


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


def choose(
    *waiting: Waits, slot: WorkerSlot, others: tuple[WorkerSlot, ...] = (), now: float = 0.0
):
    return choose_call(waiting, slot, others=others, now=now, last=None, busy=frozenset())


HERE = WorkerSlot(number=0, node="A")
FAILED_HERE = History().after(Kind.FAULT, Place(worker=0, node="A"))


def test_what_failed_elsewhere_comes_first() -> None:
    failed = Waits(group="b", history=History().after(Kind.FAULT, Place(worker=9, node="Z")))
    assert choose(Waits(group="a"), failed, slot=HERE) == 1


def test_what_failed_here_is_left_to_another_node_then_to_another_worker() -> None:
    failed, beside = Waits(group="b", history=FAILED_HERE), WorkerSlot(number=1, node="A")
    away = WorkerSlot(number=2, node="B")
    assert choose(failed, Waits(group="a"), slot=beside, others=(HERE, away)) == 1
    assert choose(failed, slot=away, others=(HERE, beside)) == 0
    assert choose(failed, slot=HERE, others=(beside,)) is None
    assert choose(failed, slot=beside, others=(HERE,)) == 0
    assert choose(failed, slot=HERE) == 0


def test_what_waits_for_its_time_is_left() -> None:
    later = Waits(group="a", ready_at=5.0)
    assert choose(later, slot=HERE, now=4.0) is None
    assert next_start_s([later], now=4.0) == 1.0
    assert choose(later, slot=HERE, now=5.0) == 0
    assert next_start_s([later], now=5.0) is None
