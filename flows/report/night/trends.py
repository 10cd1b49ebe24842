"""Time, cost and quality of every night: what a report plots, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from flows.report.plots import Plot, Series, lines
from flows.runs.night import Night
from flows.runs.outcome import Outcome

NIGHTS_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NightTotals:
    """A night in a line. Times are hours; `psnr`, `ssim` and `flicker` are of the worst shot,
    `psnr_median` of the median shot."""

    night: str
    label: str
    verdict: str
    good: bool
    wall_h: float
    busy_h: float
    money: float
    done: int
    episodes: int
    failed_shots: int
    regressed_shots: int
    psnr: float | None
    psnr_median: float | None
    ssim: float | None
    flicker: float | None


VERDICTS = {
    Outcome.DONE: "good",
    Outcome.FAILED: "failed",
    Outcome.WANTING: "regressed or failed verification",
}
"""A night in a word; the others are incomplete."""


def totals(night: Night) -> NightTotals:
    """A night summed up."""
    shots = [shot for episode in night.episodes for shot in episode.shots]
    psnr = [shot.psnr for shot in shots if shot.psnr is not None]
    ssim = [shot.ssim for shot in shots if shot.ssim is not None]
    flicker = [shot.flicker for shot in shots if shot.flicker is not None]
    return NightTotals(
        night=night.night,
        label=night.began_at[5:10] or night.night,
        verdict=VERDICTS.get(night.outcome, "incomplete"),
        good=night.outcome is Outcome.DONE,
        wall_h=wall_s(night) / 3600,
        busy_h=sum(shot.seconds for shot in shots) / 3600,
        money=sum(episode.money for episode in night.episodes),
        done=sum(episode.state is Outcome.DONE for episode in night.episodes),
        episodes=len(night.episodes),
        failed_shots=sum(shot.state == "failed" for shot in shots),
        regressed_shots=sum(bool(shot.regressions) for shot in shots),
        psnr=min(psnr, default=None),
        psnr_median=median(psnr) if psnr else None,
        ssim=min(ssim, default=None),
        flicker=max(flicker, default=None),
    )


def wall_s(night: Night) -> float:
    """Seconds from a night's beginning to its end; the sum of its episodes' where it does not
    say."""
    try:
        began, ended = map(datetime.fromisoformat, (night.began_at, night.ended_at))
        return max(0.0, (ended - began).total_seconds())
    except (ValueError, TypeError):
        return sum(episode.wall_s for episode in night.episodes)


def make_plots(rows: Sequence[NightTotals], *, currency: str) -> list[Plot]:
    """The plots that there are at least two values for."""
    in_hours = max((row.wall_h for row in rows), default=0.0) >= 2
    unit, scale = ("hours", 1.0) if in_hours else ("minutes", 60.0)
    asked: list[tuple[str, str, str, list[Series]]] = [
        (
            "Time",
            "from the start to the end, and of busy workers",
            unit,
            [
                _series("start to end", [row.wall_h * scale for row in rows]),
                _series("busy workers", [row.busy_h * scale for row in rows]),
            ],
        ),
        (
            "Cost",
            "by the hours of busy devices",
            currency,
            [_series("cost", [row.money or None for row in rows])],
        ),
        (
            "Similarity, PSNR",
            "to the last good night, of the worst frame of a shot",
            "dB",
            [
                _series("worst shot", [row.psnr for row in rows]),
                _series("median shot", [row.psnr_median for row in rows]),
            ],
        ),
        (
            "Similarity, SSIM",
            "to the last good night, of the worst frame of the worst shot",
            "SSIM",
            [_series("worst shot", [row.ssim for row in rows])],
        ),
        (
            "Flicker",
            "where the picture holds still, in the worst shot",
            "8-bit codes",
            [_series("worst shot", [row.flicker for row in rows])],
        ),
        (
            "Failures and regressions",
            "shots that failed, shots that came out worse than in the last good night",
            "shots",
            [
                _series("failed", [float(row.failed_shots) for row in rows]),
                _series("regressed", [float(row.regressed_shots) for row in rows]),
            ],
        ),
    ]
    labels, bad = [row.label for row in rows], [not row.good for row in rows]
    return [
        Plot(title=title, about=about, svg=lines(title, unit, labels, series, bad=bad))
        for title, about, unit, series in asked
        if any(value for each in series for value in each.known)
        and sum(len(each.known) for each in series) > 1
    ]


def _series(name: str, values: Sequence[float | None]) -> Series:
    return Series(name=name, values=tuple(values))
