"""Which pieces of an episode's shots there may be: `pieces/EPISODE/RUN.json`, put by the run that
makes them before it begins."""

from __future__ import annotations

import json
from dataclasses import replace

from cluster.errors import StoreError
from cluster.store.base import NotStored, Store
from flows.plan.partial import plan_pieces
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.track import Span
from tasks.worker.item import chunk_name

PIECES = "pieces/"

Spans = dict[str, dict[tuple[int, str], set[Span]]]
"""By shot, then by a run's number and its stages: the spans that were made as pieces."""


def record_pieces(store: Store, plan: RenderPlan) -> None:
    """Remember what a run is about to make of shots of which only some frames are asked for;
    nothing where there are none. Chunks are named as well: no manifest names them yet."""
    shots = {shot.shot.id: _pieces_of(plan, shot) for shot in plan.shots}
    shots = {shot: made for shot, made in shots.items() if made}
    if shots:
        document = {"episode": plan.episode, "run": plan.run, "shots": shots}
        store.put(f"{PIECES}{plan.episode}/{plan.run}.json", json.dumps(document).encode())


def recall_pieces(store: Store, plan: RenderPlan) -> RenderPlan:
    """The plan, told which pieces of its shots there may be. Ask the store for `objects` next."""
    known = _read_spans(store, plan.episode)
    shots = (
        replace(shot, pieces=plan_pieces(shot.runs, known[shot.shot.id]))
        if shot.shot.id in known
        else shot
        for shot in plan.shots
    )
    return replace(plan, shots=tuple(shots))


def ask_store(store: Store, plan: RenderPlan) -> RenderPlan:
    """The plan with what the store has of it now, partial chunks included."""
    plan = recall_pieces(store, plan)
    return plan.with_stored(store.has(plan.objects()))


def _pieces_of(plan: RenderPlan, shot: ShotPlan) -> list[dict[str, object]]:
    if plan.is_whole(shot):
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
    for entry in store.list(f"{PIECES}{episode}/"):
        try:
            shots = json.loads(store.get(entry.name))["shots"]
            for shot, made in shots.items():
                for piece in made:
                    run = piece["run"], piece["stages"]
                    spans = known.setdefault(shot, {}).setdefault(run, set())
                    spans.add(Span(*piece["span"]))
        except NotStored:
            continue  # gc took it between the list and the look
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                "not a record of pieces of this version of douga",
                where=f"{store.url}: {entry.name}",
                remedy="delete it; what it names is then made again",
            ) from error
    return known
