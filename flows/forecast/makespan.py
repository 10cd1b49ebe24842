"""How long a farm takes for a plan, from what every work item takes: a simulation. Pure.

As the farm does it: a few shots at once, a shot's runs one after the other, its segment last; each
worker has some calls in flight, of which one computes while others load and store; who is free
takes what `cluster.pool.queue` says. Nothing fails here: what retries cost is in the times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from cluster.pool.pool import IN_FLIGHT
from cluster.pool.queue import choose_next
from flows.forecast.durations import Timing

CPU, GPU = "cpu", "gpu"


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


@dataclass(slots=True)
class _Worker:
    """A worker at work: when its compute lock is free, and the groups of its calls in flight."""

    number: int
    free_at: float = 0.0
    groups: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Pool:
    """Workers, their threads that wait for a call in the order they began to, waiting calls."""

    workers: list[_Worker]
    idle: deque[tuple[_Worker, str | None]] = field(default_factory=deque)
    waiting: list[_Call] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    shot: int
    step: Step
    item: int


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
    """A simulated farm: events in order of time."""

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
        self._step: dict[int, int] = {}
        self._events: list[tuple[float, int, bool, _Pool, _Worker, _Call]] = []
        self._order = count()
        self._now = 0.0
        self._pools = {name: _Pool([_Worker(at) for at in range(n)]) for name, n in workers.items()}
        for pool in self._pools.values():
            # Which thread is first is chance on a farm; here workers take turns.
            pool.idle.extend((worker, None) for _ in range(IN_FLIGHT) for worker in pool.workers)

    def run(self) -> float:
        for _ in range(self._at_once):
            self._begin_shot()
        while self._events:
            self._now, _, loaded, pool, worker, call = heappop(self._events)
            if loaded:
                self._compute(pool, worker, call)
            else:
                self._end(pool, worker, call)
        return self._now

    def _begin_shot(self) -> None:
        if self._next_shot < len(self._shots):
            shot = self._next_shot
            self._next_shot += 1
            self._step[shot] = -1
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
            pool.waiting.append(_Call(shot, step, item))
            if pool.idle:
                self._take(pool, *pool.idle.popleft())

    def _take(self, pool: _Pool, worker: _Worker, last: str | None) -> None:
        """A worker's free thread begins a call, or waits."""
        if not pool.waiting:
            pool.idle.append((worker, last))
            return
        if len(pool.waiting) == 1:
            at = 0
        else:
            at = choose_next(
                [call.step.group for call in pool.waiting],
                last=worker.groups[-1] if worker.groups else last,
                busy=frozenset(
                    group for other in pool.workers if other is not worker for group in other.groups
                ),
            )
        call = pool.waiting.pop(at)
        worker.groups.append(call.step.group)
        loaded_at = self._now + self._took[call.item].load_s
        heappush(self._events, (loaded_at, next(self._order), True, pool, worker, call))

    def _compute(self, pool: _Pool, worker: _Worker, call: _Call) -> None:
        took = self._took[call.item]
        ended = self._now + took.compute_s
        if call.step.locked:
            ended = worker.free_at = max(self._now, worker.free_at) + took.compute_s
        ends_at = ended + took.store_s
        heappush(self._events, (ends_at, next(self._order), False, pool, worker, call))

    def _end(self, pool: _Pool, worker: _Worker, call: _Call) -> None:
        worker.groups.remove(call.step.group)
        self._left[call.shot] -= 1
        self._take(pool, worker, call.step.group)
        if not self._left[call.shot]:
            self._hand_out_next_step(call.shot)
