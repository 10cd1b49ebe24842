"""Faults seeded into a store: each into a shot of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cluster.chunks.chunk import chunk_info, iter_frames
from cluster.chunks.write import encode_chunk
from cluster.store.base import Store
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from tasks.frames.codes import BLACK
from tasks.verify.pictures import difference_of, small_frame
from tasks.worker.item import WorkItem, chunk_name, segment_name
from tests.seeded.placed import Placed, place, shot_ranges
from tests.stored_codes import stored_codes

Frames = np.ndarray[Any, Any]
MOVING = 0.08
"""How far apart frames are, somewhere in the picture, that are used as different drawings."""


@dataclass
class Vandal:
    """Damages a store, and notes where. `free` are the numbers of the shots still whole."""

    prepared: Prepared
    rng: random.Random
    free: list[int] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = self.prepared.plan
        self.ranges = shot_ranges(self.plan)
        self.root = Path(self.prepared.store.url.removeprefix("file://"))
        self.free = [n for n, shot in enumerate(self.plan.shots) if len(shot.track) >= 20]
        self.rng.shuffle(self.free)

    def shot(self, fits: Callable[[ShotPlan], bool] = lambda shot: True) -> int:
        """A shot that is still whole."""
        number = next(n for n in self.free if fits(self.plan.shots[n]))
        self.free.remove(number)
        return number

    def twins(self) -> tuple[int, int]:
        """Two whole shots of the same length."""
        by_length: dict[int, int] = {}
        for number in self.free:
            length = len(self.plan.shots[number].track)
            if length in by_length:
                other = by_length[length]
                self.free = [n for n in self.free if n not in (number, other)]
                return other, number
            by_length[length] = number
        raise AssertionError("no two shots of one length are left")

    def note(
        self, name: str, says: str, numbers: Sequence[int], span: tuple[int, int] | None = None
    ) -> None:
        """Where a fault was seeded; `span` are frames of the first shot."""
        first = self.ranges[numbers[0]][0]
        frames = (first + span[0], first + span[1]) if span else None
        self.placed.append(place(self.plan, name, says, numbers, frames=frames))

    def chunk(self, number: int, *, run: int = -1) -> WorkItem:
        """A chunk of a shot."""
        return self.rng.choice(self.plan.shots[number].runs[run].items)

    def path(self, name: str) -> Path:
        """An object's file."""
        return self.root / name

    def frames(self, item: WorkItem) -> Frames:
        """A chunk's frames."""
        return stored_codes(self.prepared.store, chunk_name(item.key), self.plan.picture)

    def put(self, item: WorkItem, frames: Frames) -> None:
        """Store other frames in place of a chunk's."""
        put_frames(self.prepared.store, chunk_name(item.key), frames)


def put_frames(store: Store, name: str, frames: Frames) -> None:
    """Store other frames under a chunk's name, as properly as a faulty stage would."""
    data = store.get(name)
    info, old = chunk_info(data), [time for _, time, _ in iter_frames(data)]
    step = old[1] - old[0] if len(old) > 1 else old[0]
    data = encode_chunk(
        np.ascontiguousarray(frames),
        first=info.first,
        times=[old[0] + step * n for n in range(len(frames))],
        meta=info.meta,
    )
    store.delete(name)
    store.put(name, data)


