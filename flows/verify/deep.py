"""Chunks made once more from what they are of, and held against what the store has.

A chunk whose digest is right may still show the wrong pictures: a source that was exported again
while an older douga read it, a node with other weights. Only making it again tells.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.chunks.chunk import StoredChunk
from cluster.errors import DigestError
from cluster.settings import home_folder, settings
from cluster.store.base import NotStored
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared, device_type
from flows.progress import Reporter
from flows.verify.segments import ChunkPlace, StoreFinding, chunk_places
from flows.words import count_words
from tasks.frames.codes import Frames
from tasks.frames.colour import planes_from_rgb
from tasks.models.device import Device
from tasks.worker.item import WorkItem, chunk_name
from tasks.worker.worker import Worker, WorkerConfig

SAMPLE = 64
"""Chunks that are made again at the most: one of every shot, as far as that goes."""


def sample_chunks(plan: RenderPlan, *, most: int = SAMPLE) -> tuple[ChunkPlace, ...]:
    """Chunks of a plan to make again, in the film's order: all, or `most` by chance.

    Only what is stored, and made of what is stored. Every shot has its turn before any has two;
    another run of the command takes others.
    """
    stored = [
        place
        for place in chunk_places(plan)
        if all(name in plan.stored for name in (place.name, *_made_from(place.item)))
    ]
    turns: Counter[str] = Counter()
    order: list[tuple[int, int]] = []
    for number in random.Random(plan.run).sample(range(len(stored)), len(stored)):
        turns[stored[number].shot.shot.id] += 1
        order.append((turns[stored[number].shot.shot.id], number))
    chosen = sorted(order, key=lambda one: one[0])[:most]
    return tuple(stored[number] for number in sorted(number for _, number in chosen))


def remake_chunks(
    prepared: Prepared, places: Sequence[ChunkPlace], reporter: Reporter
) -> tuple[tuple[StoreFinding, ...], int]:
    """A finding for each chunk that comes out with other pictures than are stored, and how many
    could be made: a damaged one, or one of damaged frames, is found by reading the store.

    The store has the inputs that workers read (`upload_inputs`); nothing is written to it. Errors:
    those of rendering these chunks.
    """
    reporter.phase(f"making {count_words(len(places), 'chunk')} again")
    workers: dict[str, Worker] = {}
    findings: list[StoreFinding] = []
    made = 0
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
        try:
            stored = StoredChunk(prepared.store, place.name)
            found = _compare(place, workers[kind].remake(place.item), stored)
        except (DigestError, NotStored) as error:
            if any(name in error.where for name in (place.name, *_made_from(place.item))):
                continue
            raise
        made += 1
        findings += [found] if found else []
        reporter.fraction((done + 1) / len(places))
    return tuple(findings), made


def _compare(
    place: ChunkPlace, fresh: Iterator[Frames], stored: StoredChunk
) -> StoreFinding | None:
    """What differs between a chunk made again and the one stored, a frame at a time."""
    wrong: list[int] = []
    most = 0
    delivered = place.item.delivered if stored.info.planes else None
    for index, frame in enumerate(fresh, place.item.out.start):
        if index not in stored.wanted:
            wrong.append(index)
            continue
        there = stored.picture(index)
        pairs = (
            zip(planes_from_rgb(frame, delivered), there, strict=True)
            if delivered
            else [(frame, there)]
        )
        apart = [_most_apart(one, other) for one, other in pairs]
        if any(apart):
            wrong.append(index)
            most = max(most, *apart)
    if not wrong and len(stored.wanted) == len(place.item.out):
        return None
    first = wrong[0] if wrong else place.item.out.start
    found = place.finding(
        "stored chunk",
        "what its source gives",
        f"other pictures, by up to {most} codes" if most else "other frames",
        frames=(first, first + max(1, len(wrong))),
    )
    return replace(found, objects=_made_of(place))


def _most_apart(one: NDArray[Any], other: Any) -> int:
    """The greatest difference of two arrays; of another shape, more than any."""
    if one.shape != other.shape:
        return 1 << 16
    return int(np.abs(one.astype(np.int32) - other).max()) if (one != other).any() else 0


def _made_from(item: WorkItem) -> tuple[str, ...]:
    """The stored chunks that a chunk is made from; none where its frames are a source's."""
    return tuple(chunk_name(key) for key, _ in item.chunks.chunks) if item.chunks else ()


def _made_of(place: ChunkPlace) -> tuple[str, ...]:
    """A chunk and every other object of its shot that may hold what it holds: what later runs made
    of it, the codes that planes were made of, and partial chunks."""
    shot = place.shot
    keys = {place.key, place.item.key}
    for item in shot.items():
        if item.chunks and keys.intersection(key for key, _ in item.chunks.chunks):
            keys.add(item.key)
    keys |= {item.codes for item in shot.items() if item.codes and item.key in keys}
    partial = {item.key for items in shot.partials for item in items}
    return tuple(chunk_name(key) for key in sorted(keys | partial))
