"""From facts to figures. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np

from cluster.settings import settings
from flows.plan.decisions import Decision
from flows.report.usage.facts import Facts, RunFact, moment_of
from flows.report.usage.figures import (
    Cost,
    EpisodeRow,
    FailureRow,
    Report,
    RetakenShot,
    Slot,
    Totals,
)
from flows.report.usage.work import (
    Bools,
    DeviceUse,
    Work,
    device_uses,
    idle_share,
    node_rows,
    read_work,
    stage_rows,
)

Span = Literal["day", "week", "month"]
DAYS, WEEKS = 45, 366
"""Longest time in days that is shown by day, and by week; what is longer, by month."""


def compute_report(facts: Facts, *, episode: str = "") -> Report:
    """The figures of a time."""
    work = read_work(facts.receipts)
    used = device_uses(work)
    films = _films(facts.runs)
    episodes = [
        _episode_row(name, facts, work, films.get(name, 0.0)) for name in _episodes(facts, work)
    ]
    episodes.sort(key=lambda row: (-(row.cost.gpu_hours + row.cost.cpu_hours), row.episode))
    prices = settings()
    priced = bool(prices.gpu_hour_price or prices.cpu_hour_price)
    slot, slots = _slots(facts, work, used, priced=priced)
    return Report(
        store=facts.store,
        episode=episode,
        since=facts.since.isoformat(timespec="seconds"),
        until=facts.until.isoformat(timespec="seconds"),
        currency=prices.currency,
        priced=priced,
        slot=slot,
        totals=_totals(facts, work, used, episodes),
        episodes=tuple(episodes),
        stages=tuple(stage_rows(work)),
        nodes=tuple(node_rows(work, used)),
        slots=tuple(slots),
        retaken=tuple(_retaken(facts.decisions)),
        failures=tuple(
            FailureRow(
                at=each.at.isoformat(timespec="seconds"),
                episode=each.episode,
                shot=each.shot,
                run=each.run,
                stage=each.stage,
                error=each.error,
            )
            for each in facts.failures
        ),
    )


def _totals(
    facts: Facts, work: Work, used: Sequence[DeviceUse], episodes: Sequence[EpisodeRow]
) -> Totals:
    finished = [row for row in episodes if row.film_minutes]
    minutes = sum(row.film_minutes for row in finished)
    shots = sum(row.shots for row in episodes)
    retakes = sum(row.retakes for row in episodes)
    computed = sum(run.computed for run in facts.runs)
    reused = sum(run.reused for run in facts.runs)
    return Totals(
        runs=len({run.run for run in facts.runs} | set(work.run.values)),
        failed_runs=sum(run.state == "failed" for run in facts.runs),
        items=int((~work.reused).sum()),
        frames=int(work.frames[~work.reused].sum()),
        bytes_put=int(work.size_bytes.sum()),
        cost=work.cost(),
        film_minutes=minutes,
        per_film_minute=_per(_sum(row.cost for row in finished), minutes),
        unfinished=_sum(row.cost for row in episodes if not row.film_minutes),
        chunks_computed=computed,
        chunks_reused=reused,
        cache_hit_rate=_share(reused, computed + reused),
        gpu_idle_share=idle_share(used, on_gpu=True),
        cpu_idle_share=idle_share(used, on_gpu=False),
        shots=shots,
        retakes=retakes,
        retakes_per_shot=_share(retakes, shots),
        failed_shots=len(facts.failures),
        retries=int(work.retries.sum()),
    )


def _episodes(facts: Facts, work: Work) -> set[str]:
    named: Iterable[RunFact | Decision] = (*facts.runs, *facts.decisions)
    return {each.episode for each in named} | set(work.episode.values)


def _films(runs: Iterable[RunFact]) -> dict[str, float]:
    """Minutes of the newest film of each episode of which one came out; runs in time."""
    return {run.episode: run.film_s / 60 for run in runs if run.has_film and run.film_s}


def _episode_row(name: str, facts: Facts, work: Work, minutes: float) -> EpisodeRow:
    runs = [run for run in facts.runs if run.episode == name]
    rows = work.episode.equals(name)
    cost = work.cost(rows)
    retaken = [each for each in facts.decisions if each.episode == name]
    retakes = sum(each.verdict == "retake" for each in retaken)
    shots = {shot for run in runs for shot in run.shots} | {each.shot for each in retaken}
    computed, reused = sum(run.computed for run in runs), sum(run.reused for run in runs)
    return EpisodeRow(
        episode=name,
        runs=len({run.run for run in runs} | work.run.values_in(rows)),
        film_minutes=minutes,
        cost=cost,
        per_film_minute=_per(cost, minutes),
        cache_hit_rate=_share(reused, computed + reused),
        shots=len(shots),
        retakes=retakes,
        retakes_per_shot=_share(retakes, len(shots)),
        failed_shots=sum(each.episode == name for each in facts.failures),
    )


def _slots(
    facts: Facts, work: Work, used: Sequence[DeviceUse], *, priced: bool
) -> tuple[Span, list[Slot]]:
    """Days, weeks or months, from the first in which something happened to the last."""
    moments = [run.at for run in facts.runs] + [each.at for each in facts.failures]
    moments += [moment_of(each.at) for each in facts.decisions]
    if len(work):
        ends = work.finished
        moments += [datetime.fromtimestamp(at, UTC) for at in (ends.min(), ends.max())]
    if not moments:
        return "day", []
    days = (max(moments) - min(moments)).days
    span: Span = "day" if days <= DAYS else "week" if days <= WEEKS else "month"
    begins = [_begin(min(moments), span)]
    while begins[-1] <= max(moments):
        begins.append(_following(begins[-1], span))
    edges = np.array([each.timestamp() for each in begins])
    place = np.searchsorted(edges, work.finished, side="right") - 1
    return span, [
        _slot(begin, until, facts, work, used, place == number, priced=priced)
        for number, (begin, until) in enumerate(pairwise(begins))
    ]


def _slot(
    begin: datetime,
    until: datetime,
    facts: Facts,
    work: Work,
    used: Sequence[DeviceUse],
    rows: Bools,
    *,
    priced: bool,
) -> Slot:
    runs = [run for run in facts.runs if begin <= run.at < until]
    computed, reused = sum(run.computed for run in runs), sum(run.reused for run in runs)
    cost = work.cost(rows)
    there = [use for use in used if begin.timestamp() <= use.until < until.timestamp()]
    by_stage = {
        stage: work.cost(rows & work.stage.equals(stage)) for stage in work.stage.values_in(rows)
    }
    return Slot(
        begins=f"{begin:%Y-%m-%d}",
        cost=cost,
        by_stage={
            stage: spent.money if priced else spent.gpu_hours + spent.cpu_hours
            for stage, spent in sorted(by_stage.items())
        },
        per_film_minute=_per(cost, sum(_films(runs).values())),
        cache_hit_rate=_share(reused, computed + reused),
        gpu_idle_share=idle_share(there, on_gpu=True),
        cpu_idle_share=idle_share(there, on_gpu=False),
        retakes=sum(
            each.verdict == "retake" and begin <= moment_of(each.at) < until
            for each in facts.decisions
        ),
        failed_shots=sum(begin <= each.at < until for each in facts.failures),
        retries=int(work.retries[rows].sum()),
    )


def _begin(moment: datetime, span: Span) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if span == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if span == "week" else day


def _following(begin: datetime, span: Span) -> datetime:
    return _begin(begin + timedelta(days={"day": 1, "week": 7, "month": 31}[span]), span)


def _retaken(decisions: Iterable[Decision]) -> list[RetakenShot]:
    """Shots sent back, those most often first."""
    by_shot: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda each: each.at):
        if decision.verdict == "retake":
            by_shot[decision.episode, decision.shot].append(decision)
    rows = [
        RetakenShot(
            episode=episode,
            shot=shot,
            retakes=len(found),
            last_at=found[-1].at,
            note=found[-1].note,
        )
        for (episode, shot), found in by_shot.items()
    ]
    return sorted(rows, key=lambda row: (-row.retakes, row.episode, row.shot))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _per(cost: Cost, minutes: float) -> Cost | None:
    if not minutes:
        return None
    return Cost(
        gpu_hours=cost.gpu_hours / minutes,
        cpu_hours=cost.cpu_hours / minutes,
        money=cost.money / minutes,
    )


def _sum(costs: Iterable[Cost]) -> Cost:
    found = list(costs)
    return Cost(
        gpu_hours=sum(cost.gpu_hours for cost in found),
        cpu_hours=sum(cost.cpu_hours for cost in found),
        money=sum(cost.money for cost in found),
    )
