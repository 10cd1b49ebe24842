"""The workers of a pool and the calls that wait for them: who does what, and what follows from it.

State in, decisions out: no thread, no clock of its own, no Ray, so that every failure can be played
through in a test. The pool holds a lock around each call of a method and does what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.errors import Attempt, DougaError
from cluster.pool.actor import Whereabouts
from cluster.pool.failures import (
    TRIES,
    Again,
    History,
    Kind,
    Place,
    Relief,
    backoff_s,
    bound_of,
    decide,
    relieve,
)
from cluster.pool.queue import Taker, choose_call, next_change

PATIENCE_S = 30.0
"""So long a call that is to be tried elsewhere waits for a worker that is being restarted."""


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """A call that waits or is in flight. `lighter` cuts its payload in smaller batches, None when
    it is as small as it gets; calls of one `sort` need about the same memory. Failures of
    different owners speak against a host."""

    method: str
    payload: Any
    group: str = ""
    owner: str = ""
    sort: str = ""
    lighter: Callable[[Any], Any | None] = lambda _: None
    finish: Callable[[Any, int], Any] = lambda result, _: result
    future: Future[Any] = field(default_factory=Future)
    history: History = field(default_factory=History)
    attempts: tuple[Attempt, ...] = ()
    began: float = 0.0
    ready_at: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class Worker:
    """An actor as the pool sees it. A life ends when its process does; `ended` are those that we
    ended ourselves, `lost` the calls that went down with the last one, `fell` when it did."""

    number: int
    actor: Any = None
    where: Whereabouts = field(default_factory=lambda: Whereabouts(node="", host="", pid=0))
    up: bool = False
    retired: bool = False
    life: int = 0
    fell: float = 0.0
    ended: set[int] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    lost: list[Call] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where a call of its present life is."""
        return Place(worker=self.number, node=self.where.node, life=self.life)


