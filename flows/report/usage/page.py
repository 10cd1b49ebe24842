"""The page of a usage report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flows.report.page import render
from flows.report.plots import SERIES, Plot, Series, bars, gather_rest, horizontal_bars, lines
from flows.report.usage.figures import Cost, Report, Slot
from flows.report.usage.words import cost_words, film_words, period_words

STAGES_SHOWN = 12
ROWS_SHOWN = 200
"""Failures and retaken shots listed at the most."""


def render_page(report: Report) -> str:
    """The whole page."""
    return render(
        "usage/page.html.j2",
        report=report,
        totals=report.totals,
        period=period_words(report),
        cost=partial(cost_words, report),
        film=film_words,
        plots=[plot for plot in _plots(report) if plot.svg],
        shown=ROWS_SHOWN,
    )


def _plots(report: Report) -> list[Plot]:
    slots = report.slots
    named = [slot.begins[5:] if report.slot != "month" else slot.begins[:7] for slot in slots]
    stages = [row for row in report.stages if row.frames][:STAGES_SHOWN]
    return [
        Plot(
            title=f"Spent per {report.slot}",
            about=f"{report.unit} by stage",
            svg=bars("Spent", report.unit, named, _by_stage(slots)),
        ),
        Plot(
            title="Cost of a minute of film",
            about=f"what a {report.slot} cost over the films that came out in it",
            svg=lines(
                "Cost of a minute of film",
                f"{report.unit} per minute",
                named,
                [
                    _over(
                        slots,
                        "a minute of film",
                        [_one(report, slot.per_film_minute) for slot in slots],
                    )
                ],
            ),
        ),
        Plot(
            title="Reuse and idleness",
            about="chunks found in the store; time held without computing",
            svg=lines(
                "Reuse and idleness",
                "share",
                named,
                [
                    _over(slots, "reused", [slot.cache_hit_rate for slot in slots]),
                    _idle(report),
                ],
                shares=True,
            ),
        ),
        Plot(
            title="Retakes, failures, retries",
            about="shots that people sent back, shots that failed, tries that were made good",
            svg=bars(
                "Retakes, failures, retries",
                "count",
                named,
                [
                    _over(slots, "retakes", [float(slot.retakes) for slot in slots]),
                    _over(slots, "failed shots", [float(slot.failed_shots) for slot in slots]),
                    _over(slots, "retries", [float(slot.retries) for slot in slots]),
                ],
            ),
        ),
        Plot(
            title="Where a frame's time goes",
            about="seconds of one worker per frame, the stages with most hours first",
            svg=horizontal_bars(
                "Where a frame's time goes",
                "seconds per frame",
                [f"{row.stage} ({row.device})" for row in stages],
                [
                    Series(name="load", values=tuple(row.frame_load_s for row in stages)),
                    Series(name="compute", values=tuple(row.frame_compute_s for row in stages)),
                    Series(name="store", values=tuple(row.frame_store_s for row in stages)),
                ],
            ),
        ),
    ]


def _by_stage(slots: Sequence[Slot]) -> list[Series]:
    names = {stage for slot in slots for stage in slot.by_stage}
    parts = {name: tuple(slot.by_stage.get(name, 0.0) for slot in slots) for name in sorted(names)}
    return gather_rest(parts, most=len(SERIES) - 1)


def _idle(report: Report) -> Series:
    """Of GPUs, or of workers on the CPU where no GPU was used."""
    if report.totals.gpu_idle_share is not None:
        return _over(report.slots, "GPUs idle", [slot.gpu_idle_share for slot in report.slots])
    return _over(report.slots, "workers idle", [slot.cpu_idle_share for slot in report.slots])


def _over(slots: Sequence[Slot], name: str, values: Sequence[float | None]) -> Series:
    assert len(values) == len(slots)
    return Series(name=name, values=tuple(values))


def _one(report: Report, cost: Cost | None) -> float | None:
    return None if cost is None else report.one_number(cost)