def flip(path: Path, rng: random.Random) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng: random.Random) -> None:
    """Cut a file short."""
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def missing_chunk(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    vandal.path(chunk_name(item.key)).unlink()
    vandal.note("missing chunk", "^chunk .*not there", [number], (item.out.start, item.out.end))


def missing_earlier_chunk(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number, run=0)
    vandal.path(chunk_name(item.key)).unlink()
    vandal.note("missing earlier chunk", "^chunk .* hold .*not there", [number])


def truncated_chunk(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    cut(vandal.path(chunk_name(item.key)), vandal.rng)
    vandal.note("truncated chunk", "^chunk .*damaged", [number], (item.out.start, item.out.end))


def flipped_bit(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    flip(vandal.path(chunk_name(item.key)), vandal.rng)
    vandal.note("flipped bit", "^chunk .*damaged", [number], (item.out.start, item.out.end))


def flipped_bit_in_an_earlier_chunk(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number, run=0)
    flip(vandal.path(chunk_name(item.key)), vandal.rng)
    vandal.note("flipped bit, earlier run", "^chunk .* hold .*damaged", [number])


def frames_of_another_size(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    vandal.put(item, vandal.frames(item)[:, ::2, ::2])
    vandal.note("wrong size", "^size .*48x32", [number], (item.out.start, item.out.end))


def a_frame_too_few(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    vandal.put(item, vandal.frames(item)[:-1])
    vandal.note("frame too few", "^frames of a chunk", [number], (item.out.start, item.out.end))


def black_frames(vandal: Vandal) -> None:
    number = vandal.shot(lambda shot: shot.shot.id not in fading(vandal))
    item = vandal.plan.shots[number].runs[-1].items[0]
    frames = vandal.frames(item).copy()
    at = vandal.rng.randrange(len(frames) - 2)
    frames[at : at + 2] = BLACK
    vandal.put(item, frames)
    vandal.note("black frames", "^black frames", [number], (at, at + 2))


def fading(vandal: Vandal) -> set[str]:
    """Shots that begin or end in black by design."""
    found = set()
    for shot in vandal.plan.shots:
        for item in (shot.runs[-1].items[0], shot.runs[-1].items[-1]):
            if vandal.frames(item).mean() < BLACK * 1.2:
                found.add(shot.shot.id)
    return found


def moving(vandal: Vandal, pairs: Sequence[tuple[int, int]]) -> Callable[[ShotPlan], bool]:
    """Whether these frames of a shot's first chunk show different drawings, two by two."""

    def moves(shot: ShotPlan) -> bool:
        frames = vandal.frames(shot.runs[-1].items[0])
        if len(frames) <= max(max(pair) for pair in pairs):
            return False
        small = [small_frame(frame) for frame in frames]
        return all(difference_of(small[one], small[two]).most > MOVING for one, two in pairs)

    return moves


def a_run_twice(vandal: Vandal) -> None:
    number = vandal.shot(moving(vandal, [(10 + n, 14 + n) for n in range(4)]))
    item = vandal.plan.shots[number].runs[-1].items[0]
    frames = vandal.frames(item).copy()
    frames[14:18] = frames[10:14]
    vandal.put(item, frames)
    vandal.note("run twice", "^repeated frames", [number], (14, 18))


def a_frozen_run(vandal: Vandal) -> None:
    number = vandal.shot(moving(vandal, [(11, 14), (11, 16)]))
    item = vandal.plan.shots[number].runs[-1].items[0]
    frames = vandal.frames(item).copy()
    frames[12:17] = frames[11]
    vandal.put(item, frames)
    vandal.note("frozen run", "^repeated frames", [number], (12, 17))


def codes_that_are_no_picture(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    frames = vandal.frames(item).copy()
    at = vandal.rng.randrange(len(frames))
    frames[at, 10:20, 10:20] = 0  # what a cast makes of NaN here
    vandal.put(item, frames)
    first = item.out.start + at
    vandal.note("no picture", "^picture codes", [number], (first, first + 1))


def a_frame_of_another_shot(vandal: Vandal) -> None:
    number = vandal.shot()
    item = vandal.chunk(number)
    far = (number + len(vandal.plan.shots) // 2) % len(vandal.plan.shots)
    frames = vandal.frames(item).copy()
    at = vandal.rng.randrange(len(frames))
    others = [vandal.frames(each)[0] for each in vandal.plan.shots[far].runs[-1].items]
    frames[at] = max(others, key=lambda other: float(np.abs(other - 1.0 * frames[at]).mean()))
    vandal.put(item, frames)
    first = item.out.start + at
    vandal.note("frame of another shot", "picture", [number], (first, first + 1))


def chunks_exchanged(vandal: Vandal) -> None:
    one, two = vandal.twins()
    items = [vandal.plan.shots[number].runs[-1].items[0] for number in (one, two)]
    store = vandal.prepared.store
    data = [store.get(chunk_name(item.key)) for item in items]
    for item, other in zip(items, data[::-1], strict=True):
        store.delete(chunk_name(item.key))
        store.put(chunk_name(item.key), other)
    for number in (one, two):
        vandal.note("chunks exchanged", "^chunk's key", [number])


def segments_exchanged(vandal: Vandal) -> None:
    one, two = vandal.twins()
    store = vandal.prepared.store
    names = [segment_of(vandal, number) for number in (one, two)]
    data = [store.get(name) for name in names]
    for name, other in zip(names, data[::-1], strict=True):
        store.delete(name)
        store.put(name, other)
    for number in (one, two):
        vandal.note("segments exchanged", "^segment ", [number])


def segment_of(vandal: Vandal, number: int) -> str:
    segment = vandal.plan.shots[number].segment
    assert segment is not None
    return segment_name(segment.key)


def missing_segment(vandal: Vandal) -> None:
    number = vandal.shot()
    vandal.path(segment_of(vandal, number)).unlink()
    vandal.note("missing segment", "^segment .*not there", [number])


def truncated_segment(vandal: Vandal) -> None:
    number = vandal.shot()
    cut(vandal.path(segment_of(vandal, number)), vandal.rng)
    vandal.note("truncated segment", "^segment .*damaged", [number])


def flipped_bit_in_a_segment(vandal: Vandal) -> None:
    number = vandal.shot()
    flip(vandal.path(segment_of(vandal, number)), vandal.rng)
    vandal.note("flipped bit in a segment", "^segment .*damaged", [number])


STORE_FAULTS: tuple[Callable[[Vandal], None], ...] = (
    chunks_exchanged,
    segments_exchanged,
    a_run_twice,
    a_frozen_run,
    black_frames,
    missing_chunk,
    missing_earlier_chunk,
    truncated_chunk,
    flipped_bit,
    flipped_bit_in_an_earlier_chunk,
    frames_of_another_size,
    a_frame_too_few,
    codes_that_are_no_picture,
    a_frame_of_another_shot,
    missing_segment,
    truncated_segment,
    flipped_bit_in_a_segment,
)
"""Those that need a certain kind of shot choose first."""


def seed_all(prepared: Prepared, rng: random.Random) -> list[Placed]:
    """Seed every fault of the table into the store that an episode was prepared with."""
    vandal = Vandal(prepared, rng)
    for fault in STORE_FAULTS:
        fault(vandal)
    return vandal.placed
