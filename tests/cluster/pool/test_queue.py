"""The rules by which a free worker takes its next call, and what a decision costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.pool.actor import ActorLocation
from cluster.pool.calls import Call, Worker
from cluster.pool.dispatch import IN_FLIGHT, Dispatcher
from cluster.pool.failures import History, Kind, Place
from cluster.pool.queue import Queue, Sorted


@dataclass(frozen=True, kw_only=True)
class Slot:
    number: int
    node: str
    in_flight: int = 0
    alone: bool = False


HERE = Slot(number=0, node="A")
FAILED_HERE = History().after(Kind.FAULT, Place(worker=0, node="A"))


@dataclass(eq=False)
class Waits:
    group: str
    rank: float = 0.0
    ready_at: float = 0.0
    history: History = field(default_factory=History)


def queue(*waiting: Waits) -> Queue[Waits]:
    made: Queue[Waits] = Queue()
    for call in waiting:
        made.add(call)
    return made


def take(
    waiting: Queue[Waits],
    slot: Slot = HERE,
    *,
    others: tuple[Slot, ...] = (),
    now: float = 0.0,
    last: str | None = None,
) -> Waits | None:
    return waiting.take(slot, others=lambda: others, now=now, last=last)


def groups(*names: str) -> list[Waits]:
    return [Waits(name) for name in names]


def test_a_worker_stays_with_its_shot_whatever_else_waits() -> None:
    a, b, more = groups("a", "b", "b")
    longer = Waits("c", rank=9)
    waiting = queue(a, b, longer, more)
    assert [take(waiting, last="b"), take(waiting, last="b")] == [b, more]
    assert take(waiting, last="b") is longer, "it has no more calls"


def test_a_worker_without_a_shot_takes_one_that_nobody_is_on() -> None:
    a, b, more_a, more_b, c = groups("a", "b", "a", "b", "c")
    waiting = queue(a, b, more_a, more_b, c)
    assert [take(waiting) for _ in range(3)] == [a, b, c]
    assert take(waiting) is more_a, "all are taken: it helps with the oldest"
    waiting.end(b)
    assert take(waiting) is more_b


def test_the_group_with_the_most_work_behind_it_begins_and_gets_help_first() -> None:
    short, long, middle = Waits("short", 1), Waits("long", 30), Waits("middle", 10)
    rest = [Waits("long", 20), Waits("middle", 5), Waits("long", 2)]
    waiting = queue(short, long, middle, *rest)
    order = [take(waiting) for _ in range(6)]
    assert order == [long, middle, short, rest[0], rest[1], rest[2]]


def test_calls_of_a_group_keep_their_order() -> None:
    calls = [Waits("a", rank) for rank in (3, 1, 2)]
    assert take(waiting := queue(*calls), last="a") is calls[0]
    assert [take(waiting), take(waiting), take(waiting)] == [calls[1], calls[2], None]


def test_what_failed_elsewhere_comes_first() -> None:
    failed = Waits("b", history=History().after(Kind.FAULT, Place(worker=9, node="Z")))
    assert take(queue(Waits("a", rank=9), failed)) is failed


def test_what_failed_here_is_left_to_another_node_then_to_another_worker() -> None:
    beside, away = Slot(number=1, node="A"), Slot(number=2, node="B")

    def taken(slot: Slot, *others: Slot, fresh: str = "") -> str | None:
        failed = Waits("failed", history=FAILED_HERE)
        waiting = queue(failed, *groups(*fresh))
        call = take(waiting, slot, others=others)
        return call.group if call else None

    assert taken(beside, HERE, away, fresh="a") == "a"
    assert taken(away, HERE, beside) == "failed"
    assert taken(HERE, beside) is None
    assert taken(beside, HERE) == "failed"
    assert taken(HERE) == "failed"


def test_what_waits_for_its_time_is_left() -> None:
    later = Waits(
        "a", ready_at=5.0, history=History().after(Kind.TRANSIENT, Place(worker=0, node="A"))
    )
    waiting = queue(later)
    assert take(waiting, now=4.0) is None
    assert waiting.next_start_s(4.0) == 1.0
    assert waiting.next_start_s(5.0) is None
    assert take(waiting, now=5.0) is later


def test_the_calls_of_a_group_can_be_dropped_failed_ones_too() -> None:
    waiting = queue(*groups("a", "b", "a"), Waits("a", history=FAILED_HERE))
    assert take(waiting, Slot(number=1, node="A")).history.tries == 1
    waiting.add(Waits("a", ready_at=9, history=FAILED_HERE))
    assert {call.group for call in waiting.drop("a")} == {"a"}
    assert len(waiting) == 1
    assert [call.group for call in waiting.clear()] == ["b"]
    assert len(waiting) == 0
    assert take(waiting) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.booleans()), max_size=60))
def test_the_first_of_sorted_items_is_the_lowest(steps: list[tuple[int, int, bool]]) -> None:
    kept: dict[int, tuple[float, ...]] = {}
    sorted_in: Sorted[int] = Sorted()
    for item, key, goes in steps:
        if goes:
            kept.pop(item, None)
            sorted_in.drop(item)
        else:
            kept[item] = (key, item)
            sorted_in.put(item, key, item)
        assert set(sorted_in) == set(kept)
        first = sorted_in.first()
        assert (first[1] if first else None) == (min(kept, key=kept.get) if kept else None)


# -- what a decision costs -----------------------------------------------------------------------


def full_farm(*, workers: int, waiting: int, seldom: int = 0) -> tuple[Dispatcher, list[Any]]:
    """Workers with calls in flight, calls waiting in groups of five; every `seldom`th failed."""
    dispatcher = Dispatcher(clock=lambda: 1.0, chance=lambda: 0.0, tell=lambda _: None)
    for number in range(waiting + workers * IN_FLIGHT):
        call = Call(method="make", payload=0, group=str(number // 5), rank=float(number % 97))
        if seldom and number % seldom == 0:
            call.history = FAILED_HERE
        dispatcher.waiting.add(call)
    for number in range(workers):
        dispatcher.workers.append(Worker(number=number))
        where = ActorLocation(node="A", host="a", pid=number)
        dispatcher.worker_started(dispatcher.workers[-1], where, node_lives=True)
    return dispatcher, list(dispatcher.assign())


def decision_s(**size: int) -> float:
    """Processor seconds of a decision, the least of several tries: the end of one call and the
    beginning of the next."""
    tries = []
    for _ in range(5):
        dispatcher, in_flight = full_farm(workers=64, **size)
        began = time.process_time()
        for at in in_flight[:150]:
            dispatcher.release(at.worker, at.call)
            in_flight += dispatcher.assign()
        tries.append((time.process_time() - began) / 150)
    return min(tries)


def test_a_decision_does_not_take_longer_where_more_calls_wait() -> None:
    assert decision_s(waiting=10_000) < 5 * decision_s(waiting=500), "twenty times the calls"


def test_nor_where_more_failed_calls_wait() -> None:
    few, many = (decision_s(waiting=waiting, seldom=3) for waiting in (500, 10_000))
    assert many < 5 * few


def test_a_waiting_call_goes_to_the_worker_with_the_fewest_in_flight() -> None:
    dispatcher, begun = full_farm(workers=3, waiting=30)
    assert [at.worker.number for at in begun] == [0, 1, 2] * IN_FLIGHT
    idle = dispatcher.workers[1]
    for at in begun[1:6:3] + begun[:1]:
        dispatcher.release(at.worker, at.call)
    assert [at.worker.number for at in dispatcher.assign()][:1] == [idle.number]


def test_the_last_calls_are_left_to_whoever_is_through_first() -> None:
    dispatcher, begun = full_farm(workers=4, waiting=0)
    assert len(begun) == 4 * IN_FLIGHT - 3
    for at in begun[3:8:4]:  # two of the fourth worker's calls end
        dispatcher.release(at.worker, at.call)
    assert [at.worker.number for at in dispatcher.assign()] == [3, 3]
    assert len(dispatcher.waiting) == 1
