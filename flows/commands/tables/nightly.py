"""What `douga nightly` says: the night's table, what it would take, what was accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cluster.settings import settings
from flows.commands.tables.tables import make_console, make_table, say
from flows.report.night.words import night_words, regression_words
from flows.runs.night import Night, NightEpisode
from flows.words import NONE, device_words, duration_words, money_words

NIGHT = ("episode", "show", "state", "made>", "reused>", "took>", "busy", "cost>", "why")
PREVIEW = ("order>", "episode", "show", "priority>", "chunks>", "busy", "cost>", "p50>", "p90>")
SHOWN = 20
"""Regressions that are listed; the report has all."""


def show_night(night: Night, *, words: str = "") -> None:
    """Each episode with what came of it, then what has regressed."""
    console = make_console()
    rows = [
        (
            episode.episode,
            episode.show,
            episode.state_words,
            *(episode.computed, episode.reused, duration_words(episode.wall_s)),
            device_words(episode.gpu_hours, episode.cpu_hours),
            *(_money(episode.money), episode.why),
        )
        for episode in night.episodes
    ]
    console.print(make_table(NIGHT, rows))
    lines = [line for episode in night.episodes for line in _regressions(episode)]
    for line in lines[:SHOWN]:
        say(console, line)
    if len(lines) > SHOWN:
        say(console, f"and {len(lines) - SHOWN} more; the report has all")
    say(console, f"night {night.night}: {words or night_words(night, night.exit_code) or 'good'}")
    if lines:
        say(console, f"if that is how it should be: douga nightly accept {night.nightly}")


def show_preview(document: dict[str, Any]) -> None:
    """What a night would take, in order, and what it would leave out."""
    console = make_console()
    rows = [
        (
            *(number, each["episode"], each["show"], each["priority"], each["chunks"]),
            device_words(each["gpu_hours"], each["cpu_hours"]),
            _money(each["money"]),
            *(duration_words(each["finish_p50_s"]), duration_words(each["finish_p90_s"])),
        )
        for number, each in enumerate(document["taken"], 1)
    ]
    console.print(make_table(PREVIEW, rows))
    for left in document["left_out"]:
        say(console, f"left out: {left['episode']}: {left['why']}")
    for failed in document["failed"]:
        say(console, f"cannot be rendered: {failed['episode']}: {failed['why']}")
    deadline = document["deadline"]
    until = f", deadline {datetime.fromisoformat(deadline):%Y-%m-%d %H:%M %Z}" if deadline else ""
    say(
        console,
        f"{len(document['taken'])} of {document['episodes']} episodes: "
        f"{device_words(document['gpu_hours'], document['cpu_hours'])}, "
        f"{_money(document['money'])}, {duration_words(document['finish_p50_s'])} (p90 "
        f"{duration_words(document['finish_p90_s'])}){until}; nothing was rendered",
    )
    for basis in document["based_on"]:
        say(console, f"note: {basis}")


def _regressions(episode: NightEpisode) -> list[str]:
    lines = [
        f"regressed: {episode.episode} film: {regression_words([each])}"
        for each in episode.regressions
    ]
    for shot in episode.shots:
        for each in shot.regressions:
            pictures = f" [{each.before} → {each.after}]" if each.before else ""
            place = f"{episode.episode}/{shot.id}"
            lines.append(f"regressed: {place}: {regression_words([each])}{pictures}")
    return lines


def _money(amount: float) -> str:
    return money_words(amount, settings().currency) if amount else NONE
