"""What would be rendered again if something changed: `plan --changed char:mika`. Pure but for the
shelf of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePosixPath

from cluster.errors import UsageError
from flows.changes.compare import Kind, Reason
from flows.changes.why import Why
from flows.plan.partial import Selection
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from tasks.models.shelf import find_card
from tasks.worker.item import chunk_name, segment_name

OPTION = "--changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A plan as if `thing` had changed, with why each shot that it touches is made again; no other
    shot is selected."""

    thing: str
    prepared: Prepared
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """Something that may change: what its change is to a shot, and the first run of a shot that it
    reaches, None for a shot that it does not touch."""

    kind: Kind
    first_run: Callable[[ShotPlan], int | None]


def as_if_changed(prepared: Prepared, thing: str) -> Changed:
    """The plan of just the shots that `thing` touches, all that depends on it to be made again.

    `thing` is char:NAME (of the cast), source:NAME, stage:NAME or model:NAME. A shot whose cast
    names a character of whom none of its stages reads a reference counts as drawn anew: all of it.
    UsageError, with the nearest name, for what is not known.
    """
    found = _find(prepared, thing)
    first = {shot.shot.id: found.first_run(shot) for shot in prepared.plan.shots}
    touched = {shot: run for shot, run in first.items() if run is not None}
    gone: set[str] = set()
    for shot in prepared.plan.shots:
        if shot.shot.id in touched:
            for run in shot.runs[touched[shot.shot.id] :]:
                gone.update(chunk_name(item.key) for item in run.items)
            if shot.segment:
                gone.add(segment_name(shot.segment.key))
    selection = prepared.plan.selection
    shots = frozenset(name for name in touched if selection.frames_of(name) != frozenset())
    plan = replace(
        prepared.plan,
        stored=prepared.plan.stored - gone,
        selection=Selection(shots=shots, frames={}),
        shots=tuple(replace(shot, partials=()) for shot in prepared.plan.shots),
    )
    reasons = {
        name: (Reason(kind=found.kind, words=f"{thing} changed", run=touched[name]),)
        for name in shots
    }
    why = Why(reasons=reasons, seen_before=frozenset(reasons))
    return Changed(thing=thing, prepared=replace(prepared, plan=plan), why=why)


def _find(prepared: Prepared, thing: str) -> _Cause:
    finders = {"char": _character, "source": _source, "stage": _stage, "model": _model}
    what, colon, name = thing.partition(":")
    if what not in finders or not colon or not name:
        raise UsageError(
            f"expected char:NAME, source:NAME, stage:NAME or model:NAME, got {thing!r}",
            where=OPTION,
            remedy=_nearest(what, list(finders), "what may change is"),
        )
    return finders[what](prepared, name)


def _character(prepared: Prepared, name: str) -> _Cause:
    episode = prepared.request.episode
    if name not in episode.cast:
        raise _unknown("character", name, list(episode.cast), "the cast is")
    art = set(episode.cast[name].references)

    def first_run(shot: ShotPlan) -> int | None:
        if name not in episode.cast_for(shot.shot.id):
            return None
        reading = (
            number
            for number, run in enumerate(shot.runs)
            if any(path in art for call, _ in run.planner.group for path, _ in call.assets)
        )
        return next(reading, 0)

    return _Cause(kind="reference", first_run=first_run)


def _source(prepared: Prepared, name: str) -> _Cause:
    paths = [source.path for source in prepared.request.episode.sources]
    called = {
        alias: number
        for number, path in reversed(list(enumerate(paths)))
        for alias in (PurePosixPath(path).stem, PurePosixPath(path).name, path)
    }
    if name not in called:
        names = [PurePosixPath(path).name for path in paths]
        raise _unknown("source", name, names, "sources are")
    path = prepared.indices[called[name]].path

    def first_run(shot: ShotPlan) -> int | None:
        return 0 if prepared.indices[shot.shot.source].path == path else None

    return _Cause(kind="source", first_run=first_run)


def _stage(prepared: Prepared, name: str) -> _Cause:
    names = {
        stage.name
        for shot in prepared.plan.shots
        for run in shot.runs
        for _, stage in run.planner.group
    }
    if name not in names:
        raise _unknown("stage", name, sorted(names), "stages of this episode are")

    def first_run(shot: ShotPlan) -> int | None:
        return next(
            (
                number
                for number, run in enumerate(shot.runs)
                if any(stage.name == name for _, stage in run.planner.group)
            ),
            None,
        )

    return _Cause(kind="version", first_run=first_run)


def _model(prepared: Prepared, name: str) -> _Cause:
    weights = find_card(name, where=OPTION).sha256

    def first_run(shot: ShotPlan) -> int | None:
        return next(
            (
                number
                for number, run in enumerate(shot.runs)
                if any(weights in stage.card().model.split("+") for _, stage in run.planner.group)
            ),
            None,
        )

    return _Cause(kind="model", first_run=first_run)


def _unknown(what: str, name: str, known: Sequence[str], listing: str) -> UsageError:
    return UsageError(
        f"unknown {what} {name!r}", where=OPTION, remedy=_nearest(name, known, listing)
    )


def _nearest(name: str, known: Sequence[str], listing: str) -> str:
    close = get_close_matches(name, known, n=3)
    close += [each for each in known if each.casefold() == name.casefold() and each not in close]
    those = f"{listing} {', '.join(known) or 'none'}"
    return f"did you mean {' or '.join(map(repr, close))}? ({those})" if close else those
