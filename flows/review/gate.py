"""Decisions of people on shots, as events in the store; the gate before the film is assembled.

A decision is about what was seen: it names the shot's segment, or the look of its preview. A shot
that comes out different waits for a new one. The newest decision on a thing counts; nothing is ever
overwritten.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cluster.errors import RefusedError, UsageError
from cluster.store.base import Store
from flows.plan.decisions import (
    Decision,
    Newest,
    Thing,
    Verdict,
    standing_decisions,
    write_decision,
)
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.plan.preview import read_shown

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
    newest = standing_decisions(store, plan.episode)
    looks = read_shown(store, plan.episode).looks
    made: list[Decision] = []
    for name in shots or _open_shots(plan, newest, looks):
        seen = list(_seen(plan, known[name], newest, looks))
        if not seen:
            raise RefusedError(
                "is not rendered yet", where=f"{prepared.name}/{name}", remedy="render it first"
            )
        for thing, key in seen:
            made.append(
                Decision(
                    episode=prepared.name,
                    shot=name,
                    segment=key,
                    verdict=verdict,
                    by=by or getpass.getuser(),
                    at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    note=note,
                    of=thing,
                )
            )
    for decision in made:
        write_decision(store, decision)
    return made


def _seen(
    plan: RenderPlan, shot: ShotPlan, newest: Newest, looks: dict[str, str]
) -> Iterator[tuple[Thing, str]]:
    """What of a shot a person can have seen: its segment, or a preview; both where the preview was
    left undecided."""
    name, done = shot.shot.id, plan.is_done(shot)
    look = looks.get(name)
    if look is not None and not (done and (name, look) in newest):
        yield "preview", look
    if done and shot.segment is not None:
        yield "segment", shot.segment.key


def _open_shots(plan: RenderPlan, newest: Newest, looks: dict[str, str]) -> list[str]:
    """The shots that nobody has decided on; where there was a preview, only those that somebody
    can have seen."""
    return [
        shot.shot.id
        for shot in plan.shots
        if shot.segment is not None
        and (shot.shot.id, shot.segment.key) not in newest
        and (plan.is_done(shot) or not looks or _undecided(shot, newest, looks))
    ]


def _undecided(shot: ShotPlan, newest: Newest, looks: dict[str, str]) -> bool:
    name = shot.shot.id
    return name in looks and (name, looks[name]) not in newest


def waiting_shots(store: Store, plan: RenderPlan) -> list[tuple[str, str]]:
    """Shots without a standing approval of what they are now: (shot, why), in film order."""
    newest = standing_decisions(store, plan.episode)
    waiting: list[tuple[str, str]] = []
    for shot in plan.shots:
        if shot.segment is None:
            continue
        decision = newest.get((shot.shot.id, shot.segment.key))
        if decision is None:
            waiting.append((shot.shot.id, UNDECIDED))
        elif decision.verdict == "retake":
            waiting.append((shot.shot.id, f"retake: {decision.note or 'no words'}"))
    return waiting


def review_document(prepared: Prepared) -> dict[str, Any]:
    """Every shot with its standing decision; the document of `review --json`."""
    newest = standing_decisions(prepared.store, prepared.name)
    looks = read_shown(prepared.store, prepared.name).looks
    return {
        "episode": prepared.name,
        "gate": prepared.request.episode.review.gate,
        "shots": [_line(prepared.plan, shot, newest, looks) for shot in prepared.plan.shots],
    }


def _line(
    plan: RenderPlan, shot: ShotPlan, newest: Newest, looks: dict[str, str]
) -> dict[str, Any]:
    name, done = shot.shot.id, plan.is_done(shot)
    seen = shot.segment.key if shot.segment else ""
    if not done and name in looks and (name, seen) not in newest:
        seen = looks[name]
    decision = newest.get((name, seen))
    return {
        "id": name,
        "rendered": done,
        "previewed": name in looks,
        "of": decision.of if decision else "",
        "verdict": decision.verdict if decision else "none",
        "by": decision.by if decision else "",
        "at": decision.at if decision else "",
        "note": decision.note if decision else "",
    }
