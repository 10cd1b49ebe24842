"""Tables for people: 100 columns, plain when piped, no colour where NO_COLOR says so."""

from __future__ import annotations

import shlex
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from flows.plan import ShotPlan
from flows.prepare import Prepared
from flows.request import RenderRequest
from flows.result import EpisodeResult, reason_for

WIDTH = 100


def plan_document(prepared: Prepared) -> dict[str, Any]:
    """What `plan --json` gives: totals, and per shot what is stored, what is to be made and why."""
    plan = prepared.plan
    chunks, to_compute = plan.counts()
    seen = {name.split("/")[2] for name in _names(prepared) if name.count("/") >= 3}

    cast = prepared.request.episode.shots

    def line(shot: ShotPlan) -> dict[str, Any]:
        total = sum(1 for _ in shot.items())
        todo = len(plan.todo(shot))
        return {
            "id": shot.shot.id,
            "source": shot.shot.source,
            "start": shot.shot.start,
            "end": shot.shot.end,
            "frames": len(shot.track),
            "stages": [run.name for run in shot.runs],
            "cast": list(cast[shot.shot.id].cast) if shot.shot.id in cast else [],
            "chunks": total,
            "cached": total - todo,
            "to_compute": todo,
            "reason": reason_for(plan, shot, seen_before=shot.shot.id in seen),
        }

    return {
        "episode": plan.episode,
        "film": prepared.request.output,
        "store": prepared.request.store,
        "shots": [line(shot) for shot in plan.shots],
        "chunks": chunks,
        "cached": chunks - to_compute,
        "to_compute": to_compute,
        "frames_in": sum(len(index.times) for index in prepared.indices),
        "frames_out": sum(len(shot.track) for shot in plan.shots),
        "size": [plan.picture.width, plan.picture.height],
        "pix_fmt": plan.picture.pix_fmt,
        "duration_s": float(plan.end - plan.times[0]),
    }


def _names(prepared: Prepared) -> list[str]:
    return [entry.name for entry in prepared.store.list(f"shots/{prepared.name}/")]


def show_plan(document: dict[str, Any]) -> None:
    """The plan as a table, one line per shot, totals below."""
    table = _table("shot", "source frames", "out", "stages", "chunks", "stored", "to do", "why")
    for shot in document["shots"]:
        table.add_row(
            shot["id"],
            f"{shot['start']}-{shot['end'] - 1}",
            str(shot["frames"]),
            " → ".join(shot["stages"]),
            str(shot["chunks"]),
            str(shot["cached"]),
            str(shot["to_compute"]),
            shot["reason"],
        )
    console = _console()
    console.print(table)
    width, height = document["size"]
    console.print(
        f"{document['frames_in']} frames in, {document['frames_out']} out at {width}x{height}: "
        f"{document['to_compute']} of {document['chunks']} chunks to compute"
    )


def show_result(result: EpisodeResult, request: RenderRequest) -> None:
    """The shots, the film's path and what to do next."""
    table = _table("shot", "source frames", "out", "chunks", "made", "reused", "seconds", "state")
    for shot in result.shots:
        table.add_row(
            shot.id,
            f"{shot.start}-{shot.end - 1}",
            str(shot.frames),
            str(shot.chunks),
            str(shot.computed),
            str(shot.reused),
            f"{shot.seconds:.1f}",
            shot.state,
        )
    console = _console()
    console.print(table)
    console.print(
        f"{result.frames_in} frames in, {result.frames_out} out; {result.chunks_computed} chunks "
        f"computed, {result.chunks_reused} reused; {result.wall_s:.1f} s"
    )
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
    if result.retries:
        console.print(f"{result.retries} tries failed and were made good")
    for host in result.quarantined:
        console.print(f"quarantined: host {host}", style="red", markup=False)
    for finding in result.findings:
        console.print(f"wanting: {finding}", style="red", markup=False)
    missing = [shot.id for shot in result.shots if shot.state not in ("rendered", "stored")]
    if missing and not result.failed:
        few = ", ".join(missing[:6]) + (" …" if len(missing) > 6 else "")
        console.print(f"no film yet: {len(missing)} shot(s) to go ({few})", markup=False)
    if result.film is None:
        return
    console.print(f"film: {result.film}", soft_wrap=True, markup=False, highlight=False)
    program, _, source = shlex.split(request.command)[:3]
    douga, film = shlex.quote(program), shlex.quote(result.film)
    console.print("next:")
    for line, why in (
        (f"{douga} plan {shlex.quote(source)}", "what another render would do: nothing"),
        (f"{douga} verify {shlex.quote(source)} -o {film}", "every frame once more"),
        (f"{douga} status {shlex.quote(source)}", "how far every shot is"),
    ):
        console.print(f"  {line}   # {why}", soft_wrap=True, markup=False, highlight=False)


def show_status(document: dict[str, Any]) -> None:
    """Runs of a store, newest first, or the shots of one episode."""
    console = _console()
    if "shots" in document:
        table = _table("shot", "source frames", "out", "stored", "state", "last run")
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
    table = _table("run", "episode", "state", "frames", "computed", "reused", "seconds", "film")
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
    table = _table("shot", "rendered", "verdict", "by", "at", "note")
    for shot in document["shots"]:
        rendered = "yes" if shot["rendered"] else "no"
        table.add_row(
            shot["id"], rendered, *(shot[name] for name in ("verdict", "by", "at", "note"))
        )
    _console().print(table)


def show_doctor(document: dict[str, Any]) -> None:
    """Each thing looked at, whether it is well, and the remedy where it is not."""
    table = _table("", "what", "found", "remedy")
    for check in document["checks"]:
        mark = {"good": "ok", "optional": "-", "bad": "BAD"}[check["state"]]
        table.add_row(mark, check["what"], check["found"], check["remedy"])
    _console().print(table)


def show_models(document: dict[str, Any]) -> None:
    """The networks: name, what each does, its size, where it is from, its licence."""
    table = _table("model", "verb", "scale", "kind", "parameters", "size", "from", "licence")
    for card in document["models"]:
        upscales = card["verb"] == "upscale"
        table.add_row(
            card["name"],
            card["verb"],
            f"{card['scale']}x" if upscales else "",
            card["kind"] if upscales else "",
            f"{card['parameters']:,}",
            f"{card['size_bytes'] / 1e6:.1f} MB",
            card["origin"].rpartition("/")[2],
            card["licence"],
        )
    _console().print(table)


def show_model(document: dict[str, Any]) -> None:
    """One network: every field of its card, then the licence's text."""
    table = Table("", Column("", overflow="fold"), box=None, pad_edge=False, show_header=False)
    for name, value in document.items():
        if name != "licence_text" and value not in ("", {}):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), text)
    console = _console()
    console.print(table)
    if document["licence_text"]:
        console.print()
        console.print(document["licence_text"], markup=False, highlight=False)


def show_bench(document: dict[str, Any]) -> None:
    """Frames per second of each way, and the ratios that count."""
    table = _table("way", "frames/s", "share of the limit")
    for way in document["ways"]:
        table.add_row(way["name"], f"{way['fps']:.2f}", f"{way['share']:.2f}")
    console = _console()
    console.print(table)
    console.print(document["on"])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column in (
            "out",
            "chunks",
            "made",
            "reused",
            "seconds",
            "stored",
            "to do",
            "frames/s",
            "parameters",
        )
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
