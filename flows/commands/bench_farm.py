"""`douga bench farm`: how busy a farm's workers are kept, without the farm.

The pool, the shots and the plan are the real ones; workers only sleep, for as long as their work
would take, one piece of work at a time. So what is lost is what the driver loses.
"""

from __future__ import annotations

import os
import platform
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.connect.nodes import Cluster, Node
from cluster.ledger.receipts import Receipt
from cluster.pool.actor import ActorLocation, Answer
from cluster.pool.pool import Pool
from cluster.pool.spec import PoolSpec, Started
from cluster.scratch import scratch_folder
from cluster.store.base import Store
from flows.farm.farm import Farm
from flows.farm.shot import shots_at_once
from flows.farm.shots import Shots
from flows.forecast.durations import Timing
from flows.forecast.makespan import CPU, Step, makespan_s
from flows.plan.prepare import Prepared, prepare
from flows.progress import Reporter
from flows.spec.request import make_request
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.worker.build import this_build
from tasks.worker.item import SegmentItem, WorkItem, segment_name

SCATTER = 0.5
"""Of chunks of a second on average (log)."""
MOST_CHUNKS = 10
SEGMENT_S = 0.3
"""Encoding, for each chunk of a shot."""
CALLS_A_SECOND = 100
"""Sleeps are shortened to no more calls than this: on a real farm chunks take seconds."""
LEAST_SCALE = 0.1
"""Nor to less than this part of a second for a chunk."""
SEED = 11


