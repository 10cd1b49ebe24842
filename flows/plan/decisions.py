"""What people decided, as events in the store: `reviews/EPISODE/decisions/SHOT/KEY.json`.

A decision names what was seen by its key: a segment, or a preview. Nothing is ever
overwritten; the newest decision on a thing counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from cluster.keys import make_key
from cluster.store.base import Store

Verdict = Literal["approved", "retake"]
Subject = Literal["segment", "preview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said of a shot, when (ISO 8601, UTC) and with which words. `segment` is the key
    of what was seen, also where that was a preview."""

    episode: str
    shot: str
    segment: str
    verdict: Verdict
    by: str
    at: str
    note: str = ""
    of: Subject = "segment"


Decisions = dict[tuple[str, str], Decision]
"""The newest decision on everything seen, by shot and key."""


def standing_decisions(store: Store, episode: str) -> Decisions:
    """The newest decision on everything that people have seen of an episode."""
    newest: Decisions = {}
    for entry in store.list(f"reviews/{episode}/decisions/"):
        decision = Decision(**json.loads(store.get(entry.name)))
        place = (decision.shot, decision.segment)
        if place not in newest or newest[place].at <= decision.at:
            newest[place] = decision
    return newest


def write_decision(store: Store, decision: Decision) -> None:
    """Put a decision, once."""
    text = json.dumps({name: getattr(decision, name) for name in Decision.__slots__})
    name = f"reviews/{decision.episode}/decisions/{decision.shot}/{make_key(decision)}.json"
    store.put(name, text.encode())
