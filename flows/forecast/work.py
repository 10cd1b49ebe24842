"""What a plan leaves to do, as work whose time can be estimated, and on what it will be done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.connect.nodes import Cluster, Node
from cluster.connect.watchdog import OBJECT_STORE_BYTES
from cluster.pool.spec import PoolSpec
from flows.farm.pools import pool_specs
from flows.farm.shot import longest_first, shots_to_render
from flows.forecast.durations import Work
from flows.forecast.makespan import CPU, GPU, ShotSteps, Step
from flows.plan.partial import reused_frames
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared, device_type
from flows.plan.shot_plan import RunPlan
from tasks.worker.item import SegmentItem
from tasks.worker.node import free_memory_bytes
from tasks.worker.work_class import encoding_class, work_class

NVIDIA = Path("/proc/driver/nvidia/gpus")
PLENTY = 1 << 50
"""Memory of a cluster that is not asked, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """The shots to render as steps of a farm; `works[i]` is the work of item i, `made_by[i]` the
    shot and run that it is of (None: a segment)."""

    shots: tuple[ShotSteps, ...]
    works: tuple[Work, ...]
    made_by: tuple[tuple[ShotPlan, RunPlan | None], ...]
    film_frames: int

    @property
    def chunks(self) -> int:
        """How many chunks are to be made, partial ones included."""
        return sum(run is not None for _, run in self.made_by)


def workers_for(prepared: Prepared, workers: int) -> dict[str, PoolSpec]:
    """The pools that the farm would open for a plan, without a cluster: `workers` of them if not 0,
    else as many as fit this machine."""
    request = prepared.request
    asked = workers or request.workers
    device = device_type()
    elsewhere = bool(request.ray)
    cores = max(os.cpu_count() or 1, asked)
    gpus = float(len(list(NVIDIA.iterdir()))) if NVIDIA.is_dir() else 0.0
    node = Node(
        cpus=cores,
        gpus=max(gpus, 1.0 if device == "cuda" else 0.0),
        memory_bytes=PLENTY if elsewhere else free_memory_bytes() - OBJECT_STORE_BYTES,
    )
    here = Cluster(address=request.ray, local=not elsewhere, nodes=(node,))
    sized = request.model_copy(update={"workers": asked})
    return pool_specs(sized, prepared.plan, here, device=device, placed=False)


def todo_of(prepared: Prepared, pools: Mapping[str, PoolSpec]) -> Todo:
    """What a render of this plan would make, in the order in which it begins it."""
    plan = prepared.plan
    works: list[Work] = []
    made_by: list[tuple[ShotPlan, RunPlan | None]] = []
    shots: list[ShotSteps] = []
    for shot in longest_first(plan, shots_to_render(prepared)):
        steps: list[Step] = []
        for run, work in _work_by_run(plan, shot, pools):
            first = len(works)
            works += work
            made_by += [(shot, run)] * len(work)
            steps.append(
                Step(
                    pool=_pool_of(run, pools),
                    group=f"{shot.shot.id}/{run.name if run else 'encode'}",
                    locked=run is not None,
                    items=tuple(range(first, len(works))),
                )
            )
        if steps:
            shots.append(tuple(steps))
    return Todo(
        shots=tuple(shots),
        works=tuple(works),
        made_by=tuple(made_by),
        film_frames=_film_frames(prepared),
    )


def _work_by_run(
    plan: RenderPlan, shot: ShotPlan, pools: Mapping[str, PoolSpec]
) -> Iterator[tuple[RunPlan | None, list[Work]]]:
    """The work of each run of a shot, then of its segment; what has none is left out."""
    for run, items in zip(shot.runs, plan.todo_by_run(shot), strict=True):
        if items:
            lengths = [len(item.out) - reused_frames(item) for item in items]
            work = _chunk_work(run, device_of(run, pools))
            yield run, [replace(work, frames=frames) for frames in lengths]
    if shot.segment is not None and plan.selects_all(shot) and not plan.is_done(shot):
        yield None, [segment_work(shot.segment, device_of(None, pools))]


def _chunk_work(run: RunPlan, device: str) -> Work:
    stages = [stage for _, stage in run.planner.group]
    picture = run.track.picture
    return Work(
        stage=run.name,
        kind=work_class(stages),
        model="+".join(card.model[:12] for card in (s.card() for s in stages) if card.model),
        device=device,
        pixels=picture.width * picture.height,
        frames=0,
    )


def segment_work(segment: SegmentItem, device: str) -> Work:
    """The encoding of a shot."""
    return Work(
        stage="encode",
        kind=encoding_class(segment.spec),
        model="",
        device=device,
        pixels=segment.picture.width * segment.picture.height,
        frames=segment.frames,
    )


def device_of(run: RunPlan | None, pools: Mapping[str, PoolSpec]) -> str:
    """The device type of the workers that make a run's chunks; None: segments."""
    return str(pools[_pool_of(run, pools)].config.device.kind)


def _pool_of(run: RunPlan | None, pools: Mapping[str, PoolSpec]) -> str:
    if run is not None and run.card.gpu_share and GPU in pools:
        return GPU
    return CPU if CPU in pools else GPU


def _film_frames(prepared: Prepared) -> int:
    """Frames of the film that a render would end with, 0 where some shots stay unmade."""
    plan = prepared.plan
    whole = all(plan.is_done(shot) or plan.selects_all(shot) for shot in plan.shots)
    gate = prepared.request.episode.review.gate
    return sum(len(shot.track) for shot in plan.shots) if whole and not gate else 0
