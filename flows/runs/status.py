"""What the store knows: its runs, and how far the shots of an episode are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.changes.why import why
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.runs.failure import read_failures
from flows.runs.result import reason_for
from flows.runs.state import RUNS, known_status, places
from flows.runs.stores import known_stores, list_episodes
from flows.spec.request import RenderRequest

RUNS_SHOWN = 20


def runs_document(store: str = "") -> dict[str, Any]:
    """The runs of a store, newest first, and its episodes; without a store, the runs of the one to
    use when none is named, and the episodes of all that this home knows."""
    url = store or settings().store_url
    episodes = list_episodes([store] if store else known_stores())
    return {
        "store": url,
        "runs": _runs(open_store(url)),
        "episodes": [asdict(line) for line in episodes],
    }


def status_document(request: RenderRequest) -> dict[str, Any]:
    """The shots of an episode, and how far each is as these options render it."""
    prepared = prepare(request, Silent())
    plan = prepared.plan
    last = _last_runs(prepared)
    reasons = why(prepared)
    shots = []
    for shot in plan.shots:
        chunks = sum(1 for _ in shot.items())
        seen = last.get(shot.shot.id)
        shots.append(
            {
                "id": shot.shot.id,
                "start": shot.shot.start,
                "end": shot.shot.end,
                "frames": len(shot.track),
                "chunks": chunks,
                "cached": chunks - len(plan.todo(shot)),
                "state": reason_for(plan, shot, seen_before=seen is not None),
                "why": reasons.words(shot.shot.id),
                "last_run": seen,
            }
        )
    failures = read_failures(prepared.store, plan.episode)
    undone = [shot.shot.id for shot in plan.shots if not plan.is_done(shot)]
    return {
        "episode": plan.episode,
        "store": prepared.request.store,
        "shots": shots,
        "failures": [failures[shot] for shot in undone if shot in failures],
    }


def _runs(store: Store) -> list[dict[str, Any]]:
    newest = reversed(places(store, RUNS)[-RUNS_SHOWN:])
    return [found.document for place in newest if (found := known_status(store, place)) is not None]


def _last_runs(prepared: Prepared) -> dict[str, str]:
    """The newest run with a manifest, by shot."""
    last: dict[str, str] = {}
    for entry in prepared.store.list(f"shots/{prepared.name}/"):
        shot, _, run = entry.name.removeprefix(f"shots/{prepared.name}/").partition("/")
        last[shot] = max(last.get(shot, ""), run.removesuffix(".json"))
    return last
