"""The calls that wait, and which of them a free worker takes next. Pure; tested without Ray.

No decision grows with the number of waiting calls: groups are kept by rank, retries by the places
that they avoid.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

from cluster.pool.failures import History

T = TypeVar("T", bound=Hashable)
SLACK = 32
"""Entries of dropped items that a Sorted may hold beyond as many as it has items."""


class Entry(Hashable, Protocol):
    """A waiting call: its group, its rank in the queue, when it may start, its failures so far."""

    group: str
    rank: float
    ready_at: float
    history: History


C = TypeVar("C", bound=Entry)


class Taker(Protocol):
    """A worker that can take calls: its number, its node, how many calls it has in flight, and
    whether one of them must run alone."""

    @property
    def number(self) -> int: ...

    @property
    def node(self) -> str: ...

    @property
    def in_flight(self) -> int: ...

    @property
    def alone(self) -> bool: ...


class Sorted(Generic[T]):
    """Items by key, each once; a change costs O(log n). No two keys may be equal."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[float, ...], T]] = []
        self._keys: dict[T, tuple[float, ...]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[T]:
        return iter(self._keys)

    def __contains__(self, item: object) -> bool:
        return item in self._keys

    def put(self, item: T, *key: float) -> None:
        """Add an item, or give it another key."""
        self._keys[item] = key
        heappush(self._heap, (key, item))
        if len(self._heap) > 2 * len(self._keys) + SLACK:
            self._heap = [(key, item) for item, key in self._keys.items()]
            heapify(self._heap)

    def drop(self, item: T) -> None:
        """Remove an item, if it is there."""
        self._keys.pop(item, None)

    def first(self) -> tuple[tuple[float, ...], T] | None:
        """The lowest key and its item; None if there is none."""
        while self._heap and self._keys.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0] if self._heap else None


