"""The pools that a plan needs: one of CPU workers, one of GPU workers where the cluster has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from cluster.connect.connect import join_cluster
from cluster.ledger.receipts import Receipt
from cluster.pool.hosts import Hosts
from cluster.pool.pool import Pool
from cluster.pool.spec import PoolSpec
from flows.farm.holding import capacity, holding_to_share, without_those_out
from flows.farm.pools import (
    CPU,
    GPU,
    WORKER,
    missing,
    needs_more,
    pool_for,
    pool_for_segments,
    pool_specs,
)
from flows.farm.shares import Member, member
from flows.plan.plan import RenderPlan
from flows.plan.prepare import device_type
from flows.plan.shot_plan import RunPlan
from flows.progress import Reporter
from flows.spec.request import RenderRequest
from tasks.models.engine import check_here
from tasks.worker.build import build_for, build_id
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.node import DISK, ENOUGH, MEMORY, STORE, THE_RUNS

GROWN_TO = 32
"""Workers for which shots are kept in flight where a cluster may grow."""


class Farm:
    """Takes work items and gives futures of receipts."""

    def __init__(self, pools: Mapping[str, Pool], hosts: Hosts | None = None) -> None:
        self._pools = pools
        self._hosts = hosts or Hosts()

    @property
    def workers(self) -> int:
        """How many workers the pools have, those that are late included; of pools that may grow,
        so many as to have work at hand when they do."""
        return sum(
            max(pool.spec.workers, GROWN_TO) if pool.spec.elastic else pool.spec.workers
            for pool in self._pools.values()
        )

    @property
    def quarantined(self) -> tuple[str, ...]:
        """The hosts that get no more work in this run, each with why."""
        return self._hosts.quarantined

    def make_chunk(self, item: WorkItem, run: RunPlan, *, rank: float) -> Future[Any]:
        """Queue a chunk where its stages run best. `rank` is the work that is left of its shot, the
        chunk included: where most is left, work begins first."""
        return self._pool(run).submit(
            "make_chunk",
            replace(item, build=self._build),
            group=f"{item.shot}/{item.name}",
            owner=item.shot,
            memory_class=item.name,
            rank=rank,
            shrink=WorkItem.lighter,
            finish=_with_retries,
        )

    def make_segment(self, item: SegmentItem, *, rank: float) -> Future[Any]:
        """Queue the encoding of a shot, on CPU workers where there are any."""
        return self._pools[pool_for_segments(self._pools)].submit(
            "make_segment",
            replace(item, build=self._build),
            group=f"{item.shot}/encode",
            owner=item.shot,
            memory_class="encode",
            rank=rank,
            finish=_with_retries,
        )

    def cancel(self, shot: str, run: RunPlan) -> None:
        """Drop the waiting chunks of a shot's run."""
        self._pool(run).cancel(group=f"{shot}/{run.name}")

    @cached_property
    def _build(self) -> str:
        return build_id()

    def close(self) -> None:
        """End all workers; whoever waits for a chunk gets a ClusterError. Safe to call twice."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, run: RunPlan) -> Pool:
        return self._pools[pool_for(run, self._pools)]


OpenFarm = Callable[[RenderRequest, RenderPlan, Reporter], AbstractContextManager["Farm"]]
"""How a render gets its farm; `open_farm`, or a test's own."""


@contextmanager
def open_farm(
    request: RenderRequest, plan: RenderPlan, reporter: Reporter, *, handler: str = WORKER
) -> Iterator[Farm]:
    """Ray and its workers for the length of a `with`; `handler` is what they host (a benchmark's
    only sleeps). ClusterError if they do not start."""
    if not request.ray:
        check_here(plan.engine, where=plan.episode)
    reporter.phase("starting workers" if not request.ray else f"joining Ray at {request.ray}")
    with join_cluster(request.ray, workers=request.workers) as cluster, ExitStack() as stack:
        specs = pool_specs(request, plan, cluster, device=device_type())
        for line in missing(specs, cluster):
            reporter.note(line)
        hosts = Hosts(tell=reporter.note)
        there = {STORE: THE_RUNS, DISK: ENOUGH, MEMORY: ENOUGH} if request.ray else {}
        build = build_for(plan.engine) | there
        pools: dict[str, Pool] = {}
        for number, (name, spec) in enumerate(specs.items()):
            spec = replace(spec, handler=handler, build=build)
            part = stack.enter_context(_part_of_farm(plan, spec, number)) if request.ray else None
            if part is not None:
                staying, away = without_those_out(cluster, part)
                room = capacity(staying, spec)
                share = part.share(room, wants=spec.workers, holds=0, seconds=0)
                spec = replace(spec, workers=max(1, share), avoid=away)
            pool = Pool(spec, cluster, hosts=hosts, tell=reporter.note)
            pools[name] = stack.enter_context(pool)
            if part is not None:
                stack.enter_context(holding_to_share(part, pool, cluster, reporter))
        yield Farm(pools, hosts)


def _part_of_farm(
    plan: RenderPlan, spec: PoolSpec, number: int
) -> AbstractContextManager[Member | None]:
    kind, size = (GPU, spec.num_gpus) if spec.num_gpus else (CPU, spec.num_cpus)
    part = str(number) if needs_more(spec) else ""
    return member(
        plan.run,
        plan.episode,
        pool=kind,
        size=size,
        wants=spec.workers,
        part=part,
        labels=spec.need.labels,
    )


def _with_retries(receipt: Receipt, retries: int) -> Receipt:
    """A receipt that says how many tries failed before the one that it is of."""
    return replace(receipt, retries=retries)
