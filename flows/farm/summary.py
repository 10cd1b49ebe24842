"""The result of a run, shot by shot, from its receipts and what the store has."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from flows.farm.shot import ShotResult
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.runs.result import EpisodeResult, ShotLine, part_state, reason_for
from tasks.worker.item import chunk_name


def sum_up(
    prepared: Prepared,
    plan: RenderPlan,
    results: Sequence[ShotResult],
    *,
    film: Path | None,
    notes: tuple[str, ...],
    findings: tuple[str, ...],
    sheet: str | None,
    waiting: tuple[str, ...],
    preview: str | None = None,
    pictures: str | None = None,
    wall_s: float,
    render_s: float,
    quarantined: tuple[str, ...] = (),
) -> EpisodeResult:
    """The result of a run; `film` is the one that stands under its name, None if there is none."""
    by_shot = {result.shot: result for result in results}
    lines = tuple(_line(plan, shot, by_shot.get(shot.shot.id)) for shot in plan.shots)
    return EpisodeResult(
        film=str(film) if film else None,
        episode=prepared.name,
        run=plan.run,
        store=prepared.request.store,
        shots=lines,
        frames_in=sum(shot.shot.end - shot.shot.start for shot in plan.shots),
        frames_out=sum(len(shot.track) for shot in plan.shots if plan.is_done(shot)),
        chunks_computed=sum(line.computed for line in lines),
        chunks_reused=sum(line.reused for line in lines),
        frames_reused=sum(line.frames_reused for line in lines),
        film_s=round(float(sum(_seconds(shot) for shot in plan.shots if plan.is_done(shot))), 3),
        wall_s=round(wall_s, 3),
        render_s=round(render_s, 3),
        compute_s=round(sum(r.compute_s for result in results for r in result.receipts), 3),
        verified=film is not None,
        sheet=sheet,
        waiting=waiting,
        preview=preview,
        pictures=pictures,
        notes=notes,
        findings=findings,
        retries=sum(line.retries for line in lines),
        quarantined=quarantined,
    )


def _seconds(shot: ShotPlan) -> Fraction:
    return shot.track.end - shot.track.times[0] if shot.track.times else Fraction(0)


def _line(plan: RenderPlan, shot: ShotPlan, result: ShotResult | None) -> ShotLine:
    chunks = sum(1 for _ in shot.items())
    made = [r for r in result.receipts if r.stage != "encode" and not r.reused] if result else []
    keys = {item.key for item in shot.items()}
    there = chunks if plan.is_done(shot) else sum(chunk_name(key) in plan.stored for key in keys)
    failed = result is not None and result.error is not None
    failure = result.failure if result else None
    if failed:
        state = "failed"
    elif plan.is_done(shot):
        state = "rendered" if result else "stored"
    elif not plan.selects_all(shot):
        state = part_state(plan, shot, made=result is not None)
    else:
        state = reason_for(plan, shot, seen_before=False)
    return ShotLine(
        id=shot.shot.id,
        source=shot.shot.source,
        start=shot.shot.start,
        end=shot.shot.end,
        frames=len(shot.track),
        chunks=chunks,
        computed=len(made),
        reused=there - sum(receipt.key in keys for receipt in made),
        frames_reused=result.frames_reused if result else 0,
        state=state,
        seconds=round(sum(r.load_s + r.compute_s + r.store_s for r in result.receipts), 3)
        if result
        else 0.0,
        error=str(result.error) if result and result.error else "",
        retries=sum(r.retries for r in result.receipts) if result else 0,
        frame=failure.frame if failure else None,
        source_frame=failure.source_frame if failure else None,
        failure=failure.name if failure else "",
    )
