"""Preview first: every Nth frame of each shot is made, shown, and waits for a person.

The frames are partial chunks (`partial.py`), so that the full render takes them as they are. A
decision names a preview by its key, made of the keys of its frames: another recipe, another frame
of the source or another N is another preview. `reviews/EPISODE/previews/RUN.json` says which
previews were shown, for `douga approve` and `douga retake`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cluster.keys import Key, make_key
from cluster.store.base import Store
from cluster.store.records import read_if_whole, record_text
from flows.plan.decisions import Decisions, standing_decisions
from flows.plan.partial import Selection, select
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.track import Span

UNSEEN = "not approved yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPreviews:
    """The previews of an episode that people have seen: the key of each shot's `newest`, and those
    of the `last` run alone."""

    newest: dict[str, str]
    last: dict[str, str]


def preview_frames(shot: ShotPlan, every: int) -> frozenset[int]:
    """The frames of a shot that a preview shows, counted as it comes out; the first is one."""
    return frozenset(range(0, len(shot.track), every))


def preview_key(shot: ShotPlan, every: int) -> Key:
    """The key of a shot's preview."""
    planner = shot.runs[-1].planner
    frames = sorted(preview_frames(shot, every))
    return make_key({"preview": [planner.partial(Span(at, at + 1)).key for at in frames]})


def select_preview(
    store: Store, plan: RenderPlan, *, every: int, shots: Collection[str]
) -> Selection:
    """What a render with a preview is to make: of each of `shots` (none named: all) every Nth
    frame, and all of those that are approved or rendered. `plan` must know what is stored."""
    decisions = standing_decisions(store, plan.episode)
    whole: list[str] = []
    frames: dict[str, frozenset[int]] = {}
    for shot in plan.shots:
        name = shot.shot.id
        if shots and name not in shots:
            continue
        if plan.is_done(shot) or _verdict(decisions, shot, every) == "approved":
            whole.append(name)
        else:
            frames[name] = preview_frames(shot, every)
    return select(whole, frames)


def previewed_shots(plan: RenderPlan) -> list[ShotPlan]:
    """The shots of which a plan makes a preview only."""
    return [shot for shot in plan.shots if plan.selection.frames.get(shot.shot.id)]


def waiting_previews(store: Store, plan: RenderPlan, *, every: int) -> list[tuple[str, str]]:
    """The previewed shots that wait: (shot, why), in film order."""
    decisions = standing_decisions(store, plan.episode)
    waiting: list[tuple[str, str]] = []
    for shot in previewed_shots(plan):
        decision = decisions.get((shot.shot.id, preview_key(shot, every)))
        sent_back = f"retake: {decision.note or 'no words'}" if decision else ""
        waiting.append((shot.shot.id, sent_back or UNSEEN))
    return waiting


def record_preview(
    store: Store, plan: RenderPlan, *, every: int, film: str, sheet: str, at: str
) -> None:
    """Record which previews a run showed, unless the last run showed the same."""
    keys = {shot.shot.id: preview_key(shot, every) for shot in previewed_shots(plan)}
    if read_previews(store, plan.episode).last == keys:
        return
    document = {
        "episode": plan.episode,
        "run": plan.run,
        "every": every,
        "film": film,
        "sheet": sheet,
        "at": at,
        "shots": keys,
    }
    name = f"reviews/{plan.episode}/previews/{plan.run}.json"
    store.put(name, record_text(document).encode())


def read_previews(store: Store, episode: str) -> ShownPreviews:
    """The previews of an episode that people have seen."""
    newest: dict[str, str] = {}
    last: dict[str, str] = {}
    then = "that these previews were shown is not known"
    for entry in store.list(f"reviews/{episode}/previews/"):  # runs are named in order of time
        last = read_if_whole(store, entry.name, shown_shots, then=then) or {}
        newest.update(last)
    return ShownPreviews(newest=newest, last=last)


def shown_shots(document: Any) -> dict[str, str]:
    """The keys of the previews that a record names, by shot."""
    return {str(shot): str(key) for shot, key in document["shots"].items()}


def _verdict(decisions: Decisions, shot: ShotPlan, every: int) -> str:
    if not len(shot.track):
        return "approved"
    decision = decisions.get((shot.shot.id, preview_key(shot, every)))
    return decision.verdict if decision else ""
