"""What `douga submit` and `douga queue` say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import NONE, count_words, size_words

QUEUED = ("", "episode", "queue", "state", "workers>", "why", "by", "deadline", "job")


def show_queue(document: dict[str, Any]) -> None:
    """Those that go, then those that wait in their order, then those that are paused."""
    console = make_console()
    if not document["runs"]:
        say(console, f"the queue at {document['host']} is empty")
        return
    rows = [
        (
            *(run["position"] or "", run["episode"], run["queue"], run["state"]),
            f"{run['holds']}/{run['wants']}" if run["wants"] else NONE,
            *(run["why"], run["by"], _deadline(run), run["job"]),
        )
        for run in document["runs"]
    ]
    console.print(make_table(QUEUED, rows))


def say_submitted(document: dict[str, Any], *, to_stderr: bool = False) -> None:
    """What was handed in, and what to type next."""
    console = Console(stderr=True) if to_stderr else make_console()
    size = size_words(sum(each["size_bytes"] for each in document["files"]))
    files = f"{count_words(len(document['files']), 'file')}, {size}" if document["files"] else ""
    if "job" not in document:
        sends = files or "nothing: the farm sees its files"
        say(console, f"{document['episode']} would send {sends}")
        return
    if (ended := document["ended"]) and "film" not in document:
        say(console, f"{document['job']} has ended already: {ended['state']} (run {ended['run']})")
        return
    if ended:
        say(console, document["film"] or ended["error"] or ended["state"])
        return
    sent = f" ({files} sent)" if files else ""
    say(console, f"{document['episode']} waits in {document['queue']} as {document['job']}{sent}")
    if not to_stderr:
        say(console, f"next: douga queue; douga wait {document['job']} --store {document['store']}")


def _deadline(run: dict[str, Any]) -> str:
    if not run["deadline"]:
        return NONE
    moment = datetime.fromisoformat(run["deadline"]).astimezone()
    return f"{moment:%m-%d %H:%M}{' LATE' if run['late'] else ''}"
