"""A pool held to its share of the farm, and off the nodes that are out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cluster.connect.connect import describe_cluster
from cluster.connect.nodes import Cluster
from cluster.node.records import nodes_out, read_out
from cluster.pool.pool import Pool
from cluster.pool.spec import PoolSpec
from cluster.settings import MAX_WORKERS
from flows.farm.pools import needs_more
from flows.farm.shares import Member
from flows.progress import Reporter

SHARE_POLL_S = 5.0
"""Between two looks at who else shares the farm, and at which nodes are out."""


def capacity(cluster: Cluster, spec: PoolSpec) -> float:
    """What of a cluster the renders share: its GPUs for a pool of those, else its CPUs."""
    return cluster.gpus if spec.num_gpus else cluster.cpus


def without_those_out(cluster: Cluster, part: Member) -> tuple[Cluster, frozenset[str]]:
    """The cluster without the nodes that are out, and which those are, by their ids in Ray."""
    out = nodes_out(part.store)
    away = frozenset(node.id for node in cluster.nodes if node.name in out)
    return cluster.without(away), away


@contextmanager
def holding_to_share(
    part: Member, pool: Pool, cluster: Cluster, reporter: Reporter
) -> Iterator[None]:
    """Hold a pool to its share of the farm for the length of a `with`, and say who has the farm
    while it has nothing."""
    ended = threading.Event()
    holding = _Holding(part, pool, cluster, reporter)

    def hold() -> None:
        while not ended.wait(SHARE_POLL_S):
            with suppress(Exception):  # neither the store nor Ray stops a render: the next look may
                holding.look()

    thread = threading.Thread(target=hold, name="share", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=SHARE_POLL_S)


class _Holding:
    def __init__(self, part: Member, pool: Pool, cluster: Cluster, reporter: Reporter) -> None:
        self._part = part
        self._pool = pool
        self._cluster = cluster
        self._reporter = reporter
        self._told = ""
        self._left: set[str] = set()

    def look(self) -> None:
        """Look at the farm once, and do what follows."""
        now = describe_cluster(self._cluster.address, local=self._cluster.local)
        there, away = without_those_out(now, self._part)
        on = self._pool.workers_on()
        self._tell_left(now, {node for node in away if on[node]})
        self._pool.avoid(away)
        room, (up, calls) = capacity(there, self._pool.spec), self._pool.load()
        names = {node.id: node.name for node in now.nodes}
        share = self._part.share(
            room,
            wants=min(calls, self._most(there)),
            holds=up,
            seconds=SHARE_POLL_S,
            left_s=self._reporter.left_s(),
            on={names.get(node, node): workers for node, workers in on.items()},
        )
        wanted = self._part.wanted(room) if share < up else []
        others = {node.id for node in there.nodes if any(node.has(each) for each in wanted)}
        self._pool.hold_to(share, first=others)
        if calls and not up:
            self._tell_wait(there, away)

    def _most(self, there: Cluster) -> int:
        """How many workers there may be at the most: as many as --workers says, and as find what
        they need; where every node will do, a cluster may grow."""
        spec = self._pool.spec
        fits = there.fits(spec.need, floating=spec.floating)
        most = max(1, fits) if needs_more(spec) else MAX_WORKERS
        return min(most, spec.most or most)

    def _tell_left(self, now: Cluster, leaving: set[str]) -> None:
        out = nodes_out(self._part.store) if leaving - self._left else {}
        for node in now.nodes:
            if node.id in leaving - self._left and (record := out.get(node.name)):
                why = read_out(self._part.store, record)
                self._reporter.note(f"{node.name} is {why}; it is left after the chunks in hand")
        self._left = leaving

    def _tell_wait(self, there: Cluster, away: frozenset[str]) -> None:
        holders, forecast = self._part.waits_for(capacity(there, self._pool.spec))
        if not holders and away and not there.nodes:
            holders, forecast = "every node is out", "douga farm says why"
        if holders and holders != self._told:
            self._reporter.note(f"waits for room: {holders}; {forecast}")
            self._told = holders
