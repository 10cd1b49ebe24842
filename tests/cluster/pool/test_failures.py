"""Every class of failure played through without Ray: what is tried again, where and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.errors import (
    ClusterError,
    DougaError,
    InputError,
    OutOfMemory,
    StageError,
    StoreError,
)
from cluster.pool.actor import ActorLocation, to_douga_error
from cluster.pool.calls import Call, Worker
from cluster.pool.dispatch import RETRY_WINDOW_S, Dispatcher
from cluster.pool.failures import (
    BACKOFF,
    BLAMES,
    FAULTS,
    LOSSES,
    TRANSIENTS,
    Blame,
    History,
    Kind,
    Place,
    Relief,
    choose_relief,
    failure_kind,
    is_last_node,
    plan_retry,
    should_quarantine,
)
from cluster.pool.hosts import Hosts

BUG = StageError("ZeroDivisionError: one over nothing")
BUSY = StoreError("the S3 service answered 503", retryable=True)
FULL = OutOfMemory("out of memory")
GONE = ClusterError("the worker was lost")


class Play:
    """A dispatcher with a clock that a test turns: workers are given by their nodes."""

    def __init__(self, nodes: str) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.dispatcher = Dispatcher(
            clock=lambda: self.now, chance=lambda: 0.0, tell=self.said.append
        )
        for number, node in enumerate(nodes):
            worker = Worker(number=number)
            self.dispatcher.workers.append(worker)
            self.arrive(worker, node)

    def arrive(self, worker: Worker, node: str, *, lives: bool = True, oom_kills: int = 0) -> None:
        where = ActorLocation(node=node, host=f"host {node}", pid=worker.life, oom_kills=oom_kills)
        self.dispatcher.worker_started(worker, where, node_lives=lives)

    def submit(
        self, group: str = "sh010/upscale", payload: int = 8, memory_class: str = ""
    ) -> Call:
        """A call whose payload is how many frames it works on at once."""
        call = Call(
            method="make",
            payload=payload,
            group=group,
            memory_class=memory_class or "upscale",
            shrink=lambda frames: frames // 2 or None,
        )
        self.dispatcher.waiting.add(call)
        return call

    def free_workers(self) -> list[Worker]:
        """The workers that would take the next call now."""
        found = []
        for worker in self.dispatcher.workers:
            call = self.dispatcher.take(worker)
            if call is not None:
                self.dispatcher.waiting.add(call)
                self.dispatcher.release(worker, call)
                found.append(worker)
        return found

    def fail(
        self, kind: Kind, error: DougaError, worker: Worker | None = None
    ) -> DougaError | None:
        """Somebody takes the next call, and it fails there."""
        self.now += BACKOFF.longest_s
        worker = worker or self.free_workers()[0]
        call = self.dispatcher.take(worker)
        assert call is not None
        life = worker.life
        self.now += 1
        final = self.dispatcher.handle_failure(call, worker, life=life, kind=kind, error=error)
        self.dispatcher.release(worker, call)
        if worker.life > life:
            self.arrive(worker, worker.location.node)
        return final


def test_errors_are_told_apart_by_what_they_say_of_themselves() -> None:
    assert failure_kind(BUSY) is Kind.TRANSIENT
    assert failure_kind(OutOfMemory("no room", retryable=True)) is Kind.MEMORY
    assert failure_kind(InputError("a torn picture")) is Kind.FAULT
    assert failure_kind(BUG) is Kind.FAULT


# -- transient: later and later, bounded ---------------------------------------------------------


def test_the_wait_doubles_up_to_a_bound_and_half_of_it_is_chance() -> None:
    longest = [BACKOFF.wait_s(count, chance=1.0) for count in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, 30, 30, 30]
    assert [BACKOFF.wait_s(count, chance=0.0) for count in range(1, 9)] == [s / 2 for s in longest]


def test_a_busy_store_is_asked_again_and_given_up_in_the_end() -> None:
    play = Play("AB")
    call = play.submit()
    for _ in range(TRANSIENTS - 1):
        assert play.fail(Kind.TRANSIENT, BUSY) is None
    assert play.fail(Kind.TRANSIENT, BUSY) is BUSY
    assert len(BUSY.attempts) == call.history.tries == TRANSIENTS
    assert len(play.said) == TRANSIENTS - 1
    assert "503 on A (1 of 6); trying again in 0.5 s" in play.said[0]
    assert not call.history.blamed, "it is the store's fault, not the host's"


def test_nobody_takes_a_call_before_its_time() -> None:
    play = Play("A")
    play.submit()
    play.fail(Kind.TRANSIENT, BUSY)
    assert play.free_workers() == []
    assert play.dispatcher.wait_s() == pytest.approx(0.5)
    play.now += 0.6
    assert play.free_workers() == play.dispatcher.workers


# -- faults: one confirming try elsewhere --------------------------------------------------------


def test_a_bug_is_confirmed_on_another_node_and_then_it_is_over() -> None:
    play = Play("AAB")
    call = play.submit()
    first = play.dispatcher.workers[0]
    assert play.fail(Kind.FAULT, BUG, first) is None
    assert [worker.location.node for worker in play.free_workers()] == ["B"]
    final = play.fail(Kind.FAULT, BUG)
    assert final is BUG
    assert call.history.count(Kind.FAULT) == FAULTS == 2
    assert [attempt.node for attempt in final.attempts] == ["host A", "host B"]


def test_on_one_node_it_is_another_worker_and_on_one_worker_the_same() -> None:
    play = Play("AA")
    play.submit()
    play.fail(Kind.FAULT, BUG, play.dispatcher.workers[1])
    assert play.free_workers() == [play.dispatcher.workers[0]]
    alone = Play("A")
    alone.submit()
    assert alone.fail(Kind.FAULT, BUG) is None
    assert alone.fail(Kind.FAULT, BUG) is BUG


def test_a_worker_that_is_being_restarted_is_waited_for_but_not_for_ever() -> None:
    play = Play("AB")
    play.submit()
    play.fail(Kind.FAULT, BUG, play.dispatcher.workers[0])
    other = play.dispatcher.workers[1]
    other.up, other.down_since = False, play.now
    assert play.free_workers() == []
    assert play.dispatcher.wait_s() == RETRY_WINDOW_S
    play.now += RETRY_WINDOW_S
    assert play.free_workers() == [play.dispatcher.workers[0]]


# -- lost workers: poison is found, what was beside it is not blamed ------------------------------


def test_work_that_takes_three_workers_down_is_given_up() -> None:
    play = Play("AA")
    call = play.submit()
    assert [play.fail(Kind.LOST, GONE) for _ in range(LOSSES)] == [None, None, GONE]
    assert call.history.count(Kind.LOST) == LOSSES == 3
    assert {attempt.worker for attempt in GONE.attempts} == {"0", "1"}


def test_what_was_beside_it_is_tried_alone_and_so_survives() -> None:
    play = Play("A")
    (worker,) = play.dispatcher.workers
    calls = [play.submit(group=f"sh{number}") for number in range(3)]
    taken = [play.dispatcher.take(worker) for _ in calls]
    for call in taken:
        assert call is not None
        assert (
            play.dispatcher.handle_failure(call, worker, life=0, kind=Kind.LOST, error=GONE) is None
        )
        play.dispatcher.release(worker, call)
    assert worker.life == 1, "one process died, not three"
    play.arrive(worker, "A")
    play.now += BACKOFF.longest_s
    assert play.dispatcher.take(worker) in calls
    assert play.dispatcher.take(worker) is None, "it has the worker to itself"


def test_a_loss_beside_others_does_not_bring_a_bug_back_to_where_it_failed() -> None:
    play = Play("AA")
    first, second = play.dispatcher.workers
    play.submit()
    assert play.fail(Kind.FAULT, BUG, first) is None
    assert play.fail(Kind.LOST, GONE, second) is None
    assert _later(play) == [second], "its process is another now"


def test_a_call_that_is_to_be_alone_waits_until_the_worker_is_free_and_gets_it() -> None:
    play = Play("A")
    (worker,) = play.dispatcher.workers
    suspect = play.submit(group="suspect")
    play.fail(Kind.LOST, GONE)
    play.now += BACKOFF.longest_s
    busy = Call(method="make", payload=1, group="other")
    worker.calls.append(busy)
    play.submit(group="other")
    assert play.dispatcher.take(worker) is None, "or it would never be free"
    worker.calls.remove(busy)
    assert play.dispatcher.take(worker) is suspect


def test_a_lost_node_counts_neither_against_the_work_nor_against_the_node() -> None:
    play = Play("AB")
    call = play.submit()
    for _ in range(LOSSES + 1):
        play.now += BACKOFF.longest_s
        worker = play.free_workers()[0]
        assert play.dispatcher.take(worker) is call
        node, life = worker.location.node, worker.life
        assert (
            play.dispatcher.handle_failure(call, worker, life=life, kind=Kind.LOST, error=GONE)
            is None
        )
        play.dispatcher.release(worker, call)
        play.arrive(worker, f"{node}'", lives=False)
    assert call.history.count(Kind.NODE) == LOSSES + 1
    assert not call.history.blamed


# -- time ----------------------------------------------------------------------------------------


def test_too_long_is_tried_once_more_and_its_companions_are_not_blamed() -> None:
    late = ClusterError("took longer than 1 s")
    play = Play("A")
    (worker,) = play.dispatcher.workers
    slow, beside = play.submit(group="slow"), play.submit(group="beside")
    assert {play.dispatcher.take(worker) for _ in range(2)} == {slow, beside}
    assert (
        play.dispatcher.handle_failure(slow, worker, life=0, kind=Kind.TIMEOUT, error=late) is None
    )
    assert (
        play.dispatcher.handle_failure(beside, worker, life=0, kind=Kind.LOST, error=GONE) is None
    )
    assert beside.history.count(Kind.EVICTED) == 1
    assert not beside.history.blamed
    worker.calls.clear()
    play.arrive(worker, "A")
    play.dispatcher.waiting.discard(beside)
    assert play.fail(Kind.TIMEOUT, late) is late


# -- memory: smaller batches, fewer workers, one at a time ----------------------------------------


def test_memory_is_won_in_this_order() -> None:
    room: dict[str, Any] = dict.fromkeys(("stale", "smaller", "elsewhere"), True)
    room |= {"workers": 3, "alone": False}
    order = [choose_relief(**room)]
    for step in ({"stale": False}, {"smaller": False}, {"workers": 1}, {"elsewhere": False}):
        room |= step
        order.append(choose_relief(**room))
    order.append(choose_relief(**{**room, "alone": True}))
    assert order == list(Relief)


def test_a_worker_killed_for_memory_gets_smaller_batches_and_so_do_those_after_it() -> None:
    play = Play("A")
    call = play.submit(payload=8)
    assert play.dispatcher.payload(call) == 8
    assert play.fail(Kind.OOM_KILLED, FULL) is None
    assert play.dispatcher.payload(call) == 4
    assert play.dispatcher.payload(play.submit(payload=8)) == 4
    assert play.dispatcher.payload(play.submit(payload=8, memory_class="interpolate")) == 8
    assert play.said[0] == "upscale: out of memory on A; going on in smaller batches"


def test_batches_that_cannot_be_smaller_leave_fewer_workers_then_one_call_at_a_time() -> None:
    play = Play("AAA")
    call = play.submit(payload=1)
    for _ in range(3):
        assert play.fail(Kind.MEMORY, FULL) is None
    assert [worker.retired for worker in play.dispatcher.workers].count(True) == 2
    assert play.fail(Kind.MEMORY, FULL) is FULL
    assert call.history.alone
    steps = [line for line in play.said if "going on" in line]
    assert steps == [
        "upscale: out of memory on A; going on with 2 worker(s)",
        "upscale: out of memory on A; going on with 1 worker(s)",
        "upscale: out of memory on A; going on one call at a time",
    ]


def test_what_failed_beside_a_step_is_no_reason_for_another() -> None:
    """Three workers run out at the same moment: one of them stops, and that is tried first."""
    play = Play("AAA")
    for number in range(3):
        play.submit(group=f"sh{number}", payload=1)
    taken = [(worker, play.dispatcher.take(worker)) for worker in play.dispatcher.workers]
    play.now += 1
    for worker, call in taken:
        assert call is not None
        assert (
            play.dispatcher.handle_failure(call, worker, life=0, kind=Kind.MEMORY, error=FULL)
            is None
        )
        play.dispatcher.release(worker, call)
    assert len(play.dispatcher.active_workers()) == 2


def test_a_larger_node_is_tried_before_it_is_given_up() -> None:
    play = Play("AB")
    play.submit(payload=1)
    play.fail(Kind.MEMORY, FULL, play.dispatcher.workers[0])
    assert not any(worker.retired for worker in play.dispatcher.workers), "each is its node's last"
    assert [worker.location.node for worker in play.free_workers() or _later(play)] == ["B"]


def _later(play: Play) -> list[Worker]:
    play.now += BACKOFF.longest_s
    return play.free_workers()


def test_a_process_that_the_machine_killed_for_memory_is_known_when_it_is_back() -> None:
    """The kernel's kill looks like any other; its counter does not."""
    play = Play("A")
    (worker,) = play.dispatcher.workers
    call = play.submit(payload=8)
    play.dispatcher.take(worker)
    play.now += 1
    assert play.dispatcher.handle_failure(call, worker, life=0, kind=Kind.LOST, error=GONE) is None
    play.dispatcher.release(worker, call)
    play.arrive(worker, "A", oom_kills=1)
    assert call.history.count(Kind.LOST) == 0
    assert call.history.count(Kind.OOM_KILLED) == 1
    assert play.dispatcher.payload(call) == 4


