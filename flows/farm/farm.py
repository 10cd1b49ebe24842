"""The pools that a plan needs: one of CPU workers, one of GPU workers where the cluster has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from cluster.connect.connect import Cluster, Node, join_cluster
from cluster.errors import ClusterError
from cluster.keys import canonical
from cluster.ledger.receipts import Receipt
from cluster.pool.hosts import Hosts
from cluster.pool.pool import Pool
from cluster.pool.spec import PoolSpec
from cluster.settings import settings
from flows.farm.holding import capacity, holding_to_share, without_those_out
from flows.farm.pins import pin_name
from flows.farm.shares import Member, member
from flows.plan.plan import RenderPlan
from flows.plan.prepare import device_type
from flows.plan.shot_plan import RunPlan
from flows.progress import Reporter
from flows.spec.request import RenderRequest
from tasks.models.device import Device
from tasks.models.engine import check_here
from tasks.worker.build import build_for, build_id
from tasks.worker.item import SegmentItem, SourceInput, StageCall, WorkItem
from tasks.worker.node import DISK, ENOUGH, MEMORY, STORE, THE_RUNS
from tasks.worker.worker import WorkerConfig

CODES_BYTES, PLANES_BYTES = 6, 2
"""Of a pixel: as codes, and at the most as planes of 8 bits in 4:2:0 with some to spare."""
GROWN_TO = 32
"""Workers for which shots are kept in flight where a cluster may grow."""
IN_HAND = 3
"""Chunks that a worker loads, makes and stores at once."""


class Farm:
    """Takes work items and gives futures of receipts."""

    def __init__(self, cpu: Pool | None, gpu: Pool | None, hosts: Hosts | None = None) -> None:
        self._cpu = cpu
        self._gpu = gpu
        self._hosts = hosts or Hosts()

    @property
    def workers(self) -> int:
        """How many workers the pools have, those that are late included; of pools that may grow,
        so many as to have work at hand when they do."""
        return sum(
            max(pool.spec.workers, GROWN_TO) if pool.spec.elastic else pool.spec.workers
            for pool in (self._cpu, self._gpu)
            if pool is not None
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
        pool = self._cpu or self._gpu
        assert pool is not None
        return pool.submit(
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
        for pool in (self._cpu, self._gpu):
            if pool is not None:
                pool.close()

    def _pool(self, run: RunPlan) -> Pool:
        pool = self._gpu if run.card.gpu_share and self._gpu else self._cpu or self._gpu
        assert pool is not None
        return pool


OpenFarm = Callable[[RenderRequest, RenderPlan, Reporter], AbstractContextManager["Farm"]]
"""How a render gets its farm; `open_farm`, or a test's own."""


@contextmanager
def open_farm(request: RenderRequest, plan: RenderPlan, reporter: Reporter) -> Iterator[Farm]:
    """Ray and its workers for the length of a `with`. ClusterError if they do not start."""
    if not request.ray:
        check_here(plan.engine, where=plan.episode)
    reporter.phase("starting workers" if not request.ray else f"joining Ray at {request.ray}")
    with join_cluster(request.ray, workers=request.workers) as cluster, ExitStack() as stack:
        specs = pool_specs(request, plan, cluster, device=device_type())
        hosts = Hosts(tell=reporter.note)
        there = {STORE: THE_RUNS, DISK: ENOUGH, MEMORY: ENOUGH} if request.ray else {}
        build = build_for(plan.engine) | there
        pools: dict[str, Pool] = {}
        for kind, spec in specs.items():
            spec = replace(spec, build=build)
            part = stack.enter_context(_part_of_farm(plan, spec, kind)) if request.ray else None
            if part is not None:
                staying, away = without_those_out(cluster, part)
                room = capacity(staying, kind)
                share = part.share(room, wants=spec.workers, holds=0, seconds=0)
                spec = replace(spec, workers=max(1, share), avoid=away)
            pool = Pool(spec, cluster, hosts=hosts, tell=reporter.note)
            pools[kind] = stack.enter_context(pool)
            if part is not None:
                stack.enter_context(holding_to_share(part, pool, cluster, kind, reporter))
        yield Farm(pools.get("cpu"), pools.get("gpu"), hosts)


def _part_of_farm(
    plan: RenderPlan, spec: PoolSpec, kind: str
) -> AbstractContextManager[Member | None]:
    size = spec.num_gpus if kind == "gpu" else spec.num_cpus
    return member(plan.run, plan.episode, pool=kind, size=size, wants=spec.workers)


