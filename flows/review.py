"""Decisions of people on shots, as events in the store; the gate before the film is assembled.

A decision is about what was seen: it names the shot's segment. A shot that comes out different
waits for a new one. The newest decision on a segment counts; nothing is ever overwritten.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cluster.errors import RefusedError, UsageError
from cluster.keys import make_key
from cluster.store import Store
from flows.plan import RenderPlan, ShotPlan
from flows.prepare import Prepared

UNDECIDED = "waits for approval"
Verdict = Literal["approved", "retake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said of a shot's segment, when (ISO 8601, UTC) and with which words."""

    episode: str
    shot: str
    segment: str
    verdict: Verdict
    by: str
    at: str
    note: str = ""


def decide(
    prepared: Prepared, shots: Sequence[str], verdict: Verdict, *, by: str = "", note: str = ""
) -> list[Decision]:
    """Record a verdict on shots; without names, on all that nobody has decided on.

    UsageError for an unknown shot, RefusedError for one that is not rendered yet: nobody can have
    seen it.
    """
    plan = prepared.plan
    known = {shot.shot.id: shot for shot in plan.shots if shot.segment is not None}
    for name in shots:
        if name not in known:
            raise UsageError(f"no shot {name!r}", where=prepared.name, remedy="see douga status")
    made: list[Decision] = []
    open_shots = [shot for shot, why in waiting_shots(prepared.store, plan) if why == UNDECIDED]
    for name in shots or open_shots:
        shot = known[name]
        if not plan.is_done(shot):
            raise RefusedError(
                "is not rendered yet", where=f"{prepared.name}/{name}", remedy="render it first"
            )
        assert shot.segment is not None
        made.append(
            Decision(
                episode=prepared.name,
                shot=name,
                segment=shot.segment.key,
                verdict=verdict,
                by=by or getpass.getuser(),
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                note=note,
            )
        )
    for decision in made:
        _write(prepared.store, decision)
    return made


def waiting_shots(store: Store, plan: RenderPlan) -> list[tuple[str, str]]:
    """Shots without a standing approval of what they are now: (shot, why), in film order."""
    latest = _latest(store, plan.episode)
    waiting: list[tuple[str, str]] = []
    for shot in plan.shots:
        if shot.segment is None:
            continue
        decision = latest.get((shot.shot.id, shot.segment.key))
        if decision is None:
            waiting.append((shot.shot.id, UNDECIDED))
        elif decision.verdict == "retake":
            waiting.append((shot.shot.id, f"retake: {decision.note or 'no words'}"))
    return waiting


def review_document(prepared: Prepared) -> dict[str, Any]:
    """Every shot with its standing decision; the document of `review --json`."""
    latest = _latest(prepared.store, prepared.name)
    return {
        "episode": prepared.name,
        "gate": prepared.request.episode.review.gate,
        "shots": [_line(prepared.plan, shot, latest) for shot in prepared.plan.shots],
    }


def _line(
    plan: RenderPlan, shot: ShotPlan, latest: dict[tuple[str, str], Decision]
) -> dict[str, Any]:
    decision = latest.get((shot.shot.id, shot.segment.key)) if shot.segment else None
    return {
        "id": shot.shot.id,
        "rendered": plan.is_done(shot),
        "verdict": decision.verdict if decision else "none",
        "by": decision.by if decision else "",
        "at": decision.at if decision else "",
        "note": decision.note if decision else "",
    }


def _latest(store: Store, episode: str) -> dict[tuple[str, str], Decision]:
    latest: dict[tuple[str, str], Decision] = {}
    for entry in store.list(f"reviews/{episode}/decisions/"):
        decision = Decision(**json.loads(store.get(entry.name)))
        place = (decision.shot, decision.segment)
        if place not in latest or latest[place].at <= decision.at:
            latest[place] = decision
    return latest


def _write(store: Store, decision: Decision) -> None:
    text = json.dumps({name: getattr(decision, name) for name in Decision.__slots__})
    name = f"reviews/{decision.episode}/decisions/{decision.shot}/{make_key(decision)}.json"
    store.put(name, text.encode())
