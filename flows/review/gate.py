"""Decisions of people on shots, as events in the store; the gate before the film is assembled.

A decision is about what was seen: it names the shot's segment, or its preview. A shot
that comes out different waits for a new one. The newest decision on a thing counts; nothing is ever
overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cluster.errors import RefusedError, UsageError
from cluster.settings import user_name
from cluster.store.base import Store
from flows.plan.decisions import (
    Decision,
    Decisions,
    Subject,
    Verdict,
    standing_decisions,
    write_decision,
)
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.plan.preview import read_previews

UNDECIDED = "waits for approval"


def decide(
    prepared: Prepared, shots: Sequence[str], verdict: Verdict, *, by: str = "", note: str = ""
) -> list[Decision]:
    """Record a verdict on shots; without names, on all that nobody has decided on.

    It is about a shot's segment where it is rendered, about its newest preview where it is not.
    UsageError for an unknown shot, RefusedError for one that is neither rendered nor previewed:
    nobody can have seen it.
    """
    store, plan = prepared.store, prepared.plan
    known = {shot.shot.id: shot for shot in plan.shots if shot.segment is not None}
    for name in shots:
        if name not in known:
            raise UsageError(f"no shot {name!r}", where=prepared.name, remedy="see douga status")
    decisions = standing_decisions(store, plan.episode)
    previews = read_previews(store, plan.episode).newest
    made: list[Decision] = []
    for name in shots or undecided_shots(prepared):
        seen = list(_what_was_seen(plan, known[name], decisions, previews))
        if not seen:
            raise RefusedError(
                "is not rendered yet", where=f"{prepared.name}/{name}", remedy="render it first"
            )
        for subject, key in seen:
            made.append(
                new_decision(
                    prepared.name, name, key, verdict, by=by or user_name(), note=note, of=subject
                )
            )
    for decision in made:
        write_decision(store, decision)
    return made


def new_decision(
    episode: str,
    shot: str,
    seen: str,
    verdict: Verdict,
    *,
    by: str,
    note: str = "",
    of: Subject = "segment",
    frame: int | None = None,
    strokes: str = "",
) -> Decision:
    """A decision of this moment on what was `seen`, a segment's or a preview's key."""
    return Decision(
        episode=episode,
        shot=shot,
        segment=seen,
        verdict=verdict,
        by=by,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        note=note,
        of=of,
        frame=frame,
        strokes=strokes,
    )


def _what_was_seen(
    plan: RenderPlan, shot: ShotPlan, decisions: Decisions, previews: dict[str, str]
) -> Iterator[tuple[Subject, str]]:
    """What of a shot a person can have seen: its segment, or a preview; both where the preview was
    left undecided."""
    name, done = shot.shot.id, plan.is_done(shot)
    preview = previews.get(name)
    if preview is not None and not (done and (name, preview) in decisions):
        yield "preview", preview
    if done and shot.segment is not None:
        yield "segment", shot.segment.key


def undecided_shots(prepared: Prepared) -> list[str]:
    """The shots that nobody has decided on, in film order; where there was a preview, only those
    that somebody can have seen."""
    plan = prepared.plan
    decisions = standing_decisions(prepared.store, plan.episode)
    previews = read_previews(prepared.store, plan.episode).newest
    return [
        shot.shot.id
        for shot in plan.shots
        if shot.segment is not None
        and (shot.shot.id, shot.segment.key) not in decisions
        and (plan.is_done(shot) or not previews or _is_undecided(shot, decisions, previews))
    ]


def _is_undecided(shot: ShotPlan, decisions: Decisions, previews: dict[str, str]) -> bool:
    name = shot.shot.id
    return name in previews and (name, previews[name]) not in decisions


def waiting_shots(store: Store, plan: RenderPlan) -> list[tuple[str, str]]:
    """Shots without a standing approval of what they are now: (shot, why), in film order."""
    decisions = standing_decisions(store, plan.episode)
    waiting: list[tuple[str, str]] = []
    for shot in plan.shots:
        if shot.segment is None:
            continue
        decision = decisions.get((shot.shot.id, shot.segment.key))
        if decision is None:
            waiting.append((shot.shot.id, UNDECIDED))
        elif decision.verdict == "retake":
            waiting.append((shot.shot.id, f"retake: {decision.note or 'no words'}"))
    return waiting


def review_document(prepared: Prepared) -> dict[str, Any]:
    """Every shot with its standing decision; the document of `review --json`."""
    decisions = standing_decisions(prepared.store, prepared.name)
    previews = read_previews(prepared.store, prepared.name).newest
    return {
        "episode": prepared.name,
        "gate": prepared.request.episode.review.gate,
        "shots": [_line(prepared.plan, shot, decisions, previews) for shot in prepared.plan.shots],
    }


def _line(
    plan: RenderPlan, shot: ShotPlan, decisions: Decisions, previews: dict[str, str]
) -> dict[str, Any]:
    name, done = shot.shot.id, plan.is_done(shot)
    seen = shot.segment.key if shot.segment else ""
    if not done and name in previews and (name, seen) not in decisions:
        seen = previews[name]
    decision = decisions.get((name, seen))
    return {
        "id": name,
        "rendered": done,
        "previewed": name in previews,
        "of": decision.of if decision else "",
        "verdict": decision.verdict if decision else "none",
        "by": decision.by if decision else "",
        "at": decision.at if decision else "",
        "note": decision.note if decision else "",
    }
