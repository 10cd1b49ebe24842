"""What `douga nightly` says: the night's table, what it would take, what was accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console

from cluster.settings import settings
from flows.commands.tables.tables import make_console, make_table
from flows.nightly.choose import duration_words
from flows.report.night.headline import night_words, regression_words
from flows.runs.night import Night, NightEpisode

NIGHT = ("episode", "show", "state", "made", "reused", "seconds", "busy", "cost", "why")
PREVIEW = ("order", "episode", "show", "priority", "chunks", "busy", "cost", "p50", "p90")
SHOWN = 20
"""Regressions that are listed; the report has all."""


def show_night(night: Night, *, words: str = "") -> None:
    """Each episode with what came of it, then what has regressed."""
    console = make_console()
    table = make_table(
        "episode", "show", "state", "made", "reused", "seconds", "busy", "cost", "why"
    )
    for episode in night.episodes:
        table.add_row(
            episode.episode,
            episode.show,
            episode.state_words,
            str(episode.computed),
            str(episode.reused),
            f"{episode.wall_s:.1f}",
            _busy(episode.gpu_hours, episode.cpu_hours),
            _money(episode.money),
            episode.why,
        )
    console.print(table)
    lines = [line for episode in night.episodes for line in _regressions(episode)]
    for line in lines[:SHOWN]:
        _say(console, line)
    if len(lines) > SHOWN:
        _say(console, f"and {len(lines) - SHOWN} more; the report has all")
    _say(console, f"night {night.night}: {words or night_words(night, night.exit_code) or 'good'}")
    if lines:
        _say(console, f"if that is how it should be: douga nightly accept {night.nightly}")


def show_preview(document: dict[str, Any]) -> None:
    """What a night would take, in order, and what it would leave out."""
    console = make_console()
    table = make_table(
        "order", "episode", "show", "priority", "chunks", "busy", "cost", "p50", "p90"
    )
    for number, each in enumerate(document["taken"], 1):
        table.add_row(
            str(number),
            each["episode"],
            each["show"],
            str(each["priority"]),
            str(each["chunks"]),
            _busy(each["gpu_hours"], each["cpu_hours"]),
            _money(each["money"]),
            duration_words(each["finish_p50_s"]),
            duration_words(each["finish_p90_s"]),
        )
    console.print(table)
    for left in document["left_out"]:
        _say(console, f"left out: {left['episode']}: {left['why']}")
    for failed in document["failed"]:
        _say(console, f"cannot be rendered: {failed['episode']}: {failed['why']}")
    deadline = document["deadline"]
    until = f", deadline {datetime.fromisoformat(deadline):%Y-%m-%d %H:%M %Z}" if deadline else ""
    _say(
        console,
        f"{len(document['taken'])} of {document['episodes']} episodes: "
        f"{_busy(document['gpu_hours'], document['cpu_hours'])}, "
        f"{_money(document['money'])}, {duration_words(document['finish_p50_s'])} (p90 "
        f"{duration_words(document['finish_p90_s'])}){until}; nothing was rendered",
    )
    for basis in document["based_on"]:
        _say(console, f"note: {basis}")


def _regressions(episode: NightEpisode) -> list[str]:
    lines = [
        f"regressed: {episode.episode} film: {regression_words(each)}"
        for each in episode.regressions
    ]
    for shot in episode.shots:
        for each in shot.regressions:
            pictures = f" [{each.before} → {each.after}]" if each.before else ""
            place = f"{episode.episode}/{shot.id}"
            lines.append(f"regressed: {place}: {regression_words(each)}{pictures}")
    return lines


def _busy(gpu_hours: float, cpu_hours: float) -> str:
    """Device time as a person reads it."""
    named = [("GPU", gpu_hours)] if gpu_hours else []
    named += [("CPU", cpu_hours)] if cpu_hours or not gpu_hours else []
    return ", ".join(f"{name} {duration_words(hours * 3600)}" for name, hours in named)


def _money(amount: float) -> str:
    return f"{amount:.2f} {settings().currency}" if amount else "-"


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)
