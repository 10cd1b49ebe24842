"""Who waits for whom, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from flows.farm.shares import LiveRun, Queue
from flows.words import count_words, few_words

PRIORITIES: Mapping[Queue, int] = {"urgent": 1, "day": 2, "night": 3}
LIMITS: Mapping[Queue, int] = {"urgent": 4, "day": 4, "night": 2}
"""Runs of a queue at once by default. One prepares while another assembles, so that the farm is not
idle between two; a run's process takes seconds to start."""
LEAST = 2
Standing = Literal["waiting", "starting", "running", "paused", "cancelling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A submission as Prefect has it. `due` orders those that wait in one queue; `since` is when
    its state began; `message` is what Prefect says of that."""

    id: UUID
    job: str
    episode: str
    queue: Queue
    standing: Standing
    by: str
    store: str
    submission: str
    due: datetime
    since: datetime
    deadline: str = ""
    message: str = ""

    def late(self, now: datetime) -> bool:
        """Whether its deadline is over."""
        return bool(self.deadline) and datetime.fromisoformat(self.deadline) < now


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One that stands in the queue: its `position` among those that wait (1 is next, 0: it does
    not wait for a turn), the workers that it `holds` and `wants`, and `why` it is where it is."""

    queued: Queued
    position: int
    holds: int
    wants: int
    why: str


def in_line(
    everyone: Sequence[Queued],
    live: Sequence[LiveRun],
    limits: Mapping[Queue, int],
    *,
    now: datetime,
    served: bool,
) -> list[Place]:
    """Everyone in the order of the queue: those that go first, then those that wait, by priority
    and time, then those that are paused. `served`: whether a process takes runs from the queue."""
    going = [each for each in everyone if each.standing in ("running", "starting", "cancelling")]
    waiting = [each for each in everyone if each.standing == "waiting"]
    paused = [each for each in everyone if each.standing == "paused"]
    waiting.sort(key=lambda each: (PRIORITIES[each.queue], each.due))
    places = [_going(each, live) for each in going]
    for position, each in enumerate(waiting, 1):
        why = _why_waits(each, waiting[: position - 1], going, limits, now=now, served=served)
        places.append(Place(queued=each, position=position, holds=0, wants=0, why=why))
    places += [
        Place(queued=each, position=0, holds=0, wants=0, why=each.message or "paused")
        for each in paused
    ]
    return places


def _going(one: Queued, live: Sequence[LiveRun]) -> Place:
    mine = [each for each in live if one.job in (each.job, each.run)]
    holds, wants = sum(each.holds for each in mine), sum(each.wants for each in mine)
    if one.standing == "cancelling":
        why = one.message or "ends"
    elif one.standing == "starting":
        why = "starts"
    elif not mine:
        why = "prepares, or assembles its film"
    elif holds:
        why = f"holds {count_words(holds, 'worker')}"
    else:
        others = [f"{each.episode} holds {each.holds}" for each in live if each.holds]
        why = f"waits for room: {few_words(others)}" if others else "waits for workers"
    return Place(queued=one, position=0, holds=holds, wants=wants, why=why)


def _why_waits(
    one: Queued,
    ahead: Sequence[Queued],
    going: Sequence[Queued],
    limits: Mapping[Queue, int],
    *,
    now: datetime,
    served: bool,
) -> str:
    if not served:
        return "nothing serves the queue: douga up"
    if one.due > now:
        return f"not before {one.due.astimezone():%Y-%m-%d %H:%M}"
    beside = [each.episode for each in going if each.queue == one.queue]
    limit = limits.get(one.queue, 0)
    if limit and len(beside) >= limit:
        full = f"{len(beside)} of {limit} {one.queue} runs are going ({few_words(beside)})"
        return f"{full}; {count_words(len(ahead), 'run')} ahead" if ahead else full
    return f"{count_words(len(ahead), 'run')} ahead" if ahead else "is next"
