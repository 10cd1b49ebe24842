"""Preview first: every Nth frame of each shot is made, shown, and waits for a person.

The frames are pieces (`pick.py`), so that the full render takes them as they are. A decision
on a preview names its look: the keys of the frames that were shown. Another recipe, another frame
of the source or another N is another look. `reviews/EPISODE/previews/RUN.json` says which looks
were shown, for `douga approve` and `douga retake`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from cluster.keys import Key, make_key
from cluster.store.base import Store
from flows.plan.decisions import Newest, standing_decisions
from flows.plan.partial import Asked, ask
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.track import Span

UNSEEN = "not approved yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the previews of an episode showed: by shot the key of its newest look, and the looks of
    the last preview alone."""

    looks: dict[str, str]
    last: dict[str, str]


def preview_frames(shot: ShotPlan, every: int) -> frozenset[int]:
    """The frames of a shot that a preview shows, counted as it comes out; the first is one."""
    return frozenset(range(0, len(shot.track), every))


def look_of(shot: ShotPlan, every: int) -> Key:
    """The key of what a preview of a shot shows."""
    maker = shot.runs[-1].maker
    frames = sorted(preview_frames(shot, every))
    return make_key({"preview": [maker.piece(Span(at, at + 1)).key for at in frames]})


def ask_preview(plan: RenderPlan, newest: Newest, *, every: int, shots: Collection[str]) -> Asked:
    """What a render with a preview is to make: of each of `shots` (none named: all) every Nth
    frame, and all of those that are approved or rendered."""
    whole: list[str] = []
    frames: dict[str, frozenset[int]] = {}
    for shot in plan.shots:
        name = shot.shot.id
        if shots and name not in shots:
            continue
        if plan.is_done(shot) or _verdict(newest, shot, every) == "approved":
            whole.append(name)
        else:
            frames[name] = preview_frames(shot, every)
    return ask(whole, frames)


def asked_preview(store: Store, plan: RenderPlan, *, every: int, shots: Collection[str]) -> Asked:
    """`ask_preview` by the decisions in the store; `plan` must know what is stored."""
    return ask_preview(plan, standing_decisions(store, plan.episode), every=every, shots=shots)


def previewed_shots(plan: RenderPlan) -> list[ShotPlan]:
    """The shots of which a plan makes a preview only."""
    return [shot for shot in plan.shots if plan.asked.frames.get(shot.shot.id)]


def waiting_previews(store: Store, plan: RenderPlan, *, every: int) -> list[tuple[str, str]]:
    """The previewed shots that wait: (shot, why), in film order."""
    newest = standing_decisions(store, plan.episode)
    waiting: list[tuple[str, str]] = []
    for shot in previewed_shots(plan):
        decision = newest.get((shot.shot.id, look_of(shot, every)))
        sent_back = f"retake: {decision.note or 'no words'}" if decision else ""
        waiting.append((shot.shot.id, sent_back or UNSEEN))
    return waiting


def record_preview(
    store: Store, plan: RenderPlan, *, every: int, film: str, sheet: str, at: str
) -> None:
    """Remember which looks a preview showed, unless the last one showed the same."""
    looks = {shot.shot.id: look_of(shot, every) for shot in previewed_shots(plan)}
    if read_shown(store, plan.episode).last == looks:
        return
    document = {
        "episode": plan.episode,
        "run": plan.run,
        "every": every,
        "film": film,
        "sheet": sheet,
        "at": at,
        "shots": looks,
    }
    name = f"reviews/{plan.episode}/previews/{plan.run}.json"
    store.put(name, json.dumps(document).encode())


def read_shown(store: Store, episode: str) -> Shown:
    """What the previews of an episode showed."""
    looks: dict[str, str] = {}
    last: dict[str, str] = {}
    for entry in store.list(f"reviews/{episode}/previews/"):  # runs are named in order of time
        last = json.loads(store.get(entry.name))["shots"]
        looks.update(last)
    return Shown(looks=looks, last=last)


def _verdict(newest: Newest, shot: ShotPlan, every: int) -> str:
    if not len(shot.track):
        return "approved"
    decision = newest.get((shot.shot.id, look_of(shot, every)))
    return decision.verdict if decision else ""
