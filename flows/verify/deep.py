"""Chunks made once more from what they are of, and held against what the store has.

A chunk whose digest is right may still show the wrong pictures: a source that was exported again
while an older douga read it, a node with other weights. Only making it again tells.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cluster.chunks.chunk import read_frames
from cluster.errors import StoreError
from cluster.settings import home_folder, settings
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared, device_type
from flows.progress import Reporter
from flows.verify.segments import ChunkPlace, StoreFinding, chunk_places
from tasks.models.device import Device
from tasks.worker.item import chunk_name
from tasks.worker.worker import Worker, WorkerConfig

SAMPLE = 64
"""Chunks that are made again at the most: one of every shot, as far as that goes."""


def sample_chunks(plan: RenderPlan, *, most: int = SAMPLE) -> tuple[ChunkPlace, ...]:
    """Stored chunks of a plan to make again, in the film's order: all, or `most` by chance.

    Every shot has its turn before any has two; another run of the command takes others.
    """
    chance = random.Random(plan.run)
    turns: dict[str, int] = {}
    stored = [place for place in chunk_places(plan) if place.name in plan.stored]
    order: list[tuple[int, float, int]] = []
    for number, place in sorted(enumerate(stored), key=lambda _: chance.random()):
        turn = turns[place.shot.shot.id] = turns.get(place.shot.shot.id, 0) + 1
        order.append((turn, chance.random(), number))
    chosen = sorted(number for _, _, number in sorted(order)[:most])
    return tuple(stored[number] for number in chosen)


def remake_chunks(
    prepared: Prepared, places: Sequence[ChunkPlace], reporter: Reporter
) -> tuple[StoreFinding, ...]:
    """A finding for each chunk that comes out with other pictures than are stored. Nothing is
    written to the store. Errors: those of rendering these chunks."""
    reporter.phase(f"making {len(places)} chunks again")
    workers: dict[str, Worker] = {}
    findings: list[StoreFinding] = []
    for done, place in enumerate(places):
        kind = device_type() if place.run.card.gpu_share else "cpu"
        if kind not in workers:
            workers[kind] = Worker(
                WorkerConfig(
                    store_url=prepared.store.url,
                    cache=str(home_folder("cache")),
                    device=Device(kind=kind, tile=settings().tile),
                )
            )
        if (found := _compare(prepared, place, workers[kind])) is not None:
            findings.append(found)
        reporter.fraction((done + 1) / len(places))
    return tuple(findings)


def _compare(prepared: Prepared, place: ChunkPlace, worker: Worker) -> StoreFinding | None:
    try:
        stored = read_frames(prepared.store, place.name, place.item.out.indices())
    except StoreError:
        return None  # missing or damaged: that is found by reading it
    made = worker.remake(place.item)
    if made.shape == stored.shape and np.array_equal(made, stored):
        return None
    wrong = [at for at, (a, b) in enumerate(zip(made, stored, strict=False)) if (a != b).any()]
    first = place.item.out.start + (wrong[0] if wrong else 0)
    most = int(np.abs(made.astype(np.int32) - stored).max()) if made.shape == stored.shape else 0
    found = place.finding(
        "stored chunk",
        "what its source gives",
        f"other pictures, by up to {most} codes" if most else "other frames",
        frames=(first, first + max(1, len(wrong))),
    )
    return replace(found, objects=_made_of(place))


def _made_of(place: ChunkPlace) -> tuple[str, ...]:
    """A chunk and every other object of its shot that may hold what it holds: what later runs made
    of it, and partial chunks."""
    shot = place.shot
    keys = {place.item.key}
    for item in shot.items():
        if item.chunks and keys.intersection(key for key, _ in item.chunks.chunks):
            keys.add(item.key)
    partial = {item.key for items in shot.partials for item in items}
    return tuple(chunk_name(key) for key in sorted(keys | partial))
