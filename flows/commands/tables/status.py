"""What `douga status` and `douga review` say."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from flows.commands.tables.tables import make_console, make_table


def show_status(document: dict[str, Any]) -> None:
    """Runs of a store, newest first, or the shots of one episode."""
    console = make_console()
    if "shots" in document:
        table = make_table("shot", "source frames", "out", "stored", "state", "last run")
        for shot in document["shots"]:
            table.add_row(
                shot["id"],
                f"{shot['start']}-{shot['end'] - 1}",
                str(shot["frames"]),
                f"{shot['cached']}/{shot['chunks']}",
                shot["state"],
                shot["last_run"] or "-",
            )
        console.print(table)
        for failure in document["failures"]:
            _show_failure(console, failure)
        return
    table = make_table("run", "episode", "state", "frames", "computed", "reused", "seconds", "film")
    for run in document["runs"]:
        table.add_row(
            run["run"],
            run["episode"],
            run["state"],
            str(run["frames_out"]),
            str(run["chunks_computed"]),
            str(run["chunks_reused"]),
            f"{run['wall_s']:.1f}",
            str(run["film"] or "-"),
        )
    console.print(table if document["runs"] else f"no runs in {document['store']} yet")
    newest = document["runs"][0] if document["runs"] else {}
    if newest.get("error"):
        line = f"{newest['run']} {newest['state']}: {newest['error']}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _show_failure(console: Console, failure: dict[str, Any]) -> None:
    """Why a shot failed last, where its traceback is, and how to try it again."""
    lines = (
        f"{failure['shot']} failed in run {failure['run']}: {failure['error']}",
        f"  traceback: {failure['name']} in the store",
        f"  again: {failure['command']}",
    )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def show_review(document: dict[str, Any]) -> None:
    """Each shot with the decision that stands."""
    table = make_table("shot", "rendered", "verdict", "by", "at", "note")
    for shot in document["shots"]:
        rendered = "yes" if shot["rendered"] else "preview" if shot["previewed"] else "no"
        table.add_row(
            shot["id"], rendered, *(shot[name] for name in ("verdict", "by", "at", "note"))
        )
    make_console().print(table)