# -- hosts ---------------------------------------------------------------------------------------


def place(node: str, worker: int, life: int = 0) -> Place:
    return Place(node=node, worker=worker, life=life)


def blames(*of: tuple[str, Place]) -> list[Blame]:
    return [Blame(owner=owner, place=where) for owner, where in of]


def test_three_failures_of_different_shots_make_a_bad_host() -> None:
    of = [(f"sh0{n}0", place("A", n)) for n in range(BLAMES)]
    assert should_quarantine("A", blames(*of))
    assert not should_quarantine("B", blames(*of))
    assert not should_quarantine("A", blames(*of[:2], ("sh010", place("A", 5)))), "two shots"
    assert not should_quarantine("A", blames(*[(owner, place("A", 0)) for owner, _ in of])), (
        "one process died"
    )
    assert should_quarantine(
        "A", blames(*[(f"sh{n}", place("A", 0, life=n)) for n in range(BLAMES)])
    )
    own = [(f"sh{n}", replace(place("A", 0), own=True)) for n in range(BLAMES)]
    assert should_quarantine("A", blames(*own)), "errors that a process raised and lived on"
    assert not should_quarantine("A", blames(*own[:2], own[0]))


def test_an_error_is_a_calls_own_and_a_loss_only_if_it_was_alone() -> None:
    def blamed(*kinds: Kind) -> list[bool]:
        history = History()
        for kind in kinds:
            history = history.after(kind, place("A", 0))
        return [where.own for where in history.blamed]

    assert blamed(Kind.FAULT) == [True]
    assert blamed(Kind.TIMEOUT) == [True]
    assert blamed(Kind.LOST, Kind.LOST) == [False, True]


