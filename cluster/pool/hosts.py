"""The hosts of a run: which failed what, and which of them get no more work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from cluster.pool.failures import BLAMES, Blame, Place, is_bad, is_last


class Occupant(Protocol):
    """Something that works on hosts: a pool."""

    def nodes(self) -> Collection[str]:
        """The ids of the nodes that it has workers on now."""
        ...

    def leave(self, node: str) -> None:
        """End its workers on a node."""
        ...


class Hosts:
    """What the pools of one run know of their hosts together."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._blames: list[Blame] = []
        self._occupants: list[Occupant] = []
        self._bad: dict[str, str] = {}
        self._spared: set[str] = set()
        self._names: dict[str, str] = {}

    def join(self, occupant: Occupant) -> None:
        """Count a pool in."""
        with self._lock:
            self._occupants.append(occupant)

    def name(self, node: str, host: str) -> None:
        """Learn what people call a node; its id is added where several are called so."""
        with self._lock:
            self._names[node] = host

    def label(self, node: str) -> str:
        """What people are told."""
        host = self._names.get(node, "")
        alike = sum(other == host for other in self._names.values())
        return host if host and alike == 1 else f"{host} ({node[:8]})".strip()

    def is_bad(self, node: str) -> bool:
        """Whether a node is in quarantine."""
        with self._lock:
            return node in self._bad

    @property
    def quarantined(self) -> tuple[str, ...]:
        """What people are told of each host in quarantine: its name and why."""
        with self._lock:
            return tuple(self._bad.values())

    def blame(self, owner: str, places: Iterable[Place]) -> None:
        """Work of `owner` went well after it had failed at these places. A node blamed for enough
        is left by every pool, unless it is the last of one."""
        leaving: list[tuple[Occupant, str]] = []
        with self._lock:
            fresh = [Blame(owner=owner, place=place) for place in places]
            self._blames += fresh
            for node in dict.fromkeys(blame.place.node for blame in fresh):
                if node not in self._bad and is_bad(node, self._blames):
                    leaving += [(occupant, node) for occupant in self._judge(node)]
        for occupant, node in leaving:
            occupant.leave(node)

    def _judge(self, node: str) -> list[Occupant]:
        """Put a node in quarantine; who is to leave it."""
        pools = [occupant.nodes() for occupant in self._occupants]
        if not any(node in pool for pool in pools):
            return []
        owners = dict.fromkeys(b.owner for b in self._blames if b.place.node == node)
        why = f"{self.label(node)} failed work of {', '.join(owners)} that went well afterwards"
        if is_last(node, pools, self._bad):
            if node not in self._spared:
                self._spared.add(node)
                self._tell(f"host {why}; it is the last one and goes on: look after it")
            return []
        self._bad[node] = f"{why} ({BLAMES} are enough)"
        self._tell(f"host {why}; it is quarantined for this run")
        return list(self._occupants)
