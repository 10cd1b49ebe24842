"""Calls, and the workers that make them, as the pool sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from cluster.errors import Attempt, ClusterError, DougaError, OutOfMemory
from cluster.pool.actor import ActorLocation
from cluster.pool.failures import History, Kind, Place
from cluster.pool.spec import CallFailed


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """A call that waits or is in flight. `shrink` gives a payload of smaller batches, None if there
    is none; calls of one `memory_class` need about the same memory. A host that fails calls of
    different owners is blamed for them. Of several groups, the one of the highest `rank` begins."""

    method: str
    payload: Any
    group: str = ""
    owner: str = ""
    memory_class: str = ""
    rank: float = 0.0
    shrink: Callable[[Any], Any | None] = lambda _: None
    finish: Callable[[Any, int], Any] = lambda result, _: result
    future: Future[Any] = field(default_factory=Future)
    history: History = field(default_factory=History)
    attempts: tuple[Attempt, ...] = ()
    started_at: float = 0.0
    ready_at: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class Worker:
    """An actor as the pool sees it. `life` counts its processes: Ray restarts a dead actor in a new
    one. `ended` holds the lives that the pool ended itself, `lost` the calls that died with the
    last life, `down_since` when it ended. One that is `gone` did not come back. `last` is the group
    of the call taken last."""

    number: int
    actor: Any = None
    location: ActorLocation = field(default_factory=lambda: ActorLocation(node="", host="", pid=0))
    up: bool = False
    retired: bool = False
    gone: bool = False
    life: int = 0
    down_since: float = 0.0
    last: str | None = None
    ended: set[int] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    lost: list[Call] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether it is up and takes calls."""
        return self.up and not self.retired

    @property
    def node(self) -> str:
        """The node that it is on."""
        return self.location.node

    @property
    def in_flight(self) -> int:
        """How many calls it has in flight."""
        return len(self.calls)

    @property
    def alone(self) -> bool:
        """Whether one of them must run alone."""
        return any(call.history.alone for call in self.calls)

    @property
    def place(self) -> Place:
        """Where a call of its present life runs."""
        return Place(worker=self.number, node=self.location.node, life=self.life)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A call that a worker takes, in which of the worker's lives."""

    worker: Worker
    call: Call
    life: int


def error_of(call: Call, failed: CallFailed) -> DougaError:
    """The error of a call that came to no answer, should it be the last one."""
    if failed.error is not None:
        return failed.error
    why, remedy = failed.why, ""
    match failed.kind:
        case Kind.OOM_KILLED:
            return OutOfMemory(
                f"the worker was killed because memory ran out ({why})",
                where=call.group,
                remedy="use fewer --workers or a smaller --chunk, or give the machine more memory",
            )
        case Kind.LOST:
            losses = call.history.count(Kind.LOST) + 1
            why = f"the worker was lost {losses} time(s) on the same work ({why})"
            remedy = "is there enough memory? try fewer --workers or a smaller --chunk"
        case Kind.TIMEOUT:
            remedy = "raise DOUGA_CHUNK_TIMEOUT_S, or use a smaller --chunk"
    retryable = failed.kind is Kind.TRANSIENT
    return ClusterError(why, where=call.group, remedy=remedy, retryable=retryable)


def give_up(calls: Iterable[Call], why: str) -> None:
    """Cancel calls that wait; those that were tried already end with a ClusterError."""
    for call in calls:
        if call.future.cancel():
            call.future.set_running_or_notify_cancel()  # wakes whoever waits for it
        else:
            call.future.set_exception(ClusterError(why, where=call.group))
