"""What `douga wait` says of a run or a night."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table, say
from flows.runs.state import RunStatus
from flows.words import duration_words

EPISODES = ("episode", "state", "shots>", "took>", "why")
SHOTS = ("shot", "out>", "chunks>", "made>", "reused>", "busy>", "state")


def show_run_status(status: RunStatus) -> None:
    """Its shots or its episodes, then a line that says how it stands."""
    console = make_console()
    if episodes := status.document.get("episodes"):
        console.print(make_table(EPISODES, map(_episode_row, episodes)))
    elif shots := status.document.get("shots"):
        console.print(make_table(SHOTS, map(_shot_row, shots)))
    say(console, f"{status.name} {status.run}: {status.state}")
    if status.document.get("film"):
        say(console, f"film: {status.document['film']}")


def _episode_row(each: dict[str, Any]) -> tuple[object, ...]:
    took = duration_words(each["wall_s"])
    return (each["episode"], each["state"], len(each["shots"]), took, each["why"])


def _shot_row(each: dict[str, Any]) -> tuple[object, ...]:
    counts = (each[name] for name in ("frames", "chunks", "computed", "reused"))
    return (each["id"], *counts, duration_words(each["seconds"]), each["state"])
