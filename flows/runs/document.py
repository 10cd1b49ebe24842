"""A run's document as it is kept in the store: shots that the run left alone take a few bytes each.

Of an episode of 300 shots of which two are rendered anew, the other 298 lines would be most of what
a run puts into the store besides frames.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flows.runs.result import ShotLine

COLUMNS = ("id", "source", "start", "end", "frames", "chunks")
"""What the line of a shot that was stored already differs in from others of its kind."""


def pack_document(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the lines of untouched shots as columns, under `stored`, `at` their places
    in the film. Others stay in `shots`."""
    lines = document["shots"]
    at = [place for place, line in enumerate(lines) if line == _untouched(line)]
    if not at:
        return document
    stored = {name: [lines[place][name] for place in at] for name in COLUMNS}
    rest = [line for line in lines if line != _untouched(line)]
    return {**document, "shots": rest, "stored": {"at": at, **stored}}


def unpack_document(document: dict[str, Any]) -> dict[str, Any]:
    """What `pack_document` was given; a document that it did not pack as it is."""
    if "stored" not in document:
        return document
    whole = {name: value for name, value in document.items() if name != "stored"}
    stored = document["stored"]
    lines = list(document["shots"])
    columns = (stored[name] for name in COLUMNS)
    for place, *values in zip(stored["at"], *columns, strict=True):
        lines.insert(place, _untouched(dict(zip(COLUMNS, values, strict=True))))
    return {**whole, "shots": lines}


def _untouched(line: dict[str, Any]) -> dict[str, Any]:
    """The line of a shot that was stored already and of which nothing was made."""
    given = {name: line[name] for name in COLUMNS}
    plain = ShotLine(**given, computed=0, reused=given["chunks"], state="stored")
    return asdict(plain)
