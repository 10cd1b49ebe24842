"""The state of every shot of an episode, as a fold over what its store has. Pure but for `gather`,
which reads through the library."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from cluster.errors import StoreError
from cluster.store.records import shape
from flows.desk.library import Library, Shelf
from flows.plan.decisions import Decision, Decisions, newest_decisions
from flows.plan.preview import shown_shots
from flows.runs.failure import PREFIX as FAILURES
from flows.runs.failure import known_failure
from flows.runs.result import ShotLine
from flows.runs.state import RUNNING, RunStatus

RUNS_READ = 100
"""The newest runs of an episode, of which its shots and its cost are told."""
WAITING_RUN = "waiting for review"
"""The state of a run that waits for people."""
_SEGMENT = re.compile(r"segments/[0-9a-f]{2}/([0-9a-f]{40})\.mkv")


class State(StrEnum):
    """How a shot stands, what needs a person most first."""

    FAILED = "failed"
    RETAKE = "retake"
    WAITING = "waiting"
    PREVIEW = "preview"
    RENDERING = "rendering"
    PLANNED = "planned"
    RENDERED = "rendered"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A shot as a run left it, by its manifest: source frames `range`, `segment` the object's name
    and `made_from` its fingerprint as plain data."""

    shot: str
    run: str
    segment: str
    source: int = 0
    range: tuple[int, int] = (0, 0)
    frames: int = 0
    runs: Any = ()
    made_from: Any = None
    reads: tuple[str, ...] = ()
    at: str = ""

    @property
    def key(self) -> str:
        """The segment's key, which decisions name."""
        found = _SEGMENT.fullmatch(self.segment)
        return found[1] if found else ""

    @property
    def rate(self) -> Fraction:
        """Frames a second as they come out; 24 where the source's rate varies."""
        told = self.made_from.get("rate", "") if isinstance(self.made_from, dict) else ""
        try:
            rate = Fraction(told)
        except (ValueError, ZeroDivisionError):
            return Fraction(24)
        drawn = self.range[1] - self.range[0]
        return rate * max(1, round(self.frames / drawn)) if drawn > 0 else rate


