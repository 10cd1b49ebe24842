"""A report's time and costs in words."""

from __future__ import annotations

from flows.report.usage.figures import Cost, Report
from flows.report.usage.period import ALWAYS
from flows.words import NONE, device_words, duration_words, money_words


def period_words(report: Report) -> str:
    """`2026-11-01 to 2026-12-01 UTC`, with hours where a day is not whole."""
    ends = []
    for moment in (report.since, report.until):
        day, _, time = moment[:16].partition("T")
        ends.append(day if time == "00:00" else f"{day} {time}")
    if report.since[:10] == f"{ALWAYS:%Y-%m-%d}":
        return f"all until {ends[1]} UTC"
    return f"{ends[0]} to {ends[1]} UTC"


def cost_words(report: Report, cost: Cost | None) -> str:
    """`12.40 EUR` if prices are set, else `GPU 3 h 20 min, CPU 14 min`; a dash for none."""
    if cost is None:
        return NONE
    if report.priced:
        return money_words(cost.money, report.currency)
    return device_words(cost.gpu_hours, cost.cpu_hours)


def film_words(minutes: float) -> str:
    """A film's length: `23 min`; a dash where no film came out."""
    return duration_words(minutes * 60) if minutes else NONE
