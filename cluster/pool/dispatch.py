"""Dispatches waiting calls to workers, and decides what follows from each failure.

State in, decisions out: no thread, no clock of its own, no Ray, so that a test can play every
failure through. The pool holds a lock around each method call and carries out the decision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from cluster.errors import Attempt, DougaError
from cluster.pool.actor import ActorLocation
from cluster.pool.calls import Assignment, Call, Worker
from cluster.pool.failures import (
    BACKOFF,
    TRIES,
    Kind,
    Place,
    Relief,
    Retry,
    choose_relief,
    limit_of,
    plan_retry,
)
from cluster.pool.queue import Queue, Sorted

IN_FLIGHT = 3
"""Calls per worker: one loads, one computes, one stores."""
RETRY_WINDOW_S = 30.0
"""How long a call to be retried elsewhere waits for a worker that restarts."""


class Dispatcher:
    """Knows the waiting calls, the workers' calls, and what was given up when memory ran out."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        tell: Callable[[str], None],
        label: Callable[[str], str] = lambda node: node,
    ) -> None:
        self.workers: list[Worker] = []
        self.waiting: Queue[Call] = Queue()
        self._active: set[Worker] = set()
        self._free: Sorted[Worker] = Sorted()
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._label = label
        self._shrinks: dict[str, int] = {}
        self._relieved_at: dict[str, float] = {}

    # -- dispatch ---------------------------------------------------------------------------

    def assign(self) -> list[Assignment]:
        """Hand waiting calls to workers that have room, those with the fewest in flight first.

        The last calls, fewer than there are workers, do not queue up behind two others: whoever is
        through first takes them.
        """
        given: list[Assignment] = []
        passed: list[Worker] = []
        while self.waiting.has_open(self._clock()) and (first := self._free.first()):
            (in_flight, _), worker = first
            if in_flight == IN_FLIGHT - 1 and self.waiting.fresh < len(self._active):
                break
            call = self.take(worker)
            if call is not None:
                given.append(Assignment(worker=worker, call=call, life=worker.life))
            else:
                self._free.drop(worker)
                passed.append(worker)
        for worker in passed:
            self._make_room(worker)
        return given

    def take(self, worker: Worker) -> Call | None:
        """The call that a worker starts now; None if it waits."""
        if not worker.is_active:
            return None
        now = self._clock()
        call = self.waiting.take(
            worker,
            others=lambda: [
                other for other in self.workers if other is not worker and self._expected(other)
            ],
            now=now,
            last=worker.last,
        )
        if call is None:
            return None
        call.started_at = now
        worker.last = call.group
        worker.calls.append(call)
        self._make_room(worker)
        return call

    def release(self, worker: Worker, call: Call) -> None:
        """A worker's call has ended."""
        worker.calls.remove(call)
        self.waiting.end(call)
        self._make_room(worker)

    def give_back(self, call: Call) -> None:
        """A call that its worker has not begun waits again, before its group's others."""
        self.waiting.add(call, first=True)

    def _note_state(self, worker: Worker) -> None:
        """Note whether a worker is up and takes calls."""
        (self._active.add if worker.is_active else self._active.discard)(worker)
        self._make_room(worker)

    def _make_room(self, worker: Worker) -> None:
        """Note how much room a worker has for calls."""
        if worker.is_active and worker.in_flight < IN_FLIGHT:
            self._free.put(worker, worker.in_flight, worker.number)
        else:
            self._free.drop(worker)

    def wait_s(self) -> float | None:
        """Seconds until a delayed call may start; None if no call is delayed."""
        now = self._clock()
        waits = [self.waiting.next_start_s(now)]
        waits += [
            other.down_since + RETRY_WINDOW_S - now
            for other in self.workers
            if not other.up and self._expected(other)
        ]
        return min((wait for wait in waits if wait is not None), default=None)

    def payload(self, call: Call) -> Any:
        """The payload to send: in batches as small as its memory class has come to need."""
        payload = call.payload
        for _ in range(self._shrinks.get(call.memory_class, 0)):
            payload = call.shrink(payload) or payload
        return payload

    def active_workers(self) -> list[Worker]:
        """The workers that are up and take calls."""
        return [worker for worker in self.workers if worker.is_active]

    def _expected(self, worker: Worker) -> bool:
        """Whether a worker is up, or likely to be up again soon."""
        back_soon = worker.down_since > 0 and self._clock() < worker.down_since + RETRY_WINDOW_S
        return not worker.retired and (worker.up or back_soon)

    def nodes(self) -> set[str]:
        """The nodes of the active workers."""
        return {worker.location.node for worker in self.active_workers()}

    # -- failures --------------------------------------------------------------------------

    def handle_failure(
        self, call: Call, worker: Worker, *, life: int, kind: Kind, error: DougaError
    ) -> DougaError | None:
        """The error that ends a call in flight; None if the call waits for a retry.

        `life` is the worker's life when the call started.
        """
        place = replace(worker.place, life=life)
        kind = self._end_life(worker, life, kind)
        attempt = Attempt(
            worker=str(worker.location.pid), node=worker.location.host, error=str(error)
        )
        call.attempts += error.attempts or (attempt,)
        alone = call.history.alone
        call.history = call.history.after(kind, place)
        if kind is Kind.LOST:
            worker.lost.append(call)
        if kind in (Kind.MEMORY, Kind.OOM_KILLED):
            retry = self._relieve_memory(call, worker, place, kind, alone=alone)
        else:
            retry = plan_retry(call.history, kind, chance=self._chance())
        if not isinstance(retry, Retry) or call.history.tries >= TRIES:
            error.attempts = call.attempts
            return error
        if kind is not Kind.EVICTED:
            self._tell(self._retry_message(call, kind, place, error, retry))
        call.ready_at = self._clock() + retry.delay_s
        self.waiting.add(call)
        return None

    def worker_started(self, worker: Worker, location: ActorLocation, *, node_lives: bool) -> None:
        """A worker is up, or up again; `node_lives`: whether its node before that still lives."""
        before, worker.location, worker.up = worker.location, location, True
        lost, worker.lost = worker.lost, []
        self._note_state(worker)
        oom_killed = location.host == before.host and location.oom_kills > before.oom_kills
        if not lost or not (oom_killed or not node_lives):
            return
        place = Place(worker=worker.number, node=before.node, life=worker.life - 1)
        waiting = [call for call in lost if self.waiting.discard(call)]
        for call in lost:
            call.history = call.history.reclassified(
                Kind.OOM_KILLED if oom_killed else Kind.NODE, place
            )
        if oom_killed:
            self._relieve_memory(lost[0], worker, place, Kind.OOM_KILLED, alone=False)
        for call in waiting:
            self.waiting.add(call)

    def worker_late(self, worker: Worker) -> None:
        """A worker is not up yet; calls wait for it as for one that restarts."""
        worker.down_since = self._clock()

    def leave_node(self, node: str) -> list[Worker]:
        """Retire the workers of a node; returns them, so that the pool ends their processes."""
        leaving = self.retire_on({node})
        for worker in leaving:
            worker.ended.add(worker.life)
        return leaving

    def retire_on(self, nodes: Collection[str]) -> list[Worker]:
        """Retire the workers of some nodes: they end what they have."""
        leaving = [
            worker
            for worker in self.workers
            if worker.location.node in nodes and not worker.retired
        ]
        for worker in leaving:
            self.retire(worker)
        return leaving

    def retire(self, worker: Worker) -> None:
        """A worker takes no more calls."""
        worker.retired = True
        self._note_state(worker)

    def retire_surplus(self, count: int, *, first: Collection[str] = ()) -> list[Worker]:
        """Retire so many workers, those that are not up first, then those on the nodes that others
        wait for, then those with the fewest calls in flight: they end what they have."""
        serving = [worker for worker in self.workers if not worker.retired]
        serving.sort(key=lambda one: (one.up, one.node not in first, one.in_flight, one.number))
        for worker in serving[:count]:
            self.retire(worker)
        return serving[:count]

    def _end_life(self, worker: Worker, life: int, kind: Kind) -> Kind:
        """Note that a worker's process ended; the kind of failure that this is to the call."""
        if kind not in (Kind.LOST, Kind.OOM_KILLED, Kind.TIMEOUT):
            return kind
        if life in worker.ended:
            kind = Kind.EVICTED
        elif worker.life > life and kind is Kind.TIMEOUT:
            kind = Kind.LOST
        if worker.life == life:
            worker.life, worker.up, worker.lost = life + 1, False, []
            worker.down_since = self._clock()
            self._note_state(worker)
            if kind is Kind.TIMEOUT:
                worker.ended.add(life)
        return kind

    def _relieve_memory(
        self, call: Call, worker: Worker, place: Place, kind: Kind, *, alone: bool
    ) -> Retry | None:
        """Give something up and tell people; None if nothing is left to give up."""
        # A worker that reports it has cut its work as small as it can; a killed one could not.
        smaller = kind is Kind.OOM_KILLED and call.shrink(self.payload(call)) is not None
        here = [other for other in self.active_workers() if other.location.node == place.node]
        avoided = {other.node for other in call.history.avoided} | {place.node}
        after = max(
            self._relieved_at.get(place.node, -1.0), self._relieved_at.get(call.memory_class, -1.0)
        )
        relief = choose_relief(
            stale=call.started_at <= after,
            smaller=smaller,
            workers=len({worker.number, *(other.number for other in here)}),
            elsewhere=bool(self.nodes() - avoided),
            alone=alone,
        )
        host = self._label(place.node)
        match relief:
            case Relief.NONE:
                return None
            case Relief.SMALLER:
                self._shrinks[call.memory_class] = self._shrinks.get(call.memory_class, 0) + 1
                self._relieved_at[call.memory_class] = self._clock()
                self._tell(
                    f"{call.memory_class}: out of memory on {host}; going on in smaller batches"
                )
            case Relief.FEWER:
                self.retire(worker)
                self._relieved_at[place.node] = self._clock()
                left = len([other for other in here if other is not worker])
                self._tell(
                    f"{call.memory_class}: out of memory on {host}; going on with {left} worker(s)"
                )
            case Relief.ELSEWHERE:
                call.history = call.history.away_from(place)
            case Relief.ALONE:
                call.history = replace(call.history, alone=True)
                self._tell(
                    f"{call.memory_class}: out of memory on {host}; going on one call at a time"
                )
        return Retry(delay_s=BACKOFF.wait_s(1, chance=self._chance()))

    def _retry_message(
        self, call: Call, kind: Kind, place: Place, error: DougaError, retry: Retry
    ) -> str:
        """The line that tells people of a retry."""
        count = f"{call.history.count(kind)} of {limit_of(kind)}"
        when = f" in {retry.delay_s:.1f} s" if retry.delay_s else ""
        what = error.what if kind in (Kind.FAULT, Kind.TRANSIENT) else kind.value
        return f"{call.group}: {what} on {self._label(place.node)} ({count}); trying again{when}"
