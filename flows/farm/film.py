"""The end of a run, step by step: film or waiting shots, preview, notes, result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from flows.changes.manifest import write_missing_manifests
from flows.farm.deliver import Delivery, deliver_film
from flows.farm.notes import gather_notes
from flows.farm.shot import ShotResult
from flows.farm.summary import sum_up
from flows.plan.partial_record import ask_store
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared
from flows.plan.preview import previewed_shots, waiting_previews
from flows.progress import Reporter
from flows.review.gate import waiting_shots
from flows.review.proxy import Proxy, make_proxy
from flows.review.sheet import lay_sheet_beside, store_sheet
from flows.runs.result import EpisodeResult


def finish_film(
    prepared: Prepared,
    results: Sequence[ShotResult],
    reporter: Reporter,
    *,
    began: float,
    render_s: float = 0.0,
    quarantined: tuple[str, ...] = (),
) -> EpisodeResult:
    """Deliver the film if every shot is stored and approved; the result of the run."""
    store = prepared.store
    plan = ask_store(store, prepared.plan)
    complete = all(plan.is_done(shot) for shot in plan.shots)
    gate = prepared.request.episode.review.gate
    waiting = waiting_shots(store, plan) if complete and gate else []
    if complete and not waiting:
        delivery = deliver_film(prepared, plan, reporter)
    else:
        delivery = Delivery()
        write_missing_manifests(store, plan)
    output, pictures = Path(prepared.request.output), None
    if waiting:
        names = [shot for shot, _ in waiting]
        pictures = lay_sheet_beside(store, plan, output, waiting=names)
    preview: Proxy | None = None
    if _is_previewed(prepared, plan, results):
        waiting = waiting_previews(store, plan, every=prepared.request.preview_every)
        preview = make_proxy(prepared, plan, reporter)
    sheet = preview.sheet if preview else store_sheet(store, plan, made={r.shot for r in results})
    notes = gather_notes(store, plan, output)
    return sum_up(
        prepared,
        plan,
        results,
        film=delivery.film,
        notes=(*delivery.notes, *notes),
        findings=delivery.findings,
        sheet=sheet,
        waiting=tuple(f"{shot}: {why}" for shot, why in waiting),
        preview=str(preview.film) if preview else None,
        pictures=str(pictures) if pictures else None,
        wall_s=time.monotonic() - began,
        render_s=render_s,
        quarantined=quarantined,
    )


def _is_previewed(prepared: Prepared, plan: RenderPlan, results: Sequence[ShotResult]) -> bool:
    """Whether the run made a preview of some shot, and nothing of it failed."""
    asked = prepared.request.preview_every and previewed_shots(plan)
    return bool(asked) and all(result.error is None for result in results)
