"""A timeline as a trace of events, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

The format is Chrome's Trace Event Format, JSON objects: nodes are processes, lanes are threads, a
piece of work is a complete event ("X", microseconds) that holds its parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flows.report.timeline.pieces import Piece, Timeline, placed_parts
from flows.words import safe_text


def to_trace(timeline: Timeline) -> str:
    """The document, one event a line."""
    began = timeline.began.isoformat() if timeline.began else ""
    head = {"displayTimeUnit": "ms", "otherData": {"began_at": began}}
    events = ",\n".join(json.dumps(event) for event in _events(timeline))
    return f'{json.dumps(head)[:-1]}, "traceEvents": [\n{events}\n]}}\n'


def _events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    nodes = {name: at for at, name in enumerate(sorted({row.node for row in timeline.workers}), 1)}
    for name, pid in nodes.items():
        yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": safe_text(name)}}
    threads: dict[tuple[int, int], int] = {}
    for at, row in enumerate(timeline.workers):
        for lane in range(row.lanes):
            threads[at, lane] = len(threads) + 1
            gpu = f" GPU {row.gpu}" if row.gpu else ""
            name = safe_text(f"worker {row.process}{gpu}{f' ({lane + 1})' if lane else ''}")
            place = {"pid": nodes[row.node], "tid": threads[at, lane]}
            yield {"ph": "M", "name": "thread_name", **place, "args": {"name": name}}
            sort = {"sort_index": threads[at, lane]}
            yield {"ph": "M", "name": "thread_sort_index", **place, "args": sort}
    for piece in timeline.pieces:
        place = {
            "pid": nodes[timeline.workers[piece.worker].node],
            "tid": threads[piece.worker, piece.lane],
        }
        yield _complete(piece, place)
        for part, begin_s, end_s in placed_parts(piece):
            yield {"ph": "X", "name": part, "cat": "part", **place, **_span(begin_s, end_s)}


def _complete(piece: Piece, place: dict[str, int]) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": safe_text(f"{piece.shot} {piece.stage}"),
        "cat": safe_text(piece.stage),
        **place,
        **_span(piece.began_s, piece.began_s + piece.seconds),
        "args": {
            "episode": safe_text(piece.episode),
            "run": safe_text(piece.run),
            "frames": f"{piece.start}-{piece.end - 1}",
            "bytes": piece.size_bytes,
            "retries": piece.retries,
        },
    }


def _span(begin_s: float, end_s: float) -> dict[str, int]:
    """Whole microseconds, so that what lies inside another stays inside."""
    begin, end = round(begin_s * 1e6), round(end_s * 1e6)
    return {"ts": begin, "dur": end - begin}
