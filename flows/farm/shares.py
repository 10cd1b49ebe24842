"""How many workers of a farm each render gets that shares it.

Nobody schedules: every driver writes down what it is and wants, in the farm's own store, reads what
the others wrote, and holds itself to what `shares` gives it. All of them come to the same answer.
"""

from __future__ import annotations

import getpass
import math
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Literal
from urllib.parse import quote, unquote

from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.lease import HEARTBEAT_S, Lease, hold_lease
from cluster.store.open import open_store
from cluster.store.records import read_if_whole, record_text, shape
from flows.words import duration_words

ORDERS = "orders/"
"""What people have decided since a render began: `orders/JOB.json` in the farm's store, for its
job or its run."""
LIVE = "live/"
"""Leases of the renders that share a farm: `live/RUN.POOL.json` in the farm's store."""
DEAD_AFTER = timedelta(seconds=3 * HEARTBEAT_S)
"""A lease without a heartbeat for so long is a dead render's: its workers are gone with it."""
SWEPT_AFTER = timedelta(days=1)
QUEUE_WEIGHTS = {"urgent": 4.0, "day": 4.0, "night": 1.0}

Queue = Literal["urgent", "day", "night"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A render that shares a farm, and one of its pools.

    It could use `wants` workers, each of `size` (CPUs, or GPUs of a GPU pool), and has `holds`;
    `used` is what it has had, in seconds of that size; `left_s` are the seconds to its end as far
    as it knows.
    """

    run: str
    episode: str
    who: str
    pool: str
    size: float
    wants: int
    holds: int = 0
    queue: Queue = "day"
    weight: float = 1.0
    used: float = 0.0
    left_s: float | None = None
    part: str = ""
    """Which of its run's pools of this kind, where work needs different nodes."""
    on: dict[str, int] = field(default_factory=dict)
    """How many workers it has on each node, by the node's name."""
    job: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """What its nodes must have."""

    @property
    def key(self) -> str:
        """What it is known by among those that share a farm."""
        return f"{self.run}.{self.part}" if self.part else self.run


def shares(runs: Sequence[LiveRun], capacity: float) -> dict[str, int]:
    """Workers for each pool, by its key, of a farm of this capacity.

    Each gets one while there is room, then as many as its weight says beside the others', none more
    than it wants. Urgent work has what it wants before others get a second one. Between equals, who
    has had least comes first.
    """
    left = capacity
    given: dict[str, int] = {}

    def order(one: LiveRun) -> tuple[object, ...]:
        weight = one.weight * QUEUE_WEIGHTS[one.queue]
        have = given.get(one.key, 0)
        return (have > 0, one.queue != "urgent", have * one.size / weight, one.used, one.key)

    while able := [
        one for one in runs if given.get(one.key, 0) < one.wants and one.size <= left + 1e-9
    ]:
        first = min(able, key=order)
        given[first.key] = given.get(first.key, 0) + 1
        left -= first.size
    return {one.key: given.get(one.key, 0) for one in runs}


def may_ask(runs: Sequence[LiveRun], capacity: float, key: str) -> int:
    """Workers that a pool may have and ask for: its share of the farm as it is, and while everybody
    has theirs, the first of those that could use more asks for half as many again. What is asked
    for and finds no room is what an autoscaler brings nodes for; one asks for all, so that what
    somebody lets go comes to whom it is meant for."""
    given = shares(runs, capacity)
    share = given[key]
    short = min((one.key for one in runs if one.wants > given[one.key]), default="")
    if short != key or any(one.holds < given[one.key] for one in runs):
        return share
    return share + max(1, share // 2)


def room_in_s(runs: Sequence[LiveRun], capacity: float, key: str) -> float | None:
    """Seconds until a pool that has no worker gets one: 0 where one is its own already, and others
    let it go after the chunk in hand; None where nobody knows.

    As if nobody came, and all who are there ended when they say.
    """
    ending = [one for one in runs if one.key != key]
    ending.sort(key=lambda one: math.inf if one.left_s is None else one.left_s)
    waited_s: float | None = 0.0
    staying = list(runs)
    while not shares(staying, capacity).get(key):
        if not ending:
            return None
        first = ending.pop(0)
        staying.remove(first)
        waited_s = first.left_s
        if waited_s is None:
            return None
    return waited_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What people have decided for a render that goes."""

    queue: Queue


class Member:
    """A pool of a render on a farm that it shares."""

    def __init__(self, store: Store, lease: Lease, me: LiveRun) -> None:
        self.store = store
        self._lease = lease
        self._me = me

    def share(
        self,
        capacity: float,
        *,
        wants: int,
        holds: int,
        seconds: float,
        left_s: float | None = None,
        on: dict[str, int] | None = None,
    ) -> int:
        """Say what this pool wants, has had for so many seconds, and when its run ends; the workers
        that it may have and ask for."""
        used = self._me.used + holds * self._me.size * seconds
        self._me = replace(
            self._me, wants=wants, holds=holds, used=used, left_s=left_s, on=on or {}
        )
        self._lease.update(_text(self._me))
        return may_ask(self.live(), capacity, self._me.key)

    def live(self) -> list[LiveRun]:
        """Every living pool of its kind, this one as it is now."""
        others = (one for one in live_runs(self.store) if one.pool == self._me.pool)
        ordered = read_orders(self.store).get(_called(self._me))
        me = replace(self._me, queue=ordered or self._me.queue)
        return [me, *(one for one in others if one.key != me.key)]

    def wanted(self, capacity: float) -> list[dict[str, str]]:
        """The labels that nodes must have for others that lack workers of their share."""
        live = self.live()
        due = shares(live, capacity)
        return [one.labels for one in live if one.labels and one.holds < due[one.key]]

    def waits_for(self, capacity: float) -> tuple[str, str]:
        """Who has the farm, in words, and when this pool gets a worker of it: (`ep07 (mika at pc3)
        holds 6 of 8`, `one is free in about 12 min`)."""
        live = self.live()
        held = [one for one in live if one.holds and one.key != self._me.key]
        holders = ", ".join(
            f"{one.episode} ({one.who}) holds {one.holds} of {capacity / one.size:.0f}"
            for one in held
        )
        match room_in_s(live, capacity, self._me.key):
            case None:
                return holders, "when one is free is not known"
            case 0.0:
                return holders, "one is free after the chunk in hand"
            case seconds:
                return holders, f"one is free in about {duration_words(seconds)}"


@contextmanager
def member(
    run: str,
    episode: str,
    *,
    pool: str,
    size: float,
    wants: int,
    part: str = "",
    labels: Mapping[str, str] | None = None,
) -> Iterator[Member | None]:
    """Take part in the farm that DOUGA_FARM names, for the length of a `with`; None where it names
    none. StoreError where its store cannot be written."""
    chosen = settings()
    if not chosen.farm:
        yield None
        return
    me = LiveRun(
        run=run,
        episode=episode,
        who=_who(),
        pool=pool,
        size=size,
        wants=wants,
        part=part,
        labels=dict(labels or {}),
        queue=chosen.queue,
        weight=chosen.weight,
        job=chosen.job,
    )
    store = open_store(chosen.farm)
    _sweep(store)
    with hold_lease(store, f"{LIVE}{me.key}.{pool}.json", text=_text(me)) as lease:
        yield Member(store, lease, me)


def live_runs(store: Store) -> list[LiveRun]:
    """Every living pool of a farm, by the leases in its store. One that is damaged, or of another
    version, is left out."""
    now = store.now()
    fresh = [stored.name for stored in store.list(LIVE) if now - stored.modified < DEAD_AFTER]
    found = (read_if_whole(store, name, shape(LiveRun), then="it counts as none") for name in fresh)
    orders = read_orders(store)
    return [
        replace(one, queue=orders.get(_called(one), one.queue)) for one in found if one is not None
    ]


def put_order(store: Store, name: str, queue: Queue) -> None:
    """Have a render that goes, by its job or its run, count as one of another queue."""
    store.put(f"{ORDERS}{quote(name, safe='')}.json", record_text({"queue": queue}).encode())


def read_orders(store: Store) -> dict[str, Queue]:
    """The queue that people have decided for a render since it began, by its job or its run."""
    names = [stored.name for stored in store.list(ORDERS)]
    found = {
        unquote(name.removeprefix(ORDERS).removesuffix(".json")): read_if_whole(
            store, name, shape(Order), then="it counts as none"
        )
        for name in names
    }
    return {name: order.queue for name, order in found.items() if order}


def _called(run: LiveRun) -> str:
    return run.job or run.run


def _sweep(store: Store) -> None:
    """Remove the leases that killed renders left long ago, and old orders."""
    now = store.now()
    for stored in [*store.list(LIVE), *store.list(ORDERS)]:
        if now - stored.modified > SWEPT_AFTER:
            store.delete(stored.name)


def _text(me: LiveRun) -> str:
    return record_text(asdict(me))


def _who() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        name = "somebody"
    return f"{name} at {socket.gethostname()}"
