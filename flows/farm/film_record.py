"""The store's record of a verified film, `films/EPISODE/KEY.json`: a film that is still in its
place, unchanged, is not made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.keys import digest_file, make_key
from cluster.store.records import read_if_whole, record_text, shape
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared
from tasks.worker.item import segment_name

FILM_FORMAT = 1
"""Raised when the same segments would be joined into another file."""


THEN = "its film is assembled and verified again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFilm:
    """A film that was verified. `segments` are those that it is made of, None where an earlier
    version did not say."""

    film: str
    size_bytes: int = -1
    digest: str = ""
    notes: tuple[str, ...] = ()
    segments: tuple[str, ...] | None = None


def recorded_notes(prepared: Prepared, plan: RenderPlan, film: Path) -> tuple[str, ...] | None:
    """The notes of the film if the file under its name is the one that was made and verified."""
    name = _record_name(prepared, plan)
    if not film.is_file():
        return None
    record = read_if_whole(prepared.store, name, shape(RecordedFilm), then=THEN)
    if record is None or film.stat().st_size != record.size_bytes:
        return None
    return record.notes if digest_file(film) == record.digest else None


def record_film(prepared: Prepared, plan: RenderPlan, film: Path, notes: Sequence[str]) -> None:
    """Record a film that was verified."""
    record = {
        "film": str(film),
        "size_bytes": film.stat().st_size,
        "digest": digest_file(film),
        "run": prepared.plan.run,
        "notes": list(notes),
        "segments": _segment_names(plan),
    }
    name = _record_name(prepared, plan)
    prepared.store.put(name, record_text(record, indent=1).encode())


def is_recorded(prepared: Prepared, film: Path) -> bool:
    """Whether a file is a film that was made of the plan's segments, unchanged since."""
    segments = tuple(_segment_names(prepared.plan))
    size, digest = film.stat().st_size, ""
    for stored in prepared.store.list(f"films/{prepared.name}/"):
        record = read_if_whole(prepared.store, stored.name, shape(RecordedFilm), then=THEN)
        if record and record.segments == segments and record.size_bytes == size:
            digest = digest or digest_file(film)
            if record.digest == digest:
                return True
    return False


def _record_name(prepared: Prepared, plan: RenderPlan) -> str:
    """The record's name: it names everything that the film is made of."""
    key = make_key(
        {
            "format": FILM_FORMAT,
            "segments": [shot.segment.key for shot in plan.shots if shot.segment],
            "times": make_key(plan.times),
            "end": plan.end,
            "container": prepared.request.container,
            "sources": [index.digest for index in prepared.indices],
            "audio": prepared.request.episode.delivery.audio,
        }
    )
    return f"films/{prepared.name}/{key}.json"


def _segment_names(plan: RenderPlan) -> list[str]:
    return [segment_name(shot.segment.key) for shot in plan.shots if shot.segment]