def test_work_that_fails_everywhere_speaks_against_no_host() -> None:
    history = History().after(Kind.FAULT, place("A", 0)).after(Kind.FAULT, place("B", 1))
    assert plan_retry(history, Kind.FAULT, chance=0) is None, (
        "it never goes well, so nobody is blamed"
    )
    assert not History().after(Kind.TRANSIENT, place("A", 0)).blamed
    assert not History().after(Kind.EVICTED, place("A", 0)).blamed


def test_the_last_host_of_any_pool_is_kept() -> None:
    assert is_last_node("A", [{"A"}], ())
    assert not is_last_node("A", [{"A", "B"}], ())
    assert is_last_node("A", [{"A", "B"}], {"B"})
    assert is_last_node("A", [{"A", "B"}, {"A"}], ()), "the only one with a GPU"


class Camp:
    """A pool by its nodes."""

    def __init__(self, *nodes: str) -> None:
        self.here = set(nodes)
        self.left: list[str] = []

    def nodes(self) -> set[str]:
        return self.here

    def leave(self, node: str) -> None:
        self.here.discard(node)
        self.left.append(node)


def test_a_bad_host_is_left_by_every_pool_and_named_once() -> None:
    said: list[str] = []
    hosts, cpu, gpu = Hosts(said.append), Camp("A", "B"), Camp("A", "B")
    hosts.join(cpu)
    hosts.join(gpu)
    hosts.name("A", "tower")
    for number in range(BLAMES + 1):
        hosts.blame(f"sh{number}", [place("A", number)])
    assert cpu.left == gpu.left == ["A"]
    assert hosts.is_quarantined("A")
    assert said == [
        "host tower failed work of sh0, sh1, sh2 that went well afterwards; "
        "it is quarantined for this run"
    ]
    assert len(hosts.quarantined) == 1
    assert hosts.quarantined[0].startswith("tower failed work of sh0, sh1, sh2")


def test_the_only_host_is_not_quarantined_but_said_to_be_ill() -> None:
    said: list[str] = []
    hosts, pool = Hosts(said.append), Camp("A")
    hosts.join(pool)
    for number in range(BLAMES + 2):
        hosts.blame(f"sh{number}", [place("A", number)])
    assert pool.left == []
    assert hosts.quarantined == ()
    assert len(said) == 1
    assert "it is the last one and goes on: look after it" in said[0]


def test_a_memory_error_wherever_it_is_raised_is_one_of_memory() -> None:
    """Outside a stage too: while a chunk is packed, say."""
    assert failure_kind(to_douga_error(MemoryError("512 MiB"))) is Kind.MEMORY
    assert failure_kind(to_douga_error(ValueError("512 MiB"))) is Kind.FAULT