class SleepingActors:
    """Actors that sleep instead of working, each for one call at a time, store a byte for a segment
    and say that all is done. `sleep_s` says how long; `cpu_s` is what they themselves took."""

    def __init__(self, store: Store, sleep_s: Callable[[WorkItem | SegmentItem], float]) -> None:
        self.cpu_s = 0.0
        self._store = store
        self._sleep_s = sleep_s

    def start(self, spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        """A lock for each actor."""
        return [threading.Lock() for _ in range(count)]

    def fits(self, spec: PoolSpec) -> int:
        """As many as there are."""
        return spec.workers

    def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
        """All are up at once."""
        here = ActorLocation(node="here", host=platform.node(), pid=os.getpid())
        return Started(located=dict.fromkeys(range(len(actors)), here), refused={})

    def locate(self, actor: Any, *, timeout_s: float) -> ActorLocation | None:
        """None: nothing is lost here."""
        return None

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        """Sleep, and answer with a receipt."""
        sleep_s = self._sleep_s(payload)
        with actor:
            time.sleep(sleep_s)
        if isinstance(payload, SegmentItem):
            began = time.thread_time()
            self._store.put(segment_name(payload.key), b"0")
            self.cpu_s += time.thread_time() - began
        return Answer(result=_receipt(payload, sleep_s))

    def send(self, actor: Any, method: str, payload: Any) -> None:
        """Nothing."""

    def end(self, actor: Any, *, restart: bool = False) -> None:
        """Nothing."""

    def is_alive(self, node: str) -> bool:
        """Always."""
        return True


def run_farm_bench(
    reporter: Reporter, *, workers: Sequence[int], shots_each: int
) -> dict[str, Any]:
    """For each size of farm, the share of its time that its workers were at work, beside the same
    work played through without a clock, which is the limit of these decisions."""
    this_build()  # as whoever opens a farm does, once
    rows = []
    with scratch_folder("bench") as folder:
        for count in workers:
            reporter.phase(f"{count} workers, {count * shots_each} shots")
            rows.append(_measure(Path(folder, str(count)), count, count * shots_each, reporter))
    return {
        "farms": rows,
        "on": f"{shots_each} shots of 1 to {MOST_CHUNKS} chunks for each worker, "
        f"{os.cpu_count()} cores ({platform.machine()})",
    }


def _measure(folder: Path, workers: int, shots: int, reporter: Reporter) -> dict[str, Any]:
    prepared = _plan(folder, shots, reporter)
    seconds = {item.key: _seconds(item) for shot in prepared.plan.shots for item in shot.items()}
    seconds |= {
        shot.segment.key: SEGMENT_S * len(shot.segment.chunks.chunks)
        for shot in prepared.plan.shots
        if shot.segment is not None
    }
    work_s = sum(seconds.values())
    scale = max(LEAST_SCALE, len(seconds) * workers / work_s / CALLS_A_SECOND)
    actors = SleepingActors(prepared.store, lambda item: scale * seconds[item.key])
    node = Node(cpus=workers)
    cluster = Cluster(address="", local=True, nodes=(node,))
    spec = PoolSpec(handler="", config=None, workers=workers)
    with Pool(spec, cluster, actors=actors) as pool:
        made = Shots(prepared, Farm({CPU: pool}), reporter)
        began, cpu = time.monotonic(), time.process_time()
        results = made.render()
        wall_s = time.monotonic() - began
        cpu_s = time.process_time() - cpu - actors.cpu_s
    for result in results:
        if result.error is not None:
            raise result.error
    return {
        "workers": workers,
        "shots": shots,
        "calls": len(seconds),
        "efficiency": scale * work_s / workers / wall_s,
        "limit": work_s / workers / _played_s(made, seconds, workers),
        "driver_ms_a_call": 1000 * cpu_s / len(seconds),
        "wall_s": wall_s,
    }


def _plan(folder: Path, shots: int, reporter: Reporter) -> Prepared:
    """Shots of a frame a chunk, of one plain film."""
    chance = random.Random(SEED)
    lengths = [chance.randint(1, MOST_CHUNKS) for _ in range(shots)]
    cuts = [sum(lengths[:at]) for at in range(1, shots)]
    folder.mkdir()
    film = folder / "film.mkv"
    source = f"testsrc2=size=64x48:rate=24,trim=end_frame={sum(lengths)}"
    run_ffmpeg(["-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-pix_fmt", "yuv420p", str(film)])
    episode = folder / "episode.yaml"
    episode.write_text(f"source: film.mkv\ncut: {cuts}\nstore: store\nrecipe: []\n")
    return prepare(make_request(str(episode), output=str(folder / "out.mkv"), chunk=1), reporter)


def _seconds(item: WorkItem) -> float:
    """Seconds that a chunk takes, the same in every run."""
    return random.Random(f"{item.shot} {item.out}").lognormvariate(-(SCATTER**2) / 2, SCATTER)


def _played_s(made: Shots, seconds: dict[Any, float], workers: int) -> float:
    """Seconds of the same work in the same order on a farm that loses no time between calls."""
    took: list[Timing] = []

    def items(names: Sequence[Any]) -> tuple[int, ...]:
        first = len(took)
        took.extend(
            Timing(load_s=0.0, compute_s=seconds[name], store_s=0.0, bytes_out=0) for name in names
        )
        return tuple(range(first, len(took)))

    shots = []
    for shot in made.planned:
        chunks = items([item.key for item in shot.items()])
        segment = items([shot.segment.key] if shot.segment else [])
        name = shot.shot.id
        shots.append(
            (
                Step(pool=CPU, group=name, locked=True, items=chunks),
                Step(pool=CPU, group=f"{name}/encode", locked=True, items=segment),
            )
        )
    return makespan_s(shots, took, workers={CPU: workers}, at_once=shots_at_once(workers))


def _receipt(item: WorkItem | SegmentItem, seconds: float) -> Receipt:
    receipt = Receipt(
        run=item.run,
        episode=item.episode,
        shot=item.shot,
        stage="encode",
        key=item.key,
        start=0,
        end=1,
        compute_s=seconds,
    )
    if isinstance(item, SegmentItem):
        return replace(receipt, end=item.frames)
    return replace(receipt, stage=item.name, start=item.out.start, end=item.out.end)
