"""Kinds of failure, and what follows from each. Pure; tested without a cluster.

    TRANSIENT   the error is marked retryable        retry with back-off, `TRANSIENTS` times
    LOST        its process died                     retry elsewhere and alone, `LOSSES` times
    NODE        its node died                        the same, and the call is not to blame
    TIMEOUT     it took too long                     retry once, elsewhere and alone
    EVICTED     its process was ended for another    retry alone; the call is not to blame
    FAULT       a bug or a bad frame                 retry once elsewhere, to confirm
    MEMORY      a worker ran out of memory           `choose_relief`
    OOM_KILLED  its process was killed for memory    `choose_relief`

A host is blamed for calls that failed on it and succeeded afterwards, never for calls that fail
everywhere. No retry here costs a shot any of its own attempts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from cluster.errors import DougaError, OutOfMemory
from cluster.retry import Backoff

TRANSIENTS = 6
"""Transient failures of a call at most; with the delays between them, 30 to 60 s in all."""
LOSSES = 3
"""A call that has killed this many workers is bad."""
TIMEOUTS = 2
"""Once may be the machine's fault, twice is the call's."""
FAULTS = 2
"""The first, and one elsewhere that confirms it."""
EVICTIONS = 12
"""Only a call beside others that keep killing its worker comes near."""
TRIES = 30
"""Failures of all kinds together after which a call is given up."""
BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
BLAMES = 3
"""A host is quarantined after failures of this many owners' calls."""


class Kind(Enum):
    """A kind of failure; its value is the text that people read."""

    TRANSIENT = "a failure that may pass"
    LOST = "a lost worker"
    NODE = "a lost node"
    TIMEOUT = "a call that took too long"
    EVICTED = "a worker ended for another call"
    FAULT = "an error"
    MEMORY = "too little memory"
    OOM_KILLED = "a worker killed because memory ran out"


def failure_kind(error: DougaError) -> Kind:
    """The kind of failure of an error that a worker raised."""
    if isinstance(error, OutOfMemory):
        return Kind.MEMORY
    return Kind.TRANSIENT if error.retryable else Kind.FAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call ran: a worker's number, its node's id, and which life of that worker. `own`:
    the failure was this call's alone, not shared by all calls in flight there."""

    worker: int
    node: str
    life: int = 0
    own: bool = False

    def is_at(self, other: Place) -> bool:
        """Whether both name the same life of the same worker."""
        return (self.worker, self.node, self.life) == (other.worker, other.node, other.life)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A call's failures so far. `avoided` are places not to retry at if there are others, `blamed`
    those that are to blame if the call succeeds elsewhere or later."""

    counts: Mapping[Kind, int] = field(default_factory=dict)
    avoided: tuple[Place, ...] = ()
    blamed: tuple[Place, ...] = ()
    alone: bool = False

    @property
    def tries(self) -> int:
        """Number of failed tries."""
        return sum(self.counts.values())

    def count(self, kind: Kind) -> int:
        """How many of them failed in this way."""
        return self.counts.get(kind, 0)

    def after(self, kind: Kind, place: Place) -> History:
        """The history with one more failure."""
        blames_worker = kind in (Kind.LOST, Kind.TIMEOUT, Kind.FAULT)
        # A dead process cannot be avoided, unless the call ran alone in it.
        avoids = blames_worker and (kind is not Kind.LOST or self.alone)
        return replace(
            self,
            counts={**self.counts, kind: self.count(kind) + 1},
            avoided=(*self.avoided, place) if avoids else self.avoided,
            blamed=(*self.blamed, replace(place, own=avoids)) if blames_worker else self.blamed,
            alone=self.alone or kind in (Kind.LOST, Kind.TIMEOUT, Kind.EVICTED, Kind.OOM_KILLED),
        )

    def away_from(self, place: Place) -> History:
        """The history of a call that moves elsewhere without blame."""
        return replace(self, avoided=(*self.avoided, place), alone=True)

    def reclassified(self, kind: Kind, place: Place) -> History:
        """The history once a loss at `place` turns out to be OOM_KILLED or NODE."""
        counts = {**self.counts, Kind.LOST: self.count(Kind.LOST) - 1}
        return replace(
            self,
            counts={**counts, kind: self.count(kind) + 1},
            avoided=tuple(other for other in self.avoided if not other.is_at(place)),
            blamed=tuple(other for other in self.blamed if not other.is_at(place)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Retry after a delay."""

    delay_s: float = 0.0


def plan_retry(history: History, kind: Kind, *, chance: float) -> Retry | None:
    """What to do after a failure that `history` already counts; `chance` in [0, 1) is the jitter.

    None: give the call up. For all kinds but MEMORY and OOM_KILLED: see `choose_relief`.
    """
    count = history.count(kind)
    if count >= limit_of(kind):
        return None
    if kind in (Kind.FAULT, Kind.EVICTED, Kind.TIMEOUT):
        return Retry()
    return Retry(delay_s=BACKOFF.wait_s(count, chance=chance))


def limit_of(kind: Kind) -> int:
    """How many failures of this kind end a call."""
    return {
        Kind.TRANSIENT: TRANSIENTS,
        Kind.LOST: LOSSES,
        Kind.TIMEOUT: TIMEOUTS,
        Kind.FAULT: FAULTS,
        Kind.EVICTED: EVICTIONS,
    }.get(kind, TRIES)


class Relief(Enum):
    """What the pool gives up when memory runs out, in this order."""

    AGAIN = "again"
    SMALLER = "a smaller batch"
    FEWER = "fewer workers"
    ELSEWHERE = "another node"
    ALONE = "alone"
    NONE = "nothing is left to give up"


def choose_relief(
    *, stale: bool, smaller: bool, workers: int, elsewhere: bool, alone: bool
) -> Relief:
    """What to do when a call ran out of memory.

    `stale`: the call started before the last relief on its node, so it says nothing about that
    relief; `smaller`: smaller batches are possible; `workers`: how many are active on its node;
    `elsewhere`: there is a node on which it has not run out of memory; `alone`: it ran alone.
    """
    if stale:
        return Relief.AGAIN
    if smaller:
        return Relief.SMALLER
    if workers > 1:
        return Relief.FEWER
    if elsewhere:
        return Relief.ELSEWHERE
    return Relief.NONE if alone else Relief.ALONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """A call of `owner` failed at `place` and succeeded afterwards."""

    owner: str
    place: Place


def should_quarantine(node: str, blames: Iterable[Blame]) -> bool:
    """Whether to quarantine a node: after `BLAMES` failures of as many owners' calls. All calls in
    flight in a process die with it; together they count as one failure."""
    here = [blame for blame in blames if blame.place.node == node]
    own = {blame.owner for blame in here if blame.place.own}
    beside = [blame for blame in here if blame.owner not in own]
    owners = {blame.owner for blame in beside}
    lives = {(blame.place.worker, blame.place.life) for blame in beside}
    return len(own) + min(len(owners), len(lives)) >= BLAMES


def is_last_node(node: str, pools: Iterable[Collection[str]], quarantined: Collection[str]) -> bool:
    """Whether some pool would have no node left without this one; each pool is given by the nodes
    that it works on."""
    return any(node in pool and not set(pool) - {node, *quarantined} for pool in pools)