def _with_retries(receipt: Receipt, retries: int) -> Receipt:
    """A receipt that says how many tries failed before the one that it is of."""
    return replace(receipt, retries=retries)


def pool_specs(
    request: RenderRequest, plan: RenderPlan, cluster: Cluster, *, device: str
) -> dict[str, PoolSpec]:
    """Which pools to open, from the cards of the stages to run and what the cluster has.

    A worker asks for the CPUs and memory of its most demanding run; where the
    plan's keys name CUDA as `device`, runs with a `gpu_share` get workers of their own holding
    that share of a GPU. Without `--workers` there are as many as fit. ClusterError where a GPU is
    planned for and there is none.
    """
    runs = [run for shot in plan.shots if plan.todo(shot) for run in shot.runs]
    on_gpu = [run for run in runs if run.card.gpu_share] if device == "cuda" else []
    if on_gpu and cluster.nodes and not cluster.gpus:
        raise ClusterError(
            f"frames are planned for CUDA, the cluster has no GPU ({cluster})",
            remedy="set DOUGA_DEVICE=cpu, or join a cluster that has one",
        )
    rest = [run for run in runs if run not in on_gpu]
    specs: dict[str, PoolSpec] = {}
    if on_gpu:
        need = _need(on_gpu, request.chunk, share=max(run.card.gpu_share for run in on_gpu))
        fits = cluster.fits(need)
        workers = min(request.workers, fits) or fits or 1
        specs["gpu"] = _spec(request, plan, need, "cuda", workers, on_gpu)
        cluster = cluster.beside(need)
    if rest or not specs:
        need = _need(rest, request.chunk)
        workers = request.workers or max(1, cluster.fits(need))
        specs["cpu"] = _spec(request, plan, need, "cpu", workers, rest)
    return specs


def _need(runs: list[RunPlan], chunk: int, *, share: float = 0.0) -> Node:
    return Node(
        cpus=max([run.card.num_cpus for run in runs], default=1.0),
        gpus=share,
        memory_bytes=max([_memory_bytes(run, chunk) for run in runs], default=0),
    )


def _spec(
    request: RenderRequest,
    plan: RenderPlan,
    need: Node,
    kind: str,
    workers: int,
    runs: list[RunPlan],
) -> PoolSpec:
    """Workers of a cluster that was joined have caches of their own machines, and are to see the
    run's own store."""
    chosen = settings()
    return PoolSpec(
        handler="tasks.worker.worker:Worker",
        config=WorkerConfig(
            store_url=request.store,
            cache="" if request.ray else str(chosen.home / "cache"),
            device=Device(kind=kind, tile=request.tile),
            codec=chosen.cell,
            sees=pin_name(plan) if request.ray else "",
            sources=_distinct_sources(plan) if request.ray else (),
            memory_bytes=int(need.memory_bytes),
        ),
        workers=workers,
        num_cpus=need.cpus,
        num_gpus=need.gpus,
        memory_bytes=int(need.memory_bytes),
        start_timeout_s=chosen.actor_start_timeout_s,
        call_timeout_s=chosen.chunk_timeout_s,
        warm=_distinct_calls(runs),
        elastic=bool(request.ray),
        most=request.workers,
    )


def _distinct_calls(runs: list[RunPlan]) -> tuple[StageCall, ...]:
    """The stages of all runs with their parameters, each once."""
    calls = [call for run in runs for item in run.items[:1] for call in item.calls]
    return tuple({canonical(call): call for call in calls}.values())


def _distinct_sources(plan: RenderPlan) -> tuple[SourceInput, ...]:
    """The sources of all that is to be made, each once."""
    items = (item for shot in plan.shots if plan.has_work(shot) for item in shot.items())
    return tuple({item.source.digest: item.source for item in items if item.source}.values())


def _memory_bytes(run: RunPlan, chunk: int) -> int:
    """What one worker may hold: the stage's working memory, and two chunks of codes; where frames
    pass one at a time, the decoded planes of the chunks in hand, and two frames of codes of each.
    """
    before, after = (
        track.picture.width * track.picture.height for track in (run.planner.tracks[0], run.track)
    )
    held = 2 * chunk * after * CODES_BYTES
    if run.card.one_at_a_time:
        held = IN_HAND * (chunk * before * PLANES_BYTES + 2 * after * CODES_BYTES)
    return int(run.card.memory_bytes * after / 1e6) + held
