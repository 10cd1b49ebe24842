"""What is told: one thing that happened, in a line, in numbers, and shot by shot."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from flows.runs.outcome import Outcome

Kind = Outcome | Literal["test"]
About = Literal["episode", "night", "test"]
NAMED_AT_MOST = 20
"""Shots and episodes that an event names of each sort: receivers want less than 20 kB."""
TEXT_AT_MOST = 400
"""Letters of an error, a command or a name: enough for a line that says what, where and next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventShot:
    """A shot that a person must look at; `frame` counts from the shot's first, None if unknown."""

    episode: str
    shot: str
    error: str
    frame: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEpisode:
    """How an episode of a night ended."""

    episode: str
    state: str
    why: str = ""
    run: str = ""
    film: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to an episode or a night.

    `name` is the episode's or the nightly's, `text` one line for people. `counts` are numbers with
    their names, in the order to show them. `failed` and `waiting` name the first `NAMED_AT_MOST`;
    `counts` has how many there are. `command` does it again; `report` is the night's HTML file.
    `id` is the same however often the event is sent, for receivers that drop what they have seen.
    All texts are one line without control characters: they come from file names and errors.
    """

    kind: Kind
    about: About
    name: str
    text: str
    run: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    film: str = ""
    store: str = ""
    prefect: str = ""
    report: str = ""
    command: str = ""
    failed: tuple[EventShot, ...] = ()
    waiting: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    episodes: tuple[EventEpisode, ...] = ()
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    @property
    def type(self) -> str:
        """The event's type as webhooks name it: `episode.left_out`."""
        return "test" if self.about == "test" else f"{self.about}.{self.kind.replace(' ', '_')}"

    def to_json(self) -> dict[str, Any]:
        """The event as programs read it."""
        return {**asdict(self), "counts": dict(self.counts)}


def plain(text: object, *, at_most: int = TEXT_AT_MOST) -> str:
    """Text on one line, without control characters or halves of letters, cut to a length."""
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= at_most else f"{line[: at_most - 1]}…"
