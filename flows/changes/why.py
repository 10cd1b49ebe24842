"""Why each shot of a plan is to be rendered, by the manifests of earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.changes.compare import Reason, reasons_for
from flows.changes.manifest import newest_manifests, read_last_renders
from flows.plan.prepare import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The reasons of every shot, by shot, and which shots a run has finished before."""

    reasons: Mapping[str, tuple[Reason, ...]]
    seen_before: frozenset[str]

    def words(self, shot: str, *, run: int | None = None) -> list[str]:
        """A shot's reasons in words; of one of its runs, those that reach it."""
        reasons = self.reasons.get(shot, ())
        reaching = [each.words for each in reasons if run is None or each.run <= run]
        return reaching or [each.words for each in reasons]


def why(prepared: Prepared) -> Why:
    """The reasons for a plan. One listing of the episode's manifests, and the newest of each shot
    that is not done; none is read of those that are."""
    plan = prepared.plan
    newest = newest_manifests(prepared.store, plan.episode)
    undone = (shot.shot.id for shot in plan.shots if not plan.is_done(shot))
    before = read_last_renders(prepared.store, [newest[shot] for shot in undone if shot in newest])
    reasons = {
        shot.shot.id: reasons_for(plan, shot, before.get(shot.shot.id)) for shot in plan.shots
    }
    return Why(reasons=reasons, seen_before=frozenset(newest))
