"""What `douga plan` says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.settings import settings
from flows.changes.changed import Changed
from flows.changes.why import Why, why
from flows.commands.tables.tables import make_console, make_table, say
from flows.forecast.forecast import Forecast
from flows.plan.partial import frame_words, reused_frames
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.runs.result import part_state, reason_for
from flows.words import (
    count_words,
    device_words,
    duration_words,
    few_words,
    money_words,
    size_words,
)
from tasks.worker.item import chunk_name

SHOTS = ("shot", "source frames", "out>", "stages", "chunks>", "stored>", "to do>", "why")


def plan_document(
    prepared: Prepared, *, expected: Forecast | None = None, changed: Changed | None = None
) -> dict[str, Any]:
    """What `plan --json` gives: totals, per shot what is stored, what is to be made and why, and
    what that is `expected` to take. With `changed`, only the shots that it touches, and its plan.
    """
    if changed is not None:
        prepared = changed.prepared
    plan = prepared.plan
    reasons = changed.why if changed else why(prepared)
    listed = [s for s in plan.shots if changed is None or s.shot.id in reasons.reasons]
    shots = [_line(prepared, shot, reasons) for shot in listed]
    chunks = sum(shot["chunks"] for shot in shots)
    return {
        "episode": plan.episode,
        "film": prepared.request.output,
        "store": prepared.request.store,
        **({"changed": changed.thing} if changed else {}),
        "shots": shots,
        "chunks": chunks,
        "cached": sum(shot["cached"] for shot in shots),
        "to_compute": sum(shot["to_compute"] for shot in shots),
        "frames_reused": sum(shot["frames_reused"] for shot in shots),
        "frames_in": sum(len(index.times) for index in prepared.indices),
        "frames_out": sum(len(shot.track) for shot in plan.shots),
        "size": [plan.picture.width, plan.picture.height],
        "pix_fmt": plan.picture.pix_fmt,
        "duration_s": float(plan.end - plan.times[0]),
        "engine": plan.engine,
        "engine_why": prepared.engine.words,
        **(_expected(expected) if expected else {}),
    }


def _line(prepared: Prepared, shot: ShotPlan, reasons: Why) -> dict[str, Any]:
    plan = prepared.plan
    name = shot.shot.id
    total = sum(1 for _ in shot.items())
    by_run = plan.todo_by_run(shot)
    todo = sum(map(len, by_run))
    stored = sum(chunk_name(item.key) in plan.stored for item in shot.items())
    whole = plan.selects_all(shot)
    part = "" if whole else part_state(plan, shot, made=False)
    return {
        "id": name,
        "source": shot.shot.source,
        "start": shot.shot.start,
        "end": shot.shot.end,
        "frames": len(shot.track),
        "stages": [run.name for run in shot.runs],
        "cast": list(prepared.request.episode.cast_for(name)),
        "needs": sorted({str(run.needs) for run in shot.runs if run.needs}),
        "chunks": total,
        "whole": whole,
        "cached": total - todo if whole else stored,
        "to_compute": todo,
        "to_make": [
            {
                "stages": run.name,
                "frames": frame_words(made),
                "pieces": len(made),
                "why": reasons.words(name, run=number),
            }
            for number, (run, made) in enumerate(zip(shot.runs, by_run, strict=True))
            if made
        ],
        "frames_reused": sum(reused_frames(item) for items in by_run for item in items),
        "reason": part or reason_for(plan, shot, seen_before=name in reasons.seen_before),
        "why": [part] if part else reasons.words(name),
    }


def _expected(expected: Forecast) -> dict[str, Any]:
    """Cost and time; the times are null where they are not known."""
    known = expected.basis != "none" or not expected.chunks
    now = datetime.now(UTC)
    p50, p90 = expected.finish_p50_s, expected.finish_p90_s
    return {
        "gpu_hours": round(expected.gpu_hours, 6),
        "cpu_hours": round(expected.cpu_hours, 6),
        "bytes_put": expected.bytes_put,
        "money": round(expected.money, 4),
        "currency": settings().currency,
        "finish_p50_s": p50 if known else None,
        "finish_p90_s": p90 if known else None,
        "finish_p50_at": _moment(now, p50) if known else None,
        "finish_p90_at": _moment(now, p90) if known else None,
        "basis": expected.basis,
        "based_on": expected.based_on,
    }


def _moment(now: datetime, seconds: float) -> str:
    return (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def show_plan(document: dict[str, Any]) -> None:
    """The plan as a table, one line per shot, totals below."""
    in_part = any(not shot["whole"] for shot in document["shots"])
    rows = [
        (
            *(shot["id"], f"{shot['start']}-{shot['end'] - 1}", shot["frames"]),
            " → ".join(shot["stages"]),
            *(shot["chunks"], shot["cached"], shot["to_compute"]),
            "; ".join(shot["why"]),
            *([_frames_to_make(shot)] if in_part else []),
        )
        for shot in document["shots"]
    ]
    console = make_console()
    if rows:
        console.print(make_table([*SHOTS, *(["frames to make"] if in_part else [])], rows))
    else:
        say(console, f"no shot of {document['episode']} depends on {document['changed']}")
    for line in _totals(document):
        say(console, line)


def _totals(document: dict[str, Any]) -> Iterator[str]:
    """What lies below the table: how much, what it costs, when it is done."""
    width, height = document["size"]
    amount = f"{document['to_compute']} of {count_words(document['chunks'], 'chunk')} to compute"
    if "changed" in document:
        shots = count_words(len(document["shots"]), "shot")
        yield f"if {document['changed']} changed: {shots}, {amount}"
    else:
        frames = f"{document['frames_in']} frames in, {document['frames_out']} out"
        yield f"{frames} at {width}x{height}: {amount}"
    if document["engine_why"]:
        yield document["engine_why"]
    for needs in dict.fromkeys(each for shot in document["shots"] for each in shot["needs"]):
        needing = [shot["id"] for shot in document["shots"] if needs in shot["needs"]]
        yield f"needs {needs}: {few_words(needing)}"
    if "based_on" not in document:
        return
    p50, p90 = document["finish_p50_s"], document["finish_p90_s"]
    if p50 is None:
        yield f"cost and time are not known: {document['based_on']}"
        return
    if document["basis"] == "none":
        yield document["based_on"]
        return
    costs = [device_words(document["gpu_hours"], document["cpu_hours"])]
    costs.append(f"{size_words(document['bytes_put'])} to store")
    if settings().gpu_hour_price or settings().cpu_hour_price:
        costs.append(money_words(document["money"], document["currency"]))
    yield ", ".join(costs)
    soon, late = duration_words(p50), duration_words(p90)
    yield f"done in about {soon}, 9 times of 10 within {late}, from {document['based_on']}"


def _frames_to_make(shot: dict[str, Any]) -> str:
    """The frames that each run of a shot makes, counted as `--frames` does."""
    return "; ".join(f"{made['stages']} {made['frames']}" for made in shot["to_make"]) or "-"
