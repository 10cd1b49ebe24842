"""What kind of failure it was, and what is done about it. Pure: tested without a cluster.

    TRANSIENT  an error that says that it may pass   again, later and later, `TRANSIENTS` times
    LOST       its process went away                 again elsewhere and alone, `LOSSES` times
    NODE       its node went away                    the same, and it is not to blame
    TIMEOUT    it took longer than it may            once more, elsewhere and alone
    MOVED      its process was ended for another     again, alone; it is not to blame
    FAULT      a bug or a bad frame                  one confirming try elsewhere
    MEMORY     a worker ran out of memory            `relieve`
    STARVED    its process was killed for memory     `relieve`

A host is blamed for what failed on it and went well afterwards, never for work that fails
everywhere. No try here costs a shot any of its own attempts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from cluster.errors import DougaError, OutOfMemory

TRANSIENTS = 6
"""Failures that may pass; with the delays between them, half a minute to a minute in all."""
LOSSES = 3
"""A call that has taken this many workers down with it is bad work."""
TIMEOUTS = 2
"""Once may be the machine, twice is the work."""
FAULTS = 2
"""The first, and one that confirms it elsewhere."""
MOVES = 12
"""Nothing but a worker that others keep taking down comes near."""
TRIES = 30
"""Failures of all kinds together after which a call is given up, whatever they were."""
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
BLAMES = 3
"""Failures of as many different owners' work after which a host is quarantined."""


class Kind(Enum):
    """A class of failure; its value is how people are told of it."""

    TRANSIENT = "a failure that may pass"
    LOST = "a lost worker"
    NODE = "a lost node"
    TIMEOUT = "a call that took too long"
    MOVED = "a worker ended for another call"
    FAULT = "an error"
    MEMORY = "too little memory"
    STARVED = "a worker killed for want of memory"


def kind_of(error: DougaError) -> Kind:
    """The class of an error that a worker raised."""
    if isinstance(error, OutOfMemory):
        return Kind.MEMORY
    return Kind.TRANSIENT if error.retryable else Kind.FAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a try was made: a worker's number, its node's id, and which life of that worker. `own`
    where the failure was that call's own, and not one of all that were in flight there."""

    worker: int
    node: str
    life: int = 0
    own: bool = False

    def is_at(self, other: Place) -> bool:
        """Whether both are one life of one worker."""
        return (self.worker, self.node, self.life) == (other.worker, other.node, other.life)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What became of a call so far. `shunned` are places to keep away from if there are others,
    `blamed` those that will be to blame if it goes well elsewhere or later."""

    counts: Mapping[Kind, int] = field(default_factory=dict)
    shunned: tuple[Place, ...] = ()
    blamed: tuple[Place, ...] = ()
    alone: bool = False

    @property
    def tries(self) -> int:
        """Tries that failed."""
        return sum(self.counts.values())

    def count(self, kind: Kind) -> int:
        """How many of them in this way."""
        return self.counts.get(kind, 0)

    def after(self, kind: Kind, place: Place) -> History:
        """The history with one more failure in it."""
        speaks = kind in (Kind.LOST, Kind.TIMEOUT, Kind.FAULT)
        # A process that is no more cannot be shunned, unless it was for this call alone.
        shuns = speaks and (kind is not Kind.LOST or self.alone)
        return replace(
            self,
            counts={**self.counts, kind: self.count(kind) + 1},
            shunned=(*self.shunned, place) if shuns else self.shunned,
            blamed=(*self.blamed, replace(place, own=shuns)) if speaks else self.blamed,
            alone=self.alone or kind in (Kind.LOST, Kind.TIMEOUT, Kind.MOVED, Kind.STARVED),
        )

    def away_from(self, place: Place) -> History:
        """The history of a call that is to go elsewhere without anyone to blame."""
        return replace(self, shunned=(*self.shunned, place), alone=True)

    def rather(self, kind: Kind, place: Place) -> History:
        """The history when it turns out what a loss at `place` was: STARVED or NODE."""
        counts = {**self.counts, Kind.LOST: self.count(Kind.LOST) - 1}
        return replace(
            self,
            counts={**counts, kind: self.count(kind) + 1},
            shunned=tuple(other for other in self.shunned if not other.is_at(place)),
            blamed=tuple(other for other in self.blamed if not other.is_at(place)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again after a delay."""

    delay_s: float = 0.0


def decide(history: History, kind: Kind, *, chance: float) -> Again | None:
    """What to do after a failure that `history` already counts; `chance` in [0, 1) is the jitter.

    None: give it up. For all kinds but MEMORY and STARVED, which `relieve` decides.
    """
    count = history.count(kind)
    if count >= bound_of(kind):
        return None
    if kind in (Kind.FAULT, Kind.MOVED, Kind.TIMEOUT):
        return Again()
    return Again(delay_s=backoff_s(count, chance=chance))


def bound_of(kind: Kind) -> int:
    """The failure of this kind at which a call is given up."""
    return {
        Kind.TRANSIENT: TRANSIENTS,
        Kind.LOST: LOSSES,
        Kind.TIMEOUT: TIMEOUTS,
        Kind.FAULT: FAULTS,
        Kind.MOVED: MOVES,
    }.get(kind, TRIES)


def backoff_s(count: int, *, chance: float) -> float:
    """Seconds to wait after the count-th failure: twice as long each time, the upper half left to
    chance, so that workers that failed together do not come back together."""
    longest = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (count - 1))
    return longest * (0.5 + 0.5 * chance)


class Relief(Enum):
    """What is given up when memory runs out, in this order."""

    AGAIN = "again"
    SMALLER = "a smaller batch"
    FEWER = "fewer workers"
    ELSEWHERE = "another node"
    ALONE = "alone"
    NONE = "nothing is left to give up"


def relieve(*, stale: bool, smaller: bool, workers: int, elsewhere: bool, alone: bool) -> Relief:
    """What to do when a call ran out of memory.

    `stale`: the call began before the last step was taken for its node, so that it says nothing of
    that step; `smaller`: its work can be cut in smaller batches; `workers`: how many still work on
    its node; `elsewhere`: there is another node on which it has not failed so; `alone`: it had the
    worker to itself.
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
    """Work of `owner` failed at `place` and went well afterwards."""

    owner: str
    place: Place


def is_bad(node: str, blames: Iterable[Blame]) -> bool:
    """Whether a node is to be quarantined: for `BLAMES` failures of as many owners' work. All that
    is in flight in a process goes down with it, and is one failure."""
    here = [blame for blame in blames if blame.place.node == node]
    own = {blame.owner for blame in here if blame.place.own}
    beside = [blame for blame in here if blame.owner not in own]
    owners = {blame.owner for blame in beside}
    lives = {(blame.place.worker, blame.place.life) for blame in beside}
    return len(own) + min(len(owners), len(lives)) >= BLAMES


def is_last(node: str, pools: Iterable[Collection[str]], quarantined: Collection[str]) -> bool:
    """Whether some pool that works on a node, given by the nodes that it works on, would have none
    left without it."""
    return any(node in pool and not set(pool) - {node, *quarantined} for pool in pools)
