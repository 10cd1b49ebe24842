"""Check a film and its store against the episode: chunks, segments, times, streams, every frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from flows.verify.deep import remake_chunks, sample_chunks
from flows.verify.expected import SourceComparison
from flows.verify.segments import ChunkPlace, StoredFrames, StoreFinding, read_segments
from tasks.verify import Finding, expect_film, frames_words, verify_film
from tasks.verify.evidence import Evidence
from tasks.worker.item import chunk_name, evidence_name, segment_name

MADE_ANEW = ("segment or film", "stored picture")
"""Findings in a film that making the shot's segment again mends."""
REPAIR = "douga verify --repair"
RENDER = "douga render"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What is wrong, which of the store's objects to delete so that they are made again, and how
    many chunks were made again to compare."""

    findings: tuple[Finding, ...] = ()
    objects: tuple[str, ...] = ()
    remade: int = 0


def check_film(
    prepared: Prepared,
    plan: RenderPlan,
    film: Path,
    reporter: Reporter,
    *,
    film_only: bool = False,
    sample: Sequence[ChunkPlace] = (),
    evidence: Mapping[str, Evidence] = MappingProxyType({}),
) -> CheckResult:
    """What is wrong with a film and with what the store has of its plan.

    Shots with good `evidence` of their stored segment were looked at already: their packets, times
    and streams are looked at, their frames only where something of the film is wrong.
    `film_only` leaves the store out: what is stored is compared with, and need not be there.
    Chunks of the `sample` are made again and held against those stored.
    """
    reporter.phase("verifying")
    counts = [shot.segment.frames for shot in plan.shots if shot.segment]
    prints, segments = read_segments(
        prepared.store, plan, evidence=evidence, missing_is_wrong=not film_only
    )
    frames = StoredFrames(
        prepared.store,
        plan,
        None if film_only else SourceComparison(prepared),
        vouched=evidence,
        missing_is_wrong=not film_only,
    )
    expected = expect_film(
        times=plan.times,
        end=plan.end,
        picture=plan.picture,
        container=prepared.request.container,
        passthrough=prepared.passthrough,
    )
    try:
        in_film = verify_film(
            film,
            expected=expected,
            deep=True,
            picture_of=frames,
            progress=lambda done, total: reporter.fraction(min(1.0, done / total)),
            segments=prints,
            counts=counts,
            vouched=[shot.shot.id in evidence for shot in plan.shots if shot.segment],
        )
    finally:
        stored = frames.finish()
    other, remade = remake_chunks(prepared, sample, reporter) if sample else ((), 0)
    found = _gather(plan, [] if film_only else [*segments, *stored, *other], in_film)
    return replace(found, remade=remade)


def check_store(prepared: Prepared, reporter: Reporter) -> CheckResult:
    """What is wrong with what the store has of a plan of which there is no film yet."""
    reporter.phase("verifying what is stored")
    plan = prepared.plan
    _, segments = read_segments(prepared.store, plan, evidence={}, missing_is_wrong=False)
    frames = StoredFrames(prepared.store, plan, SourceComparison(prepared), missing_is_wrong=False)
    return _gather(plan, [*segments, *frames.finish()], [])


def check_document(
    prepared: Prepared,
    film: Path,
    reporter: Reporter,
    *,
    film_only: bool = False,
    deep: bool = False,
) -> dict[str, Any]:
    """Check a film that exists; the document of `verify --json`. `deep` makes a sample of the
    stored chunks again, from inputs that the store has (`upload_inputs`). Where the film is not
    there, only the store is checked."""
    sample = sample_chunks(prepared.plan) if deep else ()
    if film.is_file():
        checked = check_film(
            prepared, prepared.plan, film, reporter, film_only=film_only, sample=sample
        )
    else:
        checked = check_store(prepared, reporter)
    return {
        "film": str(film),
        "episode": prepared.name,
        "frames": len(prepared.plan.times),
        "chunks": 0 if film_only else sum(1 for shot in prepared.plan.shots for _ in shot.items()),
        "chunks_remade": checked.remade,
        "good": not checked.findings,
        "findings": [asdict(found) for found in checked.findings],
        "objects": list(checked.objects),
    }


def remove_objects(prepared: Prepared, names: Sequence[str]) -> None:
    """Delete objects that failed verification, so that the next render makes them again, and what
    was found of them."""
    evidence = {
        segment_name(shot.segment.key): evidence_name(shot.segment.key)
        for shot in prepared.plan.shots
        if shot.segment
    }
    for name in names:
        prepared.store.delete(name)
        if name in evidence:
            prepared.store.delete(evidence[name])


def _gather(
    plan: RenderPlan,
    stored: Sequence[StoreFinding],
    in_film: Sequence[Finding],
) -> CheckResult:
    """All errors, placed by shot, each with what to do next."""
    findings = [replace(found.finding, next=REPAIR) for found in stored]
    objects = {name for found in stored for name in found.objects}
    failed = {found.shot for found in stored}
    starts = list(accumulate((len(shot.track) for shot in plan.shots), initial=0))
    for finding in in_film:
        if finding.severity != "error":
            continue
        stays = finding.frames is None or finding.what not in MADE_ANEW
        if finding.frames is not None and not stays:
            for shot, first in zip(plan.shots, starts, strict=False):
                names = _names(shot, finding.frames[0] - first, finding.frames[1] - first)
                objects |= names if finding.what == "stored picture" else set()
                failed |= {shot.shot.id} if names else set()
        placed = _place(finding, plan, starts)
        findings.append(replace(placed, next=RENDER if stays else REPAIR))
    # A shot whose segment is stored counts as done: it goes with any chunk that must be made again.
    objects |= {
        segment_name(shot.segment.key)
        for shot in plan.shots
        if shot.segment and shot.shot.id in failed
    }
    return CheckResult(findings=tuple(findings), objects=tuple(sorted(objects)))


def _names(shot: ShotPlan, start: int, end: int) -> set[str]:
    """The last chunks of a shot that hold some of its frames `[start, end)`, as planes and as
    codes."""
    return {
        chunk_name(key)
        for item in shot.runs[-1].items
        if item.out.start < end and start < item.out.end
        for key in (item.key, item.codes)
        if key
    }


def _place(finding: Finding, plan: RenderPlan, starts: Sequence[int]) -> Finding:
    """A finding about frames of the film with the shot that they are of in `where`."""
    if finding.frames is None:
        return replace(finding, where=finding.where or "film")
    start, end = finding.frames
    first = max(0, min(bisect_right(starts, start) - 1, len(plan.shots) - 1))
    last = max(0, min(bisect_right(starts, end - 1) - 1, len(plan.shots) - 1))
    if finding.where.startswith("sound"):
        return replace(finding, where=f"{finding.where} ({plan.shots[first].shot.id})")
    if first == last:
        own = frames_words((start - starts[first], end - starts[first]))
        return replace(finding, where=f"{plan.shots[first].shot.id} {own} (film {start})")
    ids = f"{plan.shots[first].shot.id} to {plan.shots[last].shot.id}"
    return replace(finding, where=f"{ids} (film {start}-{end - 1})")
