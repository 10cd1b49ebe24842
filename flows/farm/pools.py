"""Which pools a plan needs: by device, and by what its work needs of a node."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from cluster.connect.nodes import Cluster, Node, see_cluster
from cluster.errors import ClusterError, DougaError
from cluster.keys import canonical
from cluster.pool.spec import PoolSpec
from cluster.settings import settings
from flows.farm.pins import pin_name
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared, device_type
from flows.plan.shot_plan import RunPlan
from flows.spec.needs import NONE, Needs
from flows.spec.request import RenderRequest
from tasks.models.device import Device
from tasks.worker.item import SourceInput, StageCall
from tasks.worker.worker import WorkerConfig

CPU, GPU = "cpu", "gpu"
WORKER = "tasks.worker.worker:Worker"
CODES_BYTES, PLANES_BYTES = 6, 2
"""Of a pixel: as codes, and at the most as planes of 8 bits in 4:2:0 with some to spare."""
IN_HAND = 3
"""Chunks that a worker loads, makes and stores at once."""


def pool_name(kind: str, needs: Needs) -> str:
    """The name of the pool for work of a kind, `cpu` or `gpu`, that needs this."""
    return f"{kind} ({needs})" if needs else kind


def pool_for(run: RunPlan, pools: Collection[str]) -> str:
    """Which of the pools makes a run's chunks."""
    kinds = (GPU, CPU) if run.card.gpu_share else (CPU, GPU)
    names = [pool_name(kind, needs) for needs in (run.needs, NONE) for kind in kinds]
    return next(name for name in names if name in pools)


def pool_for_segments(pools: Collection[str]) -> str:
    """Which of the pools encodes: on CPUs, where nothing more is needed than those."""
    return min(pools, key=lambda name: (name.partition(" ")[0] != CPU, name))


def pool_specs(
    request: RenderRequest, plan: RenderPlan, cluster: Cluster, *, device: str, placed: bool = True
) -> dict[str, PoolSpec]:
    """Which pools to open, by name, from the cards of the stages to run and what the cluster has: a
    pool for all work that needs the same of its nodes. On this machine alone, and where nothing is
    `placed`, what is needed makes no difference.

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
    placed = placed and bool(request.ray)
    specs: dict[str, PoolSpec] = {}
    for needs, runs in _by_needs(on_gpu, placed):
        share = max(run.card.gpu_share for run in runs)
        spec = _spec(request, plan, _need(runs, request.chunk, needs, share=share), "cuda", runs)
        spec = _placed(spec, needs, cluster)
        fits = cluster.fits(spec.need, floating=spec.floating)
        workers = min(request.workers, fits) or fits or 1
        specs[pool_name(GPU, needs)] = replace(spec, workers=workers)
    for spec in list(specs.values()):
        cluster = cluster.beside(spec.need)
    for needs, runs in _by_needs(rest, placed) or ([] if specs else [(NONE, [])]):
        spec = _spec(request, plan, _need(runs, request.chunk, needs), "cpu", runs)
        spec = _placed(spec, needs, cluster)
        workers = request.workers or max(1, cluster.fits(spec.need, floating=spec.floating))
        specs[pool_name(CPU, needs)] = replace(spec, workers=workers)
    return specs


def needs_more(spec: PoolSpec) -> bool:
    """Whether a pool's workers need more of a node than room."""
    return bool(spec.labels or spec.licences or spec.floating)


def missing(specs: Mapping[str, PoolSpec], cluster: Cluster) -> list[str]:
    """A line for people about each pool whose workers need what no node of a cluster has."""
    return [
        f"no node has what {name} work needs; it waits until one joins"
        for name, spec in specs.items()
        if needs_more(spec) and not cluster.fits(spec.need, floating=spec.floating)
    ]


def missing_for(prepared: Prepared) -> list[str]:
    """The same of what a render of this plan would need, from the cluster that it would join; none
    where that does not answer, or nothing is needed."""
    request, plan = prepared.request, prepared.plan
    if not request.ray or not any(run.needs for shot in plan.shots for run in shot.runs):
        return []
    with suppress(DougaError):  # who renders is told of it
        cluster = see_cluster(request.ray)
        return missing(pool_specs(request, plan, cluster, device=device_type()), cluster)
    return []


def _by_needs(runs: Sequence[RunPlan], placed: bool) -> list[tuple[Needs, list[RunPlan]]]:
    found: dict[Needs, list[RunPlan]] = {}
    for run in runs:
        found.setdefault(run.needs if placed else NONE, []).append(run)
    return list(found.items())


def _placed(spec: PoolSpec, needs: Needs, cluster: Cluster) -> PoolSpec:
    """A licence floats where only nodes without work hold it."""
    on_nodes = {name for node in cluster.nodes for name in node.more}
    floats = {
        name: count
        for name, count in needs.resources.items()
        if name in cluster.floating and name not in on_nodes
    }
    own = {name: count for name, count in needs.resources.items() if name not in floats}
    return replace(spec, labels=needs.labels, soft=needs.soft, licences=own, floating=floats)


def _need(runs: list[RunPlan], chunk: int, needs: Needs, *, share: float = 0.0) -> Node:
    memory = [needs.memory_bytes, *(_memory_bytes(run, chunk) for run in runs)]
    return Node(
        cpus=max([run.card.num_cpus for run in runs], default=1.0),
        gpus=share,
        memory_bytes=max(memory),
    )


def _spec(
    request: RenderRequest,
    plan: RenderPlan,
    need: Node,
    kind: str,
    runs: list[RunPlan],
) -> PoolSpec:
    """Workers of a cluster that was joined have caches of their own machines, and are to see the
    run's own store."""
    chosen = settings()
    return PoolSpec(
        handler=WORKER,
        config=WorkerConfig(
            store_url=request.store,
            cache="" if request.ray else str(chosen.home / "cache"),
            device=Device(kind=kind, tile=request.tile),
            codec=chosen.cell,
            sees=pin_name(plan) if request.ray else "",
            sources=_distinct_sources(plan) if request.ray else (),
            memory_bytes=int(need.memory_bytes),
        ),
        workers=1,
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
