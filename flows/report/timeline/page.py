"""The page of a timeline: one HTML file with its data and one script of ours, nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from flows.report.page import render
from flows.report.timeline.pieces import PARTS, Piece, Timeline
from flows.words import safe_text

SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("draw.js", "act.js"))


def render_page(timeline: Timeline, *, store: str, trace: str = "") -> str:
    """The whole page; `trace` is the name of the trace beside it."""
    script = "".join(path.read_text() for path in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "timeline/page.html.j2",
        title=", ".join(_names(piece.episode for piece in timeline.pieces)[:3]) or "nothing",
        timeline=timeline,
        store=store,
        trace=trace,
        data=_json(_data(timeline)),
        script=script,
        digest=digest,
    )


def _data(timeline: Timeline) -> dict[str, Any]:
    """What the script draws: names once, then a column for each fact of the pieces; times in
    milliseconds from the first piece on."""
    pieces = timeline.pieces
    shots = _names(f"{piece.episode}/{piece.shot}" for piece in pieces)
    runs = _names(piece.run for piece in pieces)
    stages = _names(piece.stage for piece in pieces)
    at = {name: place for names in (shots, runs, stages) for place, name in enumerate(names)}
    return {
        "began": timeline.began.timestamp() * 1000 if timeline.began else 0,
        "parts": PARTS,
        "workers": [
            {"node": row.node, "process": row.process, "gpu": row.gpu, "lanes": row.lanes}
            for row in timeline.workers
        ],
        "shots": shots,
        "runs": runs,
        "stages": stages,
        "worker": [piece.worker for piece in pieces],
        "lane": [piece.lane for piece in pieces],
        "shot": [at[f"{piece.episode}/{piece.shot}"] for piece in pieces],
        "run": [at[piece.run] for piece in pieces],
        "stage": [at[piece.stage] for piece in pieces],
        "start": [piece.start for piece in pieces],
        "end": [piece.end for piece in pieces],
        "from": [round(1000 * piece.began_s) for piece in pieces],
        "took": [_milliseconds(piece) for piece in pieces],
        "bytes": [piece.size_bytes for piece in pieces],
        "retries": [piece.retries for piece in pieces],
    }


def _milliseconds(piece: Piece) -> list[int]:
    return [round(1000 * seconds) for seconds in piece.parts_s]


def _names(texts: Any) -> list[str]:
    return sorted({safe_text(text) for text in texts})


def _json(data: dict[str, Any]) -> str:
    """JSON that can stand in an element: no name in it closes it or opens another."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
