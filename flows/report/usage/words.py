"""Figures as a person reads them."""

from __future__ import annotations

from flows.report.usage.figures import Cost, Report
from flows.report.usage.period import ALWAYS


def period_words(report: Report) -> str:
    """`2026-11-01 to 2026-12-01 UTC`, with hours where a day is not whole."""
    ends = []
    for moment in (report.since, report.until):
        day, _, time = moment[:16].partition("T")
        ends.append(day if time == "00:00" else f"{day} {time}")
    if report.since[:10] == f"{ALWAYS:%Y-%m-%d}":
        return f"all until {ends[1]} UTC"
    return f"{ends[0]} to {ends[1]} UTC"


def percent(share: float | None) -> str:
    """`87 %`; a dash where there is nothing to have a share of."""
    if share is None:
        return "–"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 or 0.9 < share < 1 else f"{100 * share:.0f} %"


def hour_words(hours: float) -> str:
    """`3.2 h`, `14 min`, `5 s`."""
    if hours >= 1:
        return f"{hours:,.1f} h" if hours < 100 else f"{hours:,.0f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else second_words(hours * 3600)


def second_words(seconds: float) -> str:
    """`12 s`, `3.1 s`, `0.042 s`."""
    if seconds >= 10:
        return f"{seconds:,.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.3f} s" if seconds else "0 s"


def minute_words(minutes: float) -> str:
    """A film's length: `23.4 min`, `48 s`; a dash for none."""
    if not minutes:
        return "–"
    return f"{minutes:,.1f} min" if minutes >= 1 else second_words(minutes * 60)


def cost_words(report: Report, cost: Cost | None) -> str:
    """`12.40 EUR` if prices are set, else `3.2 h of GPUs, 14 min of cores`."""
    if cost is None:
        return "–"
    if report.priced:
        digits = 2 if cost.money >= 0.1 or not cost.money else 4
        return f"{cost.money:,.{digits}f} {report.currency}"
    parts = []
    if cost.gpu_hours:
        parts.append(f"{hour_words(cost.gpu_hours)} GPU")
    if cost.cpu_hours or not parts:
        parts.append(f"{hour_words(cost.cpu_hours)} CPU")
    return ", ".join(parts)
