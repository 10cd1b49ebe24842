"""One shot's recipe as runs of chunks: what is fused, what is kept, and the key of every chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from cluster.errors import DougaError
from cluster.keys import Key, make_key
from flows.shots import Shot
from flows.spec import StageSpec
from tasks.item import ChunkInput, SourceInput, StageCall, WorkItem
from tasks.stage import Card, Stage
from tasks.track import Span, Track, chunk_spans

KEY_FORMAT = 1
"""Raised when the meaning of a key or the layout of a chunk changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotInput:
    """A shot and everything the plan may know of it, read beforehand.

    `material(indices)` names the pixels of these shot-relative source frames for a key.
    """

    shot: Shot
    track: Track
    source: SourceInput
    recipe: tuple[StageSpec, ...]
    assets: Mapping[str, str]
    material: Callable[[Sequence[int]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Fused stages of one shot: the work items that make its chunks, and what they need."""

    name: str
    card: Card
    track: Track
    items: tuple[WorkItem, ...]


def plan_shot(
    entry: ShotInput, *, episode: str, run: str, chunk: int, device: str
) -> tuple[RunPlan, ...]:
    where = f"{episode}/{entry.shot.id}"
    try:
        calls = [
            (spec, call, call.make()) for spec in entry.recipe for call in [_call(spec, entry)]
        ]
        groups = _fuse([(call, stage, spec.keep) for spec, call, stage in calls])
    except DougaError as error:
        raise error.at(where) from error
    runs: list[RunPlan] = []
    track = entry.track
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
        items = tuple(
            _plan_chunk(base, span, group, tracks, before=before, entry=entry, device=device)
            for span in chunk_spans(len(tracks[-1]), chunk=chunk)
        )
        card = _fused_card([stage.card() for _, stage in group])
        runs.append(RunPlan(name=base.name, card=card, track=tracks[-1], items=items))
        track = tracks[-1]
    return tuple(runs)


def _plan_chunk(
    base: WorkItem,
    out: Span,
    group: Sequence[tuple[StageCall, Stage[Any]]],
    tracks: Sequence[Track],
    *,
    before: RunPlan | None,
    entry: ShotInput,
    device: str,
) -> WorkItem:
    """One chunk of a run: its key and the earlier chunks it reads."""
    steps: list[object] = []
    span = out
    for (call, stage), track in reversed(list(zip(group, tracks, strict=False))):
        card = stage.card()
        steps.append(
            {
                "stage": [stage.name, stage.version],
                "params": stage.key_params(),
                "assets": sorted(digest for _, digest in call.assets),
                "model": card.model,
                "engine": [card.engine, device] if card.model else card.engine,
                "out": [span.start, span.end],
                "context": stage.key_context(span, track),
            }
        )
        needed = stage.needs(span, track)
        span = Span(min(needed), max(needed) + 1)
    final = tracks[-1]
    material: object
    chunks = None
    if before is None:
        material = {"source": entry.material(span.indices()), "picture": tracks[0].picture}
    else:
        reads = [
            item for item in before.items if item.out.start < span.end and span.start < item.out.end
        ]
        chunks = ChunkInput(chunks=tuple((item.key, item.out) for item in reads))
        material = {"chunks": [[item.key, item.out] for item in reads]}
    key = make_key(
        {
            "format": KEY_FORMAT,
            "steps": steps,
            "times": _relative_times(final, out),
            "in": material,
        }
    )
    return replace(base, key=key, out=out, chunks=chunks)


def _relative_times(track: Track, span: Span) -> list[Fraction]:
    start = track.times[0]
    return [track.times[index] - start for index in span.indices()]


def _call(spec: StageSpec, entry: ShotInput) -> StageCall:
    stage = StageCall(name=spec.stage, params=spec.params).make()
    assets = tuple((path, entry.assets[path]) for path in stage.assets())
    params = {**spec.params, **stage.looked_up(dict(assets))}
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
        return Card(num_cpus=1)
    return Card(
        num_cpus=max(card.num_cpus for card in cards),
        gpu_share=max(card.gpu_share for card in cards),
        memory_bytes=max(card.memory_bytes for card in cards),
    )
