"""What `douga plan` says."""

from __future__ import annotations

from typing import Any

from flows.pieces import frame_words, frames_taken
from flows.plan import ShotPlan
from flows.prepare import Prepared
from flows.result import part_state, reason_for
from flows.show.tables import make_console, make_table
from tasks.item import chunk_name


def plan_document(prepared: Prepared) -> dict[str, Any]:
    """What `plan --json` gives: totals, and per shot what is stored, what is to be made and why."""
    plan = prepared.plan
    chunks, to_compute = plan.counts()
    seen = {name.split("/")[2] for name in _names(prepared) if name.count("/") >= 3}

    cast = prepared.request.episode.shots

    def line(shot: ShotPlan) -> dict[str, Any]:
        total = sum(1 for _ in shot.items())
        todo = len(plan.todo(shot))
        stored = sum(chunk_name(item.key) in plan.stored for item in shot.items())
        return {
            "id": shot.shot.id,
            "source": shot.shot.source,
            "start": shot.shot.start,
            "end": shot.shot.end,
            "frames": len(shot.track),
            "stages": [run.name for run in shot.runs],
            "cast": list(cast[shot.shot.id].cast) if shot.shot.id in cast else [],
            "chunks": total,
            "whole": plan.is_whole(shot),
            "cached": total - todo if plan.is_whole(shot) else stored,
            "to_compute": todo,
            "to_make": [
                {"stages": run.name, "frames": frame_words(made), "pieces": len(made)}
                for run, made in zip(shot.runs, plan.todo_by_run(shot), strict=True)
                if made
            ],
            "frames_reused": sum(frames_taken(item) for item in plan.todo(shot)),
            "reason": reason_for(plan, shot, seen_before=shot.shot.id in seen)
            if plan.is_whole(shot)
            else part_state(plan, shot, made=False),
        }

    shots = [line(shot) for shot in plan.shots]
    return {
        "episode": plan.episode,
        "film": prepared.request.output,
        "store": prepared.request.store,
        "shots": shots,
        "chunks": chunks,
        "cached": sum(shot["cached"] for shot in shots),
        "to_compute": to_compute,
        "frames_reused": sum(shot["frames_reused"] for shot in shots),
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
    in_part = any(not shot["whole"] for shot in document["shots"])
    table = make_table(
        *("shot", "source frames", "out", "stages", "chunks", "stored", "to do", "why"),
        *(["frames to make"] if in_part else []),
    )
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
            *([_frames_to_make(shot)] if in_part else []),
        )
    console = make_console()
    console.print(table)
    width, height = document["size"]
    console.print(
        f"{document['frames_in']} frames in, {document['frames_out']} out at {width}x{height}: "
        f"{document['to_compute']} of {document['chunks']} chunks to compute"
    )


def _frames_to_make(shot: dict[str, Any]) -> str:
    """The frames that each run of a shot makes, counted as `--frames` does."""
    return "; ".join(f"{made['stages']} {made['frames']}" for made in shot["to_make"]) or "-"
