"""Time, cost and quality of every night: what a report plots, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from flows.report.night.plots import Line, plot
from flows.runs.night import Night
from flows.runs.outcome import Outcome

NIGHTS_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NightTotals:
    """A night in a line. Times are hours; `psnr` and `ssim` of the worst and of the middle shot."""

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
    psnr_middle: float | None
    ssim: float | None
    flicker: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A figure: its title, the names of its lines, and the SVG."""

    title: str
    lines: tuple[str, ...]
    svg: str


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
        label=night.began_at[:10] or night.night,
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
        psnr_middle=median(psnr) if psnr else None,
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
    """The figures that there are numbers for."""
    hours = max((row.wall_h for row in rows), default=0.0) >= 2
    unit, scale = (" h", 1.0) if hours else (" min", 60.0)
    asked: list[tuple[str, str, list[Line]]] = [
        (
            f"Time,{unit}",
            unit,
            [
                _line("from begin to end", [row.wall_h * scale for row in rows]),
                _line("busy workers", [row.busy_h * scale for row in rows]),
            ],
        ),
        (f"Cost, {currency}", f" {currency}", [_line("cost", [row.money or None for row in rows])]),
        (
            "Likeness to the last good night, PSNR in dB",
            " dB",
            [
                _line("worst shot", [row.psnr for row in rows]),
                _line("middle shot", [row.psnr_middle for row in rows]),
            ],
        ),
        ("Likeness, SSIM", "", [_line("worst shot", [row.ssim for row in rows])]),
        ("Flicker where the picture holds", "", [_line("worst shot", [r.flicker for r in rows])]),
        (
            "Shots gone wrong",
            "",
            [
                _line("failed", [float(row.failed_shots) for row in rows]),
                _line("regressed", [float(row.regressed_shots) for row in rows]),
            ],
        ),
    ]
    labels, bad = [row.label for row in rows], [not row.good for row in rows]
    made = [
        Plot(
            title=title,
            lines=tuple(line.name for line in lines) if len(lines) > 1 else (),
            svg=plot(title, lines, nights=labels, bad=bad, unit=unit),
        )
        for title, unit, lines in asked
        if any(value for line in lines for value in line.values)
    ]
    return [each for each in made if each.svg]


def _line(name: str, values: Sequence[float | None]) -> Line:
    return Line(name=name, values=tuple(values))
