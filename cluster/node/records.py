"""What the farm's store says of its nodes: who is there, and why one is out.

    nodes/NAME/here.json        the node's own lease: what it is, and what it does now
    nodes/NAME/left.json        the node's own word: its owner is back, its hours are over, …
    nodes/NAME/drain.json       a person's word, and so are
    nodes/NAME/quarantine.json
    nodes/NAME/sleep.json

A node is out while any but the first is there. A person's record is put if it is absent, so that
who was first is known; the names alone say who is out, so that a render needs one listing.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from cluster.errors import UsageError
from cluster.settings import settings, user_name
from cluster.store.base import Store
from cluster.store.lease import HEARTBEAT_S
from cluster.store.open import open_store
from cluster.store.records import read_if_whole, record_text, shape

NODES = "nodes/"
HERE, LEFT = "here", "left"
Order = Literal["drain", "quarantine", "sleep"]
ORDERS: tuple[Order, ...] = get_args(Order)
"""What people say of a node."""
DEAD_AFTER = timedelta(seconds=3 * HEARTBEAT_S)
"""A node without a heartbeat for so long is gone."""
SAID = {"drain": "drained", "quarantine": "quarantined", "sleep": "asleep", LEFT: "away"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """Why a node is out: who said so and when, and until when, where that is known."""

    kind: str
    by: str
    at: str
    why: str = ""
    until: str = ""

    def __str__(self) -> str:
        """`drained by ann at studio: disk full`."""
        by = f" by {self.by}" if self.kind in ORDERS else ""
        why = f": {self.why}" if self.why else ""
        return f"{SAID.get(self.kind, self.kind)}{by}{why}" + (
            f", until {self.until}" if self.until else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A node as it tells of itself. Memory and disk in bytes; `load` as of uptime(1) and per core;
    `workers` are those of renders that run on it."""

    name: str
    host: str
    state: str
    cpus: float = 0.0
    memory_bytes: int = 0
    cards: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    licences: Mapping[str, int] = field(default_factory=dict)
    douga: str = ""
    ray: str = ""
    load: float = 0.0
    disk_free_bytes: int = 0
    workers: int = 0
    mac: str = ""
    broadcast: str = ""
    sleeps: bool = False


def farm_store() -> Store:
    """The farm's own store. UsageError where DOUGA_FARM names none."""
    if not (url := settings().farm):
        raise UsageError(
            "no farm is named",
            where="DOUGA_FARM",
            remedy="set it to the farm's own store, such as s3://farm/farm, here and for renders",
        )
    return open_store(url)


def nodes_out(store: Store, node: str = "") -> dict[str, str]:
    """Which nodes (or whether the one named) are out, by name, and the name of a record that says
    why: a person's first."""
    out: dict[str, str] = {}
    for stored in store.list(f"{NODES}{node}/" if node else NODES):
        node, kind = _parts(stored.name)
        if kind in ORDERS or (kind == LEFT and node not in out):
            out[node] = stored.name
    return out


def read_out(store: Store, record: str) -> Out:
    """What a record says of why a node is out; one that is damaged says nothing but that it is."""
    _, kind = _parts(record)
    read = read_if_whole(store, record, shape(Out), then="the node is out all the same")
    return read or Out(kind=kind, by="somebody", at="")


def nodes_here(store: Store) -> dict[str, tuple[Here, datetime]]:
    """Every node that ever told of itself, by name, and when it last did, by the store's clock."""
    found: dict[str, tuple[Here, datetime]] = {}
    for stored in store.list(NODES):
        node, kind = _parts(stored.name)
        if kind == HERE and (
            here := read_if_whole(store, stored.name, shape(Here), then="the node counts as gone")
        ):
            found[node] = (here, stored.modified)
    return found


def order(store: Store, node: str, kind: Order, *, why: str = "", by: str = "") -> Out:
    """Put a person's word on a node, by default this user's; what is on record then: who was first
    stays."""
    who = by or f"{user_name()} at {platform.node()}"
    said = Out(kind=kind, by=who, at=_now(store), why=why)
    store.put(name_of(node, kind), record_text(asdict(said)).encode(), if_absent=True)
    return read_out(store, name_of(node, kind))


def take_back(store: Store, node: str, kinds: tuple[Order, ...] = ORDERS) -> list[Out]:
    """Remove what people said of a node; what that was."""
    there = {stored.name for stored in store.list(f"{NODES}{node}/")}
    names = [name for kind in kinds if (name := name_of(node, kind)) in there]
    gone = [read_out(store, name) for name in names]
    for name in names:
        store.delete(name)
    return gone


def leave(store: Store, node: str, *, why: str, until: str = "") -> None:
    """Say, as the node, that it is out."""
    said = Out(kind=LEFT, by=node, at=_now(store), why=why, until=until)
    store.put(name_of(node, LEFT), record_text(asdict(said)).encode())


def come_back(store: Store, node: str) -> None:
    """Take that back."""
    store.delete(name_of(node, LEFT))


def name_of(node: str, kind: str) -> str:
    """The name of a record of a node."""
    return f"{NODES}{node}/{kind}.json"


def _parts(name: str) -> tuple[str, str]:
    node, _, kind = name.removeprefix(NODES).rpartition("/")
    return node, kind.removesuffix(".json")


def _now(store: Store) -> str:
    return store.now().isoformat(timespec="seconds")
