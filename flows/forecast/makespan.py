"""How long a farm takes for a plan, from what every work item takes: a simulation. Pure.

As the farm does it: a few shots at once, a shot's runs one after the other, its segment last; each
worker has some calls in flight, of which one computes while others load and store; who takes what
is decided by the pools' own `cluster.pool.dispatch`. Nothing fails here: what retries cost is in
the times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any

from cluster.pool.actor import ActorLocation
from cluster.pool.calls import Assignment, Call, Worker
from cluster.pool.dispatch import Dispatcher
from cluster.pool.failures import History
from flows.forecast.durations import Timing

CPU, GPU = "cpu", "gpu"
NOBODY_WAITS: Future[Any] = Future()
NO_FAILURE = History()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Work items of a shot that may be made side by side, on the pool `pool`. Only one `locked`
    item at a time computes in a worker; the others (encoders) do not wait."""

    pool: str
    group: str
    locked: bool
    items: tuple[int, ...]
    """Which of the durations are theirs."""


ShotSteps = tuple[Step, ...]
"""A shot: each step begins when the one before has ended."""


def makespan_s(
    shots: Sequence[ShotSteps],
    took: Sequence[Timing],
    *,
    workers: Mapping[str, int],
    at_once: int,
) -> float:
    """Seconds from the first call handed out to the last one ended. `workers` are those of each
    pool, one at least of every pool that a step names."""
    return _Farm(shots, took, workers, at_once).run()


class _Farm:
    """A simulated farm: the pools' own decisions, and events in order of time."""

    def __init__(
        self,
        shots: Sequence[ShotSteps],
        took: Sequence[Timing],
        workers: Mapping[str, int],
        at_once: int,
    ) -> None:
        self._shots = shots
        self._took = took
        self._next_shot = 0
        self._at_once = at_once
        self._left: dict[int, int] = {}
        self._seconds_left: dict[int, float] = {}
        self._step: dict[int, int] = {}
        self._events: list[tuple[float, int, bool, Dispatcher, Assignment]] = []
        self._order = count()
        self._now = 0.0
        self._computing_until: dict[Worker, float] = defaultdict(float)
        self._pools = {name: self._pool(count) for name, count in workers.items()}

    def _pool(self, workers: int) -> Dispatcher:
        pool = Dispatcher(clock=lambda: self._now, chance=lambda: 0.0, tell=lambda _: None)
        here = ActorLocation(node="", host="", pid=0)
        for number in range(workers):
            pool.workers.append(Worker(number=number))
            pool.worker_started(pool.workers[-1], here, node_lives=True)
        return pool

    def run(self) -> float:
        for _ in range(self._at_once):
            self._begin_shot()
        while self._events:
            self._now, _, loaded, pool, at = heappop(self._events)
            if loaded:
                self._compute(pool, at)
            else:
                self._end(pool, at)
        return self._now

    def _begin_shot(self) -> None:
        if self._next_shot < len(self._shots):
            shot = self._next_shot
            self._next_shot += 1
            self._step[shot] = -1
            items = (item for step in self._shots[shot] for item in step.items)
            self._seconds_left[shot] = sum(self._took[item].seconds for item in items)
            self._hand_out_next_step(shot)

    def _hand_out_next_step(self, shot: int) -> None:
        """Hand out the shot's next step; after the last one, the next shot begins."""
        steps = self._shots[shot]
        at = self._step[shot] = self._step[shot] + 1
        if at == len(steps):
            self._begin_shot()
            return
        step = steps[at]
        self._left[shot] = len(step.items)
        pool = self._pools[step.pool]
        for item in step.items:
            rank = self._seconds_left[shot]
            call = Call(
                method="",
                payload=(shot, step, item),
                group=step.group,
                rank=rank,
                future=NOBODY_WAITS,
                history=NO_FAILURE,
            )
            self._seconds_left[shot] -= self._took[item].seconds
            pool.waiting.add(call)
            self._load(pool)

    def _load(self, pool: Dispatcher) -> None:
        """Begin the calls that the pool hands to its workers."""
        for at in pool.assign():
            loaded_at = self._now + self._took[at.call.payload[2]].load_s
            heappush(self._events, (loaded_at, next(self._order), True, pool, at))

    def _compute(self, pool: Dispatcher, at: Assignment) -> None:
        _, step, item = at.call.payload
        took = self._took[item]
        ended = self._now + took.compute_s
        if step.locked:
            free_at = max(self._now, self._computing_until[at.worker])
            ended = self._computing_until[at.worker] = free_at + took.compute_s
        ends_at = ended + took.store_s
        heappush(self._events, (ends_at, next(self._order), False, pool, at))

    def _end(self, pool: Dispatcher, at: Assignment) -> None:
        shot = at.call.payload[0]
        pool.release(at.worker, at.call)
        self._left[shot] -= 1
        if not self._left[shot]:
            self._hand_out_next_step(shot)
        self._load(pool)
