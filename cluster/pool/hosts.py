"""The hosts of a run: counts their failures and quarantines the bad ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from cluster.pool.failures import BLAMES, Blame, Place, is_last_node, should_quarantine


class HostedPool(Protocol):
    """A pool, as its hosts see it."""

    def nodes(self) -> Collection[str]:
        """The ids of the nodes with its active workers."""
        ...

    def leave(self, node: str) -> None:
        """End its workers on a node."""
        ...


class Hosts:
    """The failures and names of hosts, shared by the pools of one run."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._blames: list[Blame] = []
        self._pools: list[HostedPool] = []
        self._quarantined: dict[str, str] = {}
        self._warned: set[str] = set()
        self._names: dict[str, str] = {}

    def join(self, pool: HostedPool) -> None:
        """Add a pool."""
        with self._lock:
            self._pools.append(pool)

    def name(self, node: str, host: str) -> None:
        """Set the host name of a node."""
        with self._lock:
            self._names[node] = host

    def label(self, node: str) -> str:
        """A node's host name for people, with its id where several nodes share the name."""
        host = self._names.get(node, "")
        alike = sum(other == host for other in self._names.values())
        return host if host and alike == 1 else f"{host} ({node[:8]})".strip()

    def is_quarantined(self, node: str) -> bool:
        """Whether a node is quarantined."""
        with self._lock:
            return node in self._quarantined

    @property
    def quarantined(self) -> tuple[str, ...]:
        """A line for people about each quarantined host: its name and why."""
        with self._lock:
            return tuple(self._quarantined.values())

    def blame(self, owner: str, places: Iterable[Place]) -> None:
        """A call of `owner` succeeded after failures at these places. Every pool leaves a node that
        is blamed often enough, unless it is a pool's last one."""
        leaving: list[tuple[HostedPool, str]] = []
        with self._lock:
            fresh = [Blame(owner=owner, place=place) for place in places]
            self._blames += fresh
            for node in dict.fromkeys(blame.place.node for blame in fresh):
                if node not in self._quarantined and should_quarantine(node, self._blames):
                    leaving += [(pool, node) for pool in self._quarantine(node)]
        for pool, node in leaving:
            pool.leave(node)

    def _quarantine(self, node: str) -> list[HostedPool]:
        """Quarantine a node; returns the pools that must leave it."""
        pools = [pool.nodes() for pool in self._pools]
        if not any(node in pool for pool in pools):
            return []
        owners = dict.fromkeys(b.owner for b in self._blames if b.place.node == node)
        why = f"{self.label(node)} failed work of {', '.join(owners)} that went well afterwards"
        if is_last_node(node, pools, self._quarantined):
            if node not in self._warned:
                self._warned.add(node)
                self._tell(f"host {why}; it is the last one and goes on: look after it")
            return []
        self._quarantined[node] = f"{why} ({BLAMES} are enough)"
        self._tell(f"host {why}; it is quarantined for this run")
        return list(self._pools)