class Crew:
    """What is waiting, who works on what, and what was given up for want of memory."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        tell: Callable[[str], None],
        label: Callable[[str], str] = lambda node: node,
    ) -> None:
        self.workers: list[Worker] = []
        self.waiting: list[Call] = []
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._label = label
        self._lightened: dict[str, int] = {}
        self._eased: dict[str, float] = {}

    # -- the ordinary way ------------------------------------------------------------------

    def take(self, worker: Worker, *, last: str | None) -> Call | None:
        """The call that a worker begins now; None if it is to wait."""
        if not worker.up or worker.retired:
            return None
        last = worker.calls[-1].group if worker.calls else last
        others = [other for other in self.workers if other is not worker and self._expected(other)]
        at = choose_call(
            self.waiting,
            _taker(worker),
            others=[_taker(other) for other in others],
            now=self._clock(),
            last=last,
            busy=frozenset(call.group for other in others for call in other.calls),
        )
        if at is None:
            return None
        call = self.waiting.pop(at)
        call.began = self._clock()
        worker.calls.append(call)
        return call

    def wait_s(self) -> float | None:
        """Seconds until a waiting call may begin that may not yet; None if none waits for time."""
        now = self._clock()
        waits = [next_change(self.waiting, now=now)]
        waits += [
            other.fell + PATIENCE_S - now
            for other in self.workers
            if not other.up and self._expected(other)
        ]
        return min((wait for wait in waits if wait is not None), default=None)

    def payload(self, call: Call) -> Any:
        """What to send: the call's payload, in the batches that have proven to fit."""
        payload = call.payload
        for _ in range(self._lightened.get(call.sort, 0)):
            payload = call.lighter(payload) or payload
        return payload

    def at_work(self) -> list[Worker]:
        """The workers that are there and take calls."""
        return [worker for worker in self.workers if worker.up and not worker.retired]

    def _expected(self, worker: Worker) -> bool:
        """Whether a worker is at work or likely to be again soon."""
        back_soon = worker.fell > 0 and self._clock() < worker.fell + PATIENCE_S
        return not worker.retired and (worker.up or back_soon)

    def nodes(self) -> set[str]:
        """The nodes that they are on."""
        return {worker.where.node for worker in self.at_work()}

    # -- failures --------------------------------------------------------------------------

    def failed(
        self, call: Call, worker: Worker, *, life: int, kind: Kind, error: DougaError
    ) -> DougaError | None:
        """What a call in flight ends with; None if it waits to be tried again.

        `life` is that of the worker when the call began.
        """
        place = replace(worker.place, life=life)
        kind = self._end_of_life(worker, life, kind)
        told = Attempt(worker=str(worker.where.pid), node=worker.where.host, error=str(error))
        call.attempts += error.attempts or (told,)
        alone = call.history.alone
        call.history = call.history.after(kind, place)
        if kind is Kind.LOST:
            worker.lost.append(call)
        if kind in (Kind.MEMORY, Kind.STARVED):
            again = self._relieve(call, worker, place, kind, alone=alone)
        else:
            again = decide(call.history, kind, chance=self._chance())
        if not isinstance(again, Again) or call.history.tries >= TRIES:
            error.attempts = call.attempts
            return error
        if kind is not Kind.MOVED:
            self._tell(self._retry(call, kind, place, error, again))
        call.ready_at = self._clock() + again.delay_s
        self.waiting.insert(0, call)
        return None

    def arrived(self, worker: Worker, where: Whereabouts, *, node_lives: bool) -> None:
        """A worker is there, or there again; `node_lives`: the node that it was on before."""
        before, worker.where, worker.up = worker.where, where, True
        lost, worker.lost = worker.lost, []
        starved = where.host == before.host and where.oom_kills > before.oom_kills
        if not lost or not (starved or not node_lives):
            return
        place = Place(worker=worker.number, node=before.node, life=worker.life - 1)
        for call in lost:
            call.history = call.history.rather(Kind.STARVED if starved else Kind.NODE, place)
        if starved:
            self._relieve(lost[0], worker, place, Kind.STARVED, alone=False)

    def late(self, worker: Worker) -> None:
        """A worker has not come with the others; it is waited for like one that is restarted."""
        worker.fell = self._clock()

    def left(self, node: str) -> list[Worker]:
        """Take the workers of a node from their work; those whose process is to be ended."""
        leaving = [
            worker for worker in self.workers if worker.where.node == node and not worker.retired
        ]
        for worker in leaving:
            worker.retired = True
            worker.ended.add(worker.life)
        return leaving

    def _end_of_life(self, worker: Worker, life: int, kind: Kind) -> Kind:
        """Note that a worker's process is no more, and what that is to this call."""
        if kind not in (Kind.LOST, Kind.STARVED, Kind.TIMEOUT):
            return kind
        if life in worker.ended:
            kind = Kind.MOVED
        elif worker.life > life and kind is Kind.TIMEOUT:
            kind = Kind.LOST
        if worker.life == life:
            worker.life, worker.up, worker.lost = life + 1, False, []
            worker.fell = self._clock()
            if kind is Kind.TIMEOUT:
                worker.ended.add(life)
        return kind

    def _relieve(
        self, call: Call, worker: Worker, place: Place, kind: Kind, *, alone: bool
    ) -> Again | None:
        """Give something up, and say so; None if nothing is left."""
        # A worker that says so itself has cut its work as small as it gets; one that was killed
        # had no time to.
        smaller = kind is Kind.STARVED and call.lighter(self.payload(call)) is not None
        here = [other for other in self.at_work() if other.where.node == place.node]
        shunned = {other.node for other in call.history.shunned} | {place.node}
        after = max(self._eased.get(place.node, -1.0), self._eased.get(call.sort, -1.0))
        relief = relieve(
            stale=call.began <= after,
            smaller=smaller,
            workers=len({worker.number, *(other.number for other in here)}),
            elsewhere=bool(self.nodes() - shunned),
            alone=alone,
        )
        host = self._label(place.node)
        match relief:
            case Relief.NONE:
                return None
            case Relief.SMALLER:
                self._lightened[call.sort] = self._lightened.get(call.sort, 0) + 1
                self._eased[call.sort] = self._clock()
                self._tell(f"{call.sort}: out of memory on {host}; going on in smaller batches")
            case Relief.FEWER:
                worker.retired = True
                self._eased[place.node] = self._clock()
                left = len([other for other in here if other is not worker])
                self._tell(f"{call.sort}: out of memory on {host}; going on with {left} worker(s)")
            case Relief.ELSEWHERE:
                call.history = call.history.away_from(place)
            case Relief.ALONE:
                call.history = replace(call.history, alone=True)
                self._tell(f"{call.sort}: out of memory on {host}; going on one call at a time")
        return Again(delay_s=backoff_s(1, chance=self._chance()))

    def _retry(self, call: Call, kind: Kind, place: Place, error: DougaError, again: Again) -> str:
        """What people are told of a retry."""
        count = f"{call.history.count(kind)} of {bound_of(kind)}"
        when = f" in {again.delay_s:.1f} s" if again.delay_s else ""
        what = error.what if kind in (Kind.FAULT, Kind.TRANSIENT) else kind.value
        return f"{call.group}: {what} on {self._label(place.node)} ({count}); trying again{when}"


def _taker(worker: Worker) -> Taker:
    return Taker(
        number=worker.number,
        node=worker.where.node,
        in_flight=len(worker.calls),
        alone=any(call.history.alone for call in worker.calls),
    )