class Queue(Generic[C]):
    """The waiting calls, and how many of each group are in flight.

    Retries come first, but away from where they failed if another worker can take them. A call
    that may have killed a worker runs alone, so that its next failure shows whether it is to blame.
    Calls of a group share warm state, such as one shot's decoder position, and keep their order. A
    worker stays with its last group; else it takes the group of the highest rank that nobody is on;
    else it helps with the one of the highest rank. A group's rank is that of its first call.
    """

    def __init__(self) -> None:
        self._order = count()
        self._groups: dict[str, deque[tuple[int, C]]] = {}
        self._by_rank: Sorted[str] = Sorted()
        self._untouched: Sorted[str] = Sorted()
        self._in_flight: Counter[str] = Counter()
        self._later: Sorted[C] = Sorted()
        self._again: dict[frozenset[tuple[str, int]], Sorted[C]] = {}
        self.fresh = 0

    def __len__(self) -> int:
        return self.fresh + len(self._later) + sum(map(len, self._again.values()))

    def add(self, call: C, *, first: bool = False) -> None:
        """Let a call wait, a failed one until its `ready_at`; as the `first` of its group or the
        last."""
        if call.history.tries:
            self._later.put(call, call.ready_at, next(self._order))
            return
        calls = self._groups.setdefault(call.group, deque())
        number = next(self._order)
        if first:
            calls.appendleft((-number, call))
        else:
            calls.append((number, call))
        self.fresh += 1
        if first or len(calls) == 1:
            self._sort_in(call.group)

    def take(
        self,
        worker: Taker,
        *,
        others: Callable[[], Sequence[Taker]],
        now: float,
        last: str | None,
    ) -> C | None:
        """The call that a worker takes now, None if it waits. It is in flight until `end`.

        `others` gives the other workers, `last` is the group of the worker's last call.
        """
        if worker.alone:
            return None
        call = self._next_retry(worker, others, now)
        if call is not None:
            if call.history.alone and worker.in_flight:
                return None
            self.discard(call)
        else:
            group = self._next_group(last)
            if group is None:
                return None
            call = self._pop(group)
        self._in_flight[call.group] += 1
        if self._in_flight[call.group] == 1:
            self._untouched.drop(call.group)
        return call

    def end(self, call: C) -> None:
        """A call is no longer in flight."""
        self._in_flight[call.group] -= 1
        if not self._in_flight[call.group]:
            del self._in_flight[call.group]
            if call.group in self._groups:
                self._sort_in(call.group)

    def has_open(self, now: float) -> bool:
        """Whether a call waits whose time has come."""
        self._let_start(now)
        return bool(self.fresh or self._again)

    def next_start_s(self, now: float) -> float | None:
        """Seconds until the next delayed call may start; None if no call is delayed."""
        self._let_start(now)
        first = self._later.first()
        return first[0][0] - now if first else None

    def discard(self, call: C) -> bool:
        """Remove a failed call; whether it was there."""
        if call in self._later:
            self._later.drop(call)
            return True
        for avoided, calls in self._again.items():
            if call in calls:
                calls.drop(call)
                if not calls:
                    del self._again[avoided]
                return True
        return False

    def drop(self, group: str) -> list[C]:
        """Remove the calls of a group; returns them."""
        fresh = [call for _, call in self._groups.pop(group, ())]
        self.fresh -= len(fresh)
        self._by_rank.drop(group)
        self._untouched.drop(group)
        failed = [call for call in self._failed() if call.group == group]
        for call in failed:
            self.discard(call)
        return fresh + failed

    def clear(self) -> list[C]:
        """Remove all calls; returns them."""
        groups = {*self._groups, *(call.group for call in self._failed())}
        return [call for group in groups for call in self.drop(group)]

    def _failed(self) -> Iterator[C]:
        yield from self._later
        for calls in self._again.values():
            yield from calls

    def _let_start(self, now: float) -> None:
        """Sort in the failed calls whose time has come."""
        while self._later and (first := self._later.first()) and first[0][0] <= now:
            call = first[1]
            self._later.drop(call)
            avoided = frozenset((place.node, place.worker) for place in call.history.avoided)
            self._again.setdefault(avoided, Sorted()).put(call, next(self._order))

    def _next_retry(
        self, worker: Taker, others: Callable[[], Sequence[Taker]], now: float
    ) -> C | None:
        self._let_start(now)
        if not self._again:
            return None
        firsts = [entry for calls in self._again.values() if (entry := calls.first())]
        there: list[Taker] = []
        for _, call in sorted(firsts, key=lambda entry: entry[0]):
            if call.history.avoided and not there:
                there = [worker, *others()]
                nodes = {each.node for each in there}
                workers = {each.number for each in there}
            if not there or may_take(call.history, worker, nodes=nodes, workers=workers):
                return call
        return None

    def _next_group(self, last: str | None) -> str | None:
        if last in self._groups:
            return last
        first = self._untouched.first() or self._by_rank.first()
        return first[1] if first else None

    def _pop(self, group: str) -> C:
        calls = self._groups[group]
        _, call = calls.popleft()
        self.fresh -= 1
        if calls:
            self._sort_in(group)
        else:
            del self._groups[group]
            self._by_rank.drop(group)
            self._untouched.drop(group)
        return call

    def _sort_in(self, group: str) -> None:
        """Give a group with waiting calls its place, by its first call."""
        number, call = self._groups[group][0]
        self._by_rank.put(group, -call.rank, number)
        if not self._in_flight[group]:
            self._untouched.put(group, -call.rank, number)


def may_take(
    history: History, worker: Taker, *, nodes: AbstractSet[str], workers: AbstractSet[int]
) -> bool:
    """Whether a worker is far enough from where a call failed: on another node if there is one,
    else another worker if there is one. `nodes` and `workers` are all that there are."""
    avoided = {place.node for place in history.avoided}
    if not nodes <= avoided:
        return worker.node not in avoided
    failed = {place.worker for place in history.avoided}
    return workers <= failed or worker.number not in failed
