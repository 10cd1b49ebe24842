"""Chooses the waiting call that a free worker takes next. Pure; tested without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.pool.failures import History


class Entry(Protocol):
    """A waiting call: its group, when it may start, and its failures so far."""

    group: str
    ready_at: float
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSlot:
    """A worker that can take calls: its number, its node, how many calls it has in flight, and
    whether one of them must run alone."""

    number: int
    node: str
    in_flight: int = 0
    alone: bool = False


def choose_next(groups: Sequence[str], *, last: str | None, busy: frozenset[str]) -> int:
    """Index of the waiting item (given by their groups, oldest first) for a worker.

    Calls of a group share warm state, such as one shot's decoder position. First choice: the
    worker's last group; second: a group that no worker is on; else the oldest item. ValueError if
    nothing waits.
    """
    if not groups:
        raise ValueError("nothing waits")
    if last is not None and last in groups:
        return groups.index(last)
    return next((i for i, group in enumerate(groups) if group not in busy), 0)


def choose_call(
    waiting: Sequence[Entry],
    slot: WorkerSlot,
    *,
    others: Sequence[WorkerSlot],
    now: float,
    last: str | None,
    busy: frozenset[str],
) -> int | None:
    """Index of the call that a worker takes now, None if it waits.

    Retries come first, but away from where they failed if another worker can take them. A call
    that may have killed a worker runs alone, so that its next failure shows whether it is to blame.
    `choose_next` orders the rest.
    """
    if slot.alone:
        return None
    open_to = [
        at
        for at, entry in enumerate(waiting)
        if entry.ready_at <= now and may_take(entry.history, slot, others)
    ]
    again = next((at for at in open_to if waiting[at].history.tries), None)
    if again is not None:
        return None if waiting[again].history.alone and slot.in_flight else again
    if not open_to:
        return None
    return open_to[choose_next([waiting[at].group for at in open_to], last=last, busy=busy)]


def may_take(history: History, slot: WorkerSlot, others: Sequence[WorkerSlot]) -> bool:
    """Whether a worker is far enough from where a call failed: on another node if there is one,
    else another worker if there is one. `others` are the other workers."""
    if not history.avoided:
        return True
    nodes = {place.node for place in history.avoided}
    if any(other.node not in nodes for other in (slot, *others)):
        return slot.node not in nodes
    workers = {place.worker for place in history.avoided}
    if any(other.number not in workers for other in (slot, *others)):
        return slot.number not in workers
    return True


def next_start_s(waiting: Sequence[Entry], *, now: float) -> float | None:
    """Seconds until the next delayed call may start; None if no call is delayed."""
    later = [entry.ready_at - now for entry in waiting if entry.ready_at > now]
    return min(later, default=None)
