"""The record of partial chunks: `pieces/EPISODE/RUN.json`, put by a run before it makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cluster.store.base import Store
from cluster.store.records import read_if_whole, record_text
from flows.plan.partial import plan_partials
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.track import Span
from tasks.worker.item import chunk_name

PARTIALS = "pieces/"

Spans = dict[str, dict[tuple[int, str], set[Span]]]
"""By shot, then by a run's number and its stages: the spans that were made as partial chunks."""


def record_partials(store: Store, plan: RenderPlan) -> None:
    """Record what a run is about to make of shots of which only some frames are asked for; nothing
    where there are none. Whole chunks are named as well: no manifest names them yet."""
    shots = {shot.shot.id: _partials_of(plan, shot) for shot in plan.shots}
    shots = {shot: made for shot, made in shots.items() if made}
    if shots:
        document = {"episode": plan.episode, "run": plan.run, "shots": shots}
        store.put(f"{PARTIALS}{plan.episode}/{plan.run}.json", record_text(document).encode())


def ask_store(store: Store, plan: RenderPlan) -> RenderPlan:
    """The plan with what the store has of it now, partial chunks included."""
    known = _read_spans(store, plan.episode)
    shots = (
        replace(shot, partials=plan_partials(shot.runs, known[shot.shot.id]))
        if shot.shot.id in known
        else shot
        for shot in plan.shots
    )
    plan = replace(plan, shots=tuple(shots))
    return plan.with_stored(store.has(plan.objects()))


def _partials_of(plan: RenderPlan, shot: ShotPlan) -> list[dict[str, object]]:
    if plan.selects_all(shot):
        return []
    return [
        {
            "run": number,
            "stages": run.name,
            "span": [item.out.start, item.out.end],
            "name": chunk_name(item.key),
        }
        for number, (run, made) in enumerate(zip(shot.runs, plan.todo_by_run(shot), strict=True))
        for item in made
    ]


def _read_spans(store: Store, episode: str) -> Spans:
    known: Spans = {}
    then = "the frames that it names are made again"
    for entry in store.list(f"{PARTIALS}{episode}/"):
        for shot, run, span in read_if_whole(store, entry.name, recorded_spans, then=then) or ():
            known.setdefault(shot, {}).setdefault(run, set()).add(span)
    return known


def recorded_spans(document: Any) -> list[tuple[str, tuple[int, str], Span]]:
    """What a record names: of each partial chunk its shot, the number and stages of the run, and
    its span."""
    return list(_spans(document["shots"]))


def _spans(shots: dict[str, Any]) -> Iterator[tuple[str, tuple[int, str], Span]]:
    for shot, made in shots.items():
        for chunk in made:
            start, end = chunk["span"]
            yield shot, (int(chunk["run"]), str(chunk["stages"])), Span(int(start), int(end))
