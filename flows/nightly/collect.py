"""What an episode of a night came to: its shots measured and compared, its cost, its film."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.errors import DougaError
from cluster.keys import digest_bytes
from cluster.ledger.history import read_ledger
from cluster.ledger.receipts import Receipt
from cluster.scratch import scratch_folder
from cluster.store.base import NotStored, Store
from flows.nightly.compare import compare_film, compare_shot
from flows.nightly.spec import Thresholds
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from flows.runs.costs import spending_of
from flows.runs.night import NightEpisode, NightShot
from flows.runs.nights import LastGood
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult, ShotLine, shots_failed
from tasks.metrics.film_quality import EQUAL_DB, Measured, Side, measure_shot
from tasks.metrics.loudness import Loudness, measure_loudness
from tasks.worker.item import segment_name

FRAMES = "nightframes/"
RENDERED = ("rendered", "stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What measuring needs besides an episode: where pictures go, how far is too far, whom to tell.

    `good` gives what an episode is compared with, by the shots it has and those rendered whole.
    """

    store: Store
    limits: Thresholds
    good: Callable[[str, frozenset[str], frozenset[str]], LastGood]
    reporter: Reporter


def collect(
    prepared: Prepared, result: EpisodeResult, *, show: str, comparison: Comparison
) -> NightEpisode:
    """An episode that was rendered, with each shot held against the last good night's."""
    receipts = read_ledger(prepared.store, run=result.run)
    spent = spending_of(receipts)
    film = Path(result.film) if result.film else None
    sound = measure_loudness(film) if film else None
    done_in_part = result.outcome is Outcome.DONE and not film
    episode = NightEpisode(
        episode=prepared.name,
        show=show,
        state=Outcome.FAILED if done_in_part else result.outcome,
        why=_why(result),
        run=result.run,
        film=result.film or "",
        store=result.store,
        wall_s=result.wall_s,
        gpu_hours=spent.gpu_hours,
        cpu_hours=spent.cpu_hours,
        money=spent.money,
        loudness=sound.integrated if sound else None,
        duration_s=float(prepared.plan.end - prepared.plan.times[0]),
        computed=result.chunks_computed,
        reused=result.chunks_reused,
    )
    plans = {shot.shot.id: shot for shot in prepared.plan.shots}
    whole = {line.id for line in result.shots if line.chunks and line.computed == line.chunks}
    good = comparison.good(prepared.name, frozenset(plans), frozenset(whole))
    comparison.reporter.phase(f"comparing {prepared.name} with the last good night")
    lines = [_line(line, plans[line.id], receipts, sound) for line in result.shots]

    def measure(line: NightShot) -> NightShot:
        return _measured(line, prepared, good, comparison)

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # most of it is in code that lets go
        shots = tuple(threads.map(measure, lines))
    found = compare_film(episode, good.film, limits=comparison.limits) if good.film else ()
    return replace(episode, shots=shots, regressions=found, compared=good.film_night)


def _why(result: EpisodeResult) -> str:
    if result.failed:
        return shots_failed(result, "").what
    words = (*result.findings, *(f"waits for review: {each}" for each in result.waiting))
    return words[0] + (f" (and {len(words) - 1} more)" if len(words) > 1 else "") if words else ""


def _line(
    line: ShotLine, plan: ShotPlan, receipts: list[Receipt], sound: Loudness | None
) -> NightShot:
    """A shot before its pictures are looked at."""
    there = plan.segment is not None and line.state in RENDERED
    start, end = float(plan.track.times[0]) if len(plan.track) else 0.0, float(plan.track.end)
    return NightShot(
        id=line.id,
        state=line.state,
        frames=line.frames,
        seconds=line.seconds,
        money=spending_of(each for each in receipts if each.shot == line.id).money,
        segment=segment_name(plan.segment.key) if there and plan.segment else "",
        chunks=line.chunks,
        computed=line.computed,
        duration_s=round(end - start, 6) if len(plan.track) else 0.0,
        loudness=sound.between(start, end) if sound else None,
        error=line.error,
        failure=line.failure,
        frame=line.frame,
    )


def _measured(
    line: NightShot, prepared: Prepared, good: LastGood, comparison: Comparison
) -> NightShot:
    """A shot with what its pictures are, and what of it has regressed."""
    if not line.segment:
        return line
    was = good.shots.get(line.id)
    measured: Measured | None = None
    if was is not None and was.segment == line.segment:
        line = replace(line, psnr=EQUAL_DB, ssim=1.0, flicker=was.flicker, thumbnail=was.thumbnail)
    else:
        try:
            measured = _look(line, was, prepared.store)
        except DougaError as error:
            comparison.reporter.note(f"{prepared.name}/{line.id} could not be measured: {error}")
            return line
        line = replace(
            line,
            psnr=round(measured.psnr.now, 3) if measured.psnr else None,
            ssim=round(measured.ssim.now, 5) if measured.ssim else None,
            flicker=None if measured.flicker is None else round(measured.flicker, 4),
            thumbnail=_keep(comparison.store, measured.thumbnail),
        )
    found = compare_shot(
        line,
        was,
        timed=good.timed.get(line.id),
        measured=measured,
        limits=comparison.limits,
        put_png=lambda png: _keep(comparison.store, png),
    )
    return replace(line, regressions=found)


def _look(line: NightShot, was: NightShot | None, store: Store) -> Measured:
    """The measures of a shot's segment beside the earlier one's, where that is still stored."""
    with scratch_folder("night") as folder:
        after = _fetch(store, line, folder / "after.mkv")
        try:
            before = _fetch(store, was, folder / "before.mkv") if was else None
        except NotStored:
            before = None
        return measure_shot(after, before)


def _fetch(store: Store, line: NightShot, path: Path) -> Side:
    store.get_file(line.segment, path)
    return Side(path=path, frames=line.frames, duration_s=line.duration_s)


def _keep(store: Store, png: bytes) -> str:
    """Put a picture, named by its content; its name."""
    digest = digest_bytes(png)
    name = f"{FRAMES}{digest[:2]}/{digest}.png"
    store.put(name, png, if_absent=True)
    return name