read_version = shape(Version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a store says of an episode. `lines` are the shots of the newest run that knew them;
    `versions` of each shot are by run, the newest last, `failures` the newest of each shot."""

    store: str
    episode: str
    run: RunStatus
    lines: tuple[ShotLine, ...] = ()
    lines_of: str = ""
    versions: Mapping[str, Version] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=dict)
    failures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    previews: Mapping[str, str] = field(default_factory=dict)
    compute_s: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A shot as people see it. `seen` is the key that a decision on it now would name, a segment's
    or where `of` says so a preview's; `frame` is the one to blame where it failed."""

    id: str
    state: State
    frames: int
    first: int
    end: int
    seen: str = ""
    of: str = "segment"
    segment: str = ""
    run: str = ""
    at: str = ""
    seconds: float = 0.0
    retries: int = 0
    error: str = ""
    failure: str = ""
    frame: int | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An episode with its shots in film order. `compute_s` is what its runs have computed."""

    store: str
    name: str
    run: RunStatus
    shots: tuple[Shot, ...]
    previewed: bool = False
    compute_s: float = 0.0
    trouble: str = ""

    @property
    def live(self) -> bool:
        """Whether a run of it goes on."""
        return self.run.state == RUNNING

    @property
    def counts(self) -> dict[State, int]:
        """How many shots are in each state, those that need people first."""
        found = Counter(shot.state for shot in self.shots)
        return {state: found[state] for state in State if found[state]}

    @property
    def waits_for_people(self) -> tuple[Shot, ...]:
        """The shots that a person must look at."""
        return tuple(s for s in self.shots if s.state in (State.WAITING, State.PREVIEW))

    @property
    def can_go_on(self) -> bool:
        """Whether the film waits for nothing but to be made: its run waited for people, and they
        have approved every shot that they saw."""
        return (
            self.run.state == WAITING_RUN
            and bool(self.shots)
            and all(shot.state is State.APPROVED for shot in self.shots if shot.frames)
        )


def fold(facts: Facts) -> Episode:
    """The episode that these facts come to."""
    live = facts.run.state == RUNNING
    lines = {line.id: line for line in facts.lines}
    order = list(lines)
    if live or not order:
        new = [version for name, version in facts.versions.items() if name not in lines]
        order += [v.shot for v in sorted(new, key=lambda v: (v.source, v.range))]
    shots = [_shot(facts, name, lines.get(name)) for name in order]
    return Episode(
        store=facts.store,
        name=facts.episode,
        run=facts.run,
        shots=tuple(shots),
        previewed=any(shot.of == "preview" for shot in shots),
        compute_s=facts.compute_s,
        trouble=facts.trouble,
    )


def _shot(facts: Facts, name: str, line: ShotLine | None) -> Shot:
    version = facts.versions.get(name)
    failure = facts.failures.get(name)
    preview = facts.previews.get(name, "")
    rendered = version is not None and not (
        line is not None and line.state == "failed" and version.run < facts.lines_of
    )
    failed = _has_failed(facts, line, version, failure)
    if not rendered and preview and not failed:
        seen, of = preview, "preview"
    else:
        seen, of = (version.key if version else ""), "segment"
    decision = facts.decisions.get((name, seen))
    state = _state(facts, rendered=rendered, failed=failed, of=of, decision=decision)
    told = failure if failed and failure else {}
    frames = version.frames if version else line.frames if line else 0
    span = (line.start, line.end) if line else version.range if version else (0, 0)
    return Shot(
        id=name,
        state=state,
        frames=frames,
        first=span[0],
        end=span[1],
        seen=seen,
        of=of,
        segment=version.key if version else "",
        run=version.run if version else "",
        at=version.at if version else "",
        seconds=line.seconds if line else 0.0,
        retries=line.retries if line else 0,
        error=str(told.get("error") or (line.error if line and failed else "")),
        failure=str(told.get("name") or ""),
        frame=told.get("frame"),
        decision=decision,
    )


def _has_failed(
    facts: Facts, line: ShotLine | None, version: Version | None, failure: Mapping[str, Any] | None
) -> bool:
    """Whether the last that is known of a shot is that it failed."""
    if failure is not None and (version is None or version.run < failure["run"]):
        return facts.run.state != RUNNING or failure["run"] == facts.run.run
    return line is not None and line.state == "failed" and facts.lines_of == facts.run.run


def _state(
    facts: Facts, *, rendered: bool, failed: bool, of: str, decision: Decision | None
) -> State:
    if failed:
        return State.FAILED
    if decision is not None:
        return State.APPROVED if decision.verdict == "approved" else State.RETAKE
    if of == "preview":
        return State.PREVIEW
    if not rendered:
        return State.RENDERING if facts.run.state == RUNNING else State.PLANNED
    return State.WAITING if facts.run.state == WAITING_RUN else State.RENDERED


def gather(library: Library, shelf: Shelf, episode: str) -> Facts | None:
    """What a store says of an episode; None where it knows no run of it."""
    places = shelf.runs(episode)
    runs = [library.status(shelf, place) for place in places[-RUNS_READ:]]
    status = runs[-1] if runs else None
    if status is None:
        return None
    lines, lines_of = _lines(runs)
    newest: dict[str, str] = {}
    for entry in shelf.under(f"shots/{episode}/"):  # runs are named in order of time
        newest[entry.name.split("/")[2]] = entry.name
    wanted = [name for shot, name in newest.items() if status.state == RUNNING or shot in lines]
    then = "what that shot is made of is not shown"
    versions = library.records(shelf, wanted or list(newest.values()), read_version, then=then)
    decided = shelf.under(f"reviews/{episode}/decisions/")
    return Facts(
        store=shelf.key,
        episode=episode,
        run=status,
        lines=tuple(lines.values()),
        lines_of=lines_of,
        versions={each.shot: each for each in versions if each},
        decisions=newest_decisions(
            shelf.store, decided, read=lambda _, name: library.decision(shelf, name)
        ),
        failures=_failures(library, shelf, episode),
        previews=_previews(library, shelf, episode),
        compute_s=sum(float(each.document.get("compute_s") or 0) for each in runs if each),
        trouble=shelf.trouble,
    )


def _lines(runs: Sequence[RunStatus | None]) -> tuple[dict[str, ShotLine], str]:
    """The shots of the newest run that knew them all, and that run's name."""
    for status in reversed(runs):
        if status is not None and status.document.get("shots"):
            made = (read_line(line) for line in status.document["shots"])
            return {line.id: line for line in made}, status.run
    return {}, ""


read_line = shape(ShotLine)


def _failures(library: Library, shelf: Shelf, episode: str) -> dict[str, dict[str, Any]]:
    newest: dict[str, str] = {}
    for entry in shelf.under(f"{FAILURES}{episode}/"):
        newest[entry.name.split("/")[2]] = entry.name
    then = "why that shot failed is not known"
    found = library.records(shelf, list(newest.values()), known_failure, then=then)
    return {each["shot"]: each for each in found if each}


def _previews(library: Library, shelf: Shelf, episode: str) -> dict[str, str]:
    newest: dict[str, str] = {}
    then = "that these previews were shown is not known"
    for entry in shelf.under(f"reviews/{episode}/previews/"):
        newest |= library.record(shelf, entry.name, shown_shots, then=then) or {}
    return newest


def versions_of(library: Library, shelf: Shelf, episode: str, shot: str) -> list[Version]:
    """The versions of a shot whose segments differ, the newest first."""
    names = [entry.name for entry in shelf.under(f"shots/{episode}/{shot}/")]
    then = "that version is not shown"
    found = library.records(shelf, list(reversed(names)), read_version, then=then)
    distinct = {each.key: each for each in found if each and each.key}
    return [each for each in found if each and distinct.pop(each.key, None)]


def decisions_on(library: Library, shelf: Shelf, episode: str, shot: str = "") -> list[Decision]:
    """Every decision on an episode, or on one of its shots, the newest first; what is damaged is
    left out, as the gate says."""
    prefix = f"reviews/{episode}/decisions/" + (f"{shot}/" if shot else "")
    found: list[Decision] = []
    for entry in shelf.under(prefix):
        with suppress(StoreError):
            found.append(library.decision(shelf, entry.name))
    return sorted(found, key=lambda each: each.at, reverse=True)
