"""One shot's recipe as runs of chunks: what is fused, what is kept, and the key of every chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import Any

from cluster.errors import DougaError
from cluster.keys import Key, make_key
from flows.spec.documents import StageSpec
from flows.spec.needs import NONE, Needs, together
from flows.spec.shots import Shot
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track, chunk_spans
from tasks.models.engine import EXACT
from tasks.stages.stage import Card, Stage
from tasks.worker.item import ChunkInput, SourceInput, StageCall, WorkItem

KEY_FORMAT = 1
"""Raised when the meaning of a key or the layout of a chunk changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotInput:
    """A shot and everything that its plan is made from, read beforehand.

    `material(indices)` names the pixels of these shot-relative source frames for a key.
    """

    shot: Shot
    track: Track
    source: SourceInput
    recipe: tuple[StageSpec, ...]
    assets: Mapping[str, str]
    needs: Needs = NONE
    material: Callable[[Sequence[int]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Fused stages of one shot: the work items that make its chunks, and what they need."""

    name: str
    card: Card
    track: Track
    items: tuple[WorkItem, ...]
    needs: Needs = NONE
    planner: ChunkPlanner = field(repr=False, compare=False)

    def as_delivered(self, picture: Picture) -> RunPlan:
        """The run with its chunks stored as the planes of a picture."""
        return replace(self, items=tuple(_as_planes(item, picture) for item in self.items))

    def makes(self, item: WorkItem) -> bool:
        """Whether a work item, a chunk or a partial one, is one of this run."""
        return item.name == self.name and item.track == self.planner.base.track


def plan_shot(
    entry: ShotInput, *, episode: str, run: str, chunk: int, device: str, engine: str = EXACT
) -> tuple[RunPlan, ...]:
    """The runs of a shot, its networks run by `engine` where its stages leave that open."""
    where = f"{episode}/{entry.shot.id}"
    try:
        called = [(spec, _call(spec, entry, engine)) for spec in entry.recipe]
        calls = [(spec, call, call.make()) for spec, call in called]
        groups = _fuse([(call, stage, spec.keep) for spec, call, stage in calls])
    except DougaError as error:
        raise error.at(where) from error
    runs: list[RunPlan] = []
    track = entry.track
    steps = iter(entry.recipe)
    for group in groups:
        before = runs[-1] if runs else None
        tracks = [track]
        for _, stage in group:
            tracks.append(stage.track_after(tracks[-1]))
        base = WorkItem(
            key=Key(""),
            run=run,
            episode=episode,
            shot=entry.shot.id,
            name="+".join(call.name for call, _ in group) or "decode",
            calls=tuple(call for call, _ in group),
            track=track,
            out=Span(0, 0),
            source=None if before else entry.source,
        )
        planner = ChunkPlanner(
            base=base,
            group=tuple(group),
            tracks=tuple(tracks),
            before=before,
            entry=entry,
            device=device,
        )
        items = tuple(planner.chunk(span) for span in chunk_spans(len(tracks[-1]), chunk=chunk))
        card = _fused_card([stage.card() for _, stage in group])
        own = [spec.needs.settled() for spec in islice(steps, len(group)) if spec.needs]
        runs.append(
            RunPlan(
                name=base.name,
                card=card,
                track=tracks[-1],
                items=items,
                needs=together([entry.needs, *own], where=where),
                planner=planner,
            )
        )
        track = tracks[-1]
    return tuple(runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlanner:
    """Plans the work item of any span of a run's frames. `tracks` are those before each stage of
    the `group` and after the last."""

    base: WorkItem
    group: tuple[tuple[StageCall, Stage[Any]], ...]
    tracks: tuple[Track, ...]
    before: RunPlan | None
    entry: ShotInput
    device: str

    def chunk(self, out: Span) -> WorkItem:
        """A chunk: its key names the earlier chunks that it reads."""
        steps, needed = self._trace(out)
        if self.before is None:
            return replace(self.base, key=self._key(out, steps, self._material(needed)), out=out)
        span = _hull(needed)
        reads = [
            item
            for item in self.before.items
            if item.out.start < span.end and span.start < item.out.end
        ]
        material = {"chunks": [[item.key, item.out] for item in reads]}
        return replace(
            self.base,
            key=self._key(out, steps, material),
            out=out,
            chunks=ChunkInput(chunks=tuple((item.key, item.out) for item in reads)),
        )

    def partial(self, out: Span) -> WorkItem:
        """A partial chunk: its key is the same whatever the chunks are. Where an earlier run keeps
        its input, the item does not say yet in which objects."""
        steps, needed = self._trace(out)
        if self.before is None:
            return replace(self.base, key=self._key(out, steps, self._material(needed)), out=out)
        # Frame by frame: the key does not name frames between two that are needed.
        inner = [self.before.planner.partial(Span(index, index + 1)).key for index in needed]
        material = {"pieces": inner}
        return replace(self.base, key=self._key(out, steps, material), out=out)

    def inputs(self, out: Span) -> tuple[int, ...]:
        """The frames before the run, ascending, that `out` is made of."""
        return self._trace(out)[1]

    def _trace(self, out: Span) -> tuple[list[object], tuple[int, ...]]:
        """What the key says of each stage, the last one first, and the frames that go in."""
        steps: list[object] = []
        needed = out.indices()
        for (call, stage), track in reversed(list(zip(self.group, self.tracks, strict=False))):
            span = _hull(needed)
            card = stage.card()
            steps.append(
                {
                    "stage": [stage.name, stage.version],
                    "params": stage.key_params(),
                    "assets": sorted(digest for _, digest in call.assets),
                    "model": card.model,
                    "engine": [card.engine, self.device] if card.model else card.engine,
                    "out": [span.start, span.end],
                    "context": stage.key_context(span, track),
                }
            )
            needed = stage.needs(span, track)
        return steps, needed

    def _material(self, needed: Sequence[int]) -> object:
        picture = self.tracks[0].picture
        return {"source": self.entry.material(_hull(needed).indices()), "picture": picture}

    def _key(self, out: Span, steps: list[object], material: object) -> Key:
        return make_key(
            {
                "format": KEY_FORMAT,
                "steps": steps,
                "times": _relative_times(self.tracks[-1], out),
                "in": material,
            }
        )


def planes_key(picture: Picture) -> list[object]:
    """What of a delivered picture its planes depend on, as plain data for a key."""
    return [picture.pix_fmt, picture.depth, picture.matrix, picture.range, picture.siting]


def _as_planes(item: WorkItem, picture: Picture) -> WorkItem:
    key = make_key({"format": KEY_FORMAT, "codes": item.key, "planes": planes_key(picture)})
    return replace(item, key=key, codes=item.key, delivered=picture)


def _hull(indices: Sequence[int]) -> Span:
    """The shortest span with all of some frames."""
    return Span(min(indices), max(indices) + 1)


def _relative_times(track: Track, span: Span) -> list[Fraction]:
    start = track.times[0]
    return [track.times[index] - start for index in span.indices()]


def _call(spec: StageSpec, entry: ShotInput, engine: str) -> StageCall:
    stage = StageCall(name=spec.stage, params=spec.params).make()
    assets = tuple((path, entry.assets[path]) for path in stage.assets())
    params = {**spec.params, **stage.looked_up(dict(assets))}
    if engine and stage.fast_networks():
        params["fast"] = engine
    return StageCall(name=spec.stage, params=params, assets=assets)


def _fuse(
    steps: Sequence[tuple[StageCall, Stage[Any], bool | None]],
) -> list[list[tuple[StageCall, Stage[Any]]]]:
    """Runs end at a kept stage; the last stage before encode is always kept."""
    groups: list[list[tuple[StageCall, Stage[Any]]]] = [[]]
    for index, (call, stage, keep) in enumerate(steps):
        groups[-1].append((call, stage))
        kept = stage.card().keep if keep is None else keep
        if kept and index < len(steps) - 1:
            groups.append([])
    return groups


def _fused_card(cards: Sequence[Card]) -> Card:
    """What a worker needs that runs all of them, one after the other."""
    if not cards:
        return Card(num_cpus=1, one_at_a_time=True, same_drawings=True)
    return Card(
        num_cpus=max(card.num_cpus for card in cards),
        gpu_share=max(card.gpu_share for card in cards),
        memory_bytes=max(card.memory_bytes for card in cards),
        one_at_a_time=all(card.one_at_a_time or card.per_frame for card in cards),
        same_drawings=all(card.same_drawings for card in cards),
    )
