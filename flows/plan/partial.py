"""Partial chunks: some frames of a shot made before its chunks, for a pickup or a preview.

No chunking changes a pixel, so any span of a run may be made as a chunk under a key of its own. A
chunk that is made later takes those frames as they are. The store remembers spans only
(`flows.plan.partial_record`); their keys are planned anew from what the shot is now, so that a
partial chunk of a changed frame is simply not found. All here is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import groupby

from cluster.keys import Key
from flows.plan.shot_plan import RunPlan
from tasks.frames.track import Span, ranges_of
from tasks.worker.item import ChunkInput, WorkItem, chunk_name

ItemsByRun = tuple[tuple[WorkItem, ...], ...]
"""Work items for each run of a shot."""
Places = dict[int, Key]
"""The object that holds a frame, by frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a render is to make. `shots` None: all; `frames`: the only ones of a shot, counted as
    it comes out."""

    shots: frozenset[str] | None = None
    frames: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def frames_of(self, shot: str) -> frozenset[int] | None:
        """The frames asked for of a shot; None where it is all of it, empty where it is not."""
        if shot in self.frames:
            return self.frames[shot]
        return None if self.shots is None or shot in self.shots else frozenset()


EVERYTHING = Selection()
"""All shots, whole."""


def select(shots: Iterable[str], frames: Mapping[str, frozenset[int]]) -> Selection:
    """What `--shots` and `--frames` say together: those shots whole, and of others some frames."""
    named = frozenset(shots)
    return Selection(shots=named if named or frames else None, frames=frames)


def pick_chunks(
    runs: Sequence[RunPlan], *, stored: AbstractSet[str], partials: ItemsByRun = ()
) -> ItemsByRun:
    """The missing chunks whose frames something missing needs, for each run; each takes what
    stored partial chunks hold of it."""
    wanted: set[Key] | None = None
    picked: list[tuple[WorkItem, ...]] = []
    for number, run in reversed(list(enumerate(runs))):
        held = _held_frames(partials[number], stored) if partials else {}
        held |= _codes_stored(run, stored)
        missing = tuple(
            _with_held(item, held)
            for item in run.items
            if chunk_name(item.key) not in stored and (wanted is None or item.key in wanted)
        )
        picked.insert(0, missing)
        wanted = {key for item in missing for key in _chunks_read(item, run)}
    return tuple(picked)


def pick_frames(
    runs: Sequence[RunPlan],
    frames: Collection[int],
    *,
    stored: AbstractSet[str],
    partials: ItemsByRun = (),
) -> ItemsByRun:
    """What makes exactly these frames of the last run, where they are not stored, and of each
    earlier run exactly those that they need. Nothing is made of a chunk that is not asked for."""
    wanted: set[int] = set(frames)
    there: list[Places] = []
    picked: list[list[WorkItem]] = []
    for number, run in reversed(list(enumerate(runs))):
        held = frame_places(run, partials[number : number + 1], stored)
        made = list(_cover(run, wanted - held.keys()))
        there.insert(0, held)
        picked.insert(0, made)
        wanted = {index for item in made for index in run.planner.inputs(item.out)}
    for number, run in enumerate(runs[1:], start=1):
        places = dict(there[number - 1])
        for item in picked[number - 1]:
            places.update(dict.fromkeys(item.out.indices(), item.key))
        picked[number] = [_with_input(item, run, places) for item in picked[number]]
    return tuple(tuple(made) for made in picked)


def frame_places(
    run: RunPlan, partials: Sequence[Iterable[WorkItem]], stored: AbstractSet[str]
) -> Places:
    """Where the stored frames of a run are: in its chunks, or else in partial ones."""
    places = _codes_stored(run, stored)
    for known in partials:
        places.update(_held_frames(known, stored))
    for item in run.items:
        if chunk_name(item.key) in stored:
            places.update(dict.fromkeys(item.out.indices(), item.key))
    return places


def reused_frames(item: WorkItem) -> int:
    """How many of a chunk's frames are taken from partial chunks."""
    return sum(len(span) for _, span in item.have)


def frame_words(items: Iterable[WorkItem]) -> str:
    """The frames that work items compute, as `--frames` counts them: `7,12-14`."""
    made = {index for item in items for span in missing_spans(item) for index in span}
    return ",".join(
        str(start) if end == start + 1 else f"{start}-{end - 1}" for start, end in ranges_of(made)
    )


def missing_spans(item: WorkItem) -> Iterator[range]:
    """The frames of a chunk that no partial chunk holds, stretch by stretch."""
    at = item.out.start
    for _, span in (*item.have, (item.key, Span(item.out.end, item.out.end))):
        if at < span.start:
            yield range(at, span.start)
        at = span.end


def plan_partials(
    runs: Sequence[RunPlan], known: Mapping[tuple[int, str], AbstractSet[Span]]
) -> ItemsByRun:
    """The partial chunks of these spans, by a run's number and name, with the keys of now."""
    return tuple(
        tuple(
            run.planner.partial(span)
            for span in sorted(known.get((number, run.name), ()))
            if span.start < span.end <= len(run.track)
        )
        for number, run in enumerate(runs)
    )


def _held_frames(partials: Iterable[WorkItem], stored: AbstractSet[str]) -> Places:
    """The frames that stored partial chunks hold."""
    return {
        index: item.key
        for item in partials
        if chunk_name(item.key) in stored
        for index in item.out.indices()
    }


def _codes_stored(run: RunPlan, stored: AbstractSet[str]) -> Places:
    """The frames that are stored as codes, of chunks that are stored as planes by now."""
    return {
        index: item.codes
        for item in run.items
        if item.codes and chunk_name(item.codes) in stored
        for index in item.out.indices()
    }


def _cover(run: RunPlan, frames: AbstractSet[int]) -> Iterator[WorkItem]:
    """Whole and partial chunks of exactly these frames; none is longer than a chunk."""
    for chunk in run.items:
        own = [index for index in chunk.out.indices() if index in frames]
        if len(own) == len(chunk.out):
            yield chunk
            continue
        for start, end in ranges_of(own):
            yield run.planner.partial(Span(start, end))


def _with_held(item: WorkItem, held: Places) -> WorkItem:
    """The chunk, taking what is held of it instead of making it."""
    have = tuple(_grouped(item.out.indices(), held))
    return replace(item, have=have) if have else item


def _chunks_read(item: WorkItem, run: RunPlan) -> Iterator[Key]:
    """The earlier chunks that a chunk needs for what it does not take."""
    if item.chunks is None:
        return
    if not item.have:
        yield from (key for key, _ in item.chunks.chunks)
        return
    needed = {
        index
        for span in missing_spans(item)
        for index in run.planner.inputs(Span(span.start, span.stop))
    }
    yield from (key for key, span in item.chunks.chunks if needed & set(span.indices()))


def _with_input(item: WorkItem, run: RunPlan, places: Places) -> WorkItem:
    """The item with the objects that hold its input."""
    needed = run.planner.inputs(item.out)
    return replace(item, chunks=ChunkInput(chunks=tuple(_grouped(needed, places))))


def _grouped(indices: Sequence[int], places: Places) -> Iterator[tuple[Key, Span]]:
    """Which object holds which stretch of some frames, in order; those of none are left out."""
    for start, end in ranges_of(index for index in indices if index in places):
        for key, group in groupby(range(start, end), key=places.__getitem__):
            own = list(group)
            yield key, Span(own[0], own[-1] + 1)
