"""What people decided, as events in the store: `reviews/EPISODE/decisions/SHOT/KEY.json`.

A decision names what was seen by its key: a segment, or a preview. Nothing is ever
overwritten; the newest decision on a thing counts. What was decided on a shot before a record of it
was damaged counts as not decided, for that record may have said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from cluster.keys import make_key
from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.records import DamagedRecord, note_damage, read_record, record_text, shape

Verdict = Literal["approved", "retake"]
Subject = Literal["segment", "preview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said of a shot, when (ISO 8601, UTC) and with which words. `segment` is the key
    of what was seen, also where that was a preview. `frame` is the one that the words are about,
    counted from the shot's first, and `strokes` what was drawn on it: an SVG path in a box 1000
    wide and as high as the picture's shape says."""

    episode: str
    shot: str
    segment: str
    verdict: Verdict
    by: str
    at: str
    note: str = ""
    of: Subject = "segment"
    frame: int | None = None
    strokes: str = ""


Decisions = dict[tuple[str, str], Decision]
"""The newest decision on everything seen, by shot and key."""


def standing_decisions(store: Store, episode: str) -> Decisions:
    """The newest decision on everything that people have seen of an episode."""
    return newest_decisions(store, store.list(f"reviews/{episode}/decisions/"), read=read_decision)


def read_decision(store: Store, name: str) -> Decision:
    """A decision by its name. NotStored, DamagedRecord."""
    return read_record(store, name, shape(Decision))


def newest_decisions(
    store: Store, listed: Iterable[StoredObject], *, read: Callable[[Store, str], Decision]
) -> Decisions:
    """The same of what was listed by whoever keeps a listing; `read` may remember what it read."""
    newest: Decisions = {}
    put_at: dict[str, list[tuple[Decision, datetime]]] = {}
    damaged: dict[str, datetime] = {}
    for entry in listed:
        shot = entry.name.split("/")[3]
        try:
            put_at.setdefault(shot, []).append((read(store, entry.name), entry.modified))
        except NotStored:
            continue
        except DamagedRecord as error:
            then = f"{shot} counts as not decided: douga approve or retake it again"
            note_damage(error, then=then)
            damaged[shot] = max(entry.modified, damaged.get(shot, entry.modified))
    for shot, decisions in put_at.items():
        for decision, modified in decisions:
            place = (decision.shot, decision.segment)
            if shot in damaged and modified <= damaged[shot]:
                continue
            if place not in newest or newest[place].at <= decision.at:
                newest[place] = decision
    return newest


def write_decision(store: Store, decision: Decision) -> None:
    """Put a decision, once."""
    text = record_text(asdict(decision))
    name = f"reviews/{decision.episode}/decisions/{decision.shot}/{make_key(decision)}.json"
    store.put(name, text.encode())
