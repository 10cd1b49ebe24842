"""What `douga status` and `douga review` say."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import NONE, duration_words, moment_words

EPISODES = ("episode", "state", "shots>", "began (UTC)", "store")
RUNS = ("run", "episode", "state", "frames>", "computed>", "reused>", "took>", "film")
SHOTS = ("shot", "source frames", "out>", "stored>", "state", "last run")
REVIEWED = ("shot", "rendered", "verdict", "by", "at", "note")


def show_status(document: dict[str, Any]) -> None:
    """Runs of a store, newest first, or the shots of one episode."""
    _show_shots(document) if "shots" in document else _show_runs(document)


def _show_shots(document: dict[str, Any]) -> None:
    """Each shot, then why those failed that did, where the traceback is, and how to try again."""
    console = make_console()
    rows = [
        (
            *(shot["id"], f"{shot['start']}-{shot['end'] - 1}", shot["frames"]),
            *(f"{shot['cached']}/{shot['chunks']}", shot["state"], shot["last_run"] or NONE),
        )
        for shot in document["shots"]
    ]
    console.print(make_table(SHOTS, rows))
    for failure in document["failures"]:
        say(console, f"{failure['shot']} failed in run {failure['run']}: {failure['error']}")
        say(console, f"  traceback: {failure['name']} in the store")
        say(console, f"  again: {failure['command']}")


def _show_runs(document: dict[str, Any]) -> None:
    console = make_console()
    if document["episodes"]:
        episodes = [
            (
                *(each["episode"], each["state"], f"{each['finished']}/{each['shots']}"),
                *(moment_words(each["at"]) or NONE, each["store"]),
            )
            for each in document["episodes"]
        ]
        console.print(make_table(EPISODES, episodes))
        say(console, "")
    if not document["runs"]:
        say(console, f"no runs in {document['store']} yet")
        return
    rows = [
        (
            *(run["run"], run["episode"], run["state"], run["frames_out"]),
            *(run["chunks_computed"], run["chunks_reused"]),
            *(duration_words(run["wall_s"]), run["film"] or NONE),
        )
        for run in document["runs"]
    ]
    console.print(make_table(RUNS, rows))
    newest = document["runs"][0]
    if newest.get("error"):
        say(console, f"{newest['run']} {newest['state']}: {newest['error']}")


def show_review(document: dict[str, Any]) -> None:
    """Each shot with the decision that stands."""
    rows = [
        (
            shot["id"],
            "yes" if shot["rendered"] else "preview" if shot["previewed"] else "no",
            *(shot[name] for name in ("verdict", "by", "at", "note")),
        )
        for shot in document["shots"]
    ]
    make_console().print(make_table(REVIEWED, rows))
