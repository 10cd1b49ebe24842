"""Which waiting call a free worker takes next. Pure rules, so that they are tested without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.pool.failures import History


class Entry(Protocol):
    """A waiting call: what shares warm state with it, when it may begin, what became of it."""

    group: str
    ready_at: float
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A worker at work: its number, its node, how many calls it has, and whether one of them is to
    be alone with it."""

    number: int
    node: str
    in_flight: int = 0
    alone: bool = False


def choose_next(groups: Sequence[str], *, last: str | None, busy: frozenset[str]) -> int:
    """Index of the waiting item (given by their groups, oldest first) for a worker.

    A group is what shares warm state, such as one shot's decoder position. First choice: the
    group the worker had last; second: a group that no worker is on; else the oldest item.
    ValueError if nothing waits.
    """
    if not groups:
        raise ValueError("nothing waits")
    if last is not None and last in groups:
        return groups.index(last)
    return next((i for i, group in enumerate(groups) if group not in busy), 0)


def choose_call(
    waiting: Sequence[Entry],
    taker: Taker,
    *,
    others: Sequence[Taker],
    now: float,
    last: str | None,
    busy: frozenset[str],
) -> int | None:
    """Index of the call that a worker takes now, None if it is to wait.

    Calls that failed come first, but away from where they failed if any other worker can take
    them, and a call that may have taken a worker down has the next one to itself: so that it is
    known which of several was to blame. The rest go by `choose_next`.
    """
    if taker.alone:
        return None
    open_to = [
        at
        for at, entry in enumerate(waiting)
        if entry.ready_at <= now and suits(entry.history, taker, others)
    ]
    again = next((at for at in open_to if waiting[at].history.tries), None)
    if again is not None:
        return None if waiting[again].history.alone and taker.in_flight else again
    if not open_to:
        return None
    return open_to[choose_next([waiting[at].group for at in open_to], last=last, busy=busy)]


def suits(history: History, taker: Taker, others: Sequence[Taker]) -> bool:
    """Whether a worker is far enough from where a call failed: on another node if there is one, or
    else another worker if there is one. `others` are those at work besides."""
    if not history.shunned:
        return True
    nodes = {place.node for place in history.shunned}
    if any(other.node not in nodes for other in (taker, *others)):
        return taker.node not in nodes
    workers = {place.worker for place in history.shunned}
    if any(other.number not in workers for other in (taker, *others)):
        return taker.number not in workers
    return True


def next_change(waiting: Sequence[Entry], *, now: float) -> float | None:
    """Seconds until a call that waits for its time may begin; None if none does."""
    later = [entry.ready_at - now for entry in waiting if entry.ready_at > now]
    return min(later, default=None)
