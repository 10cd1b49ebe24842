"""Why a shot is to be rendered: what it was made from, compared with what it would be made from.

Pure. A reason names what a person changed; what merely follows from it (a larger scale takes
another network) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any, Literal

from flows.changes.fingerprint import Fingerprint, StageMark, fingerprint
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.track import ranges_of
from tasks.worker.item import chunk_name

Kind = Literal[
    "new",
    "source",
    "cut",
    "parameters",
    "model",
    "reference",
    "encoder",
    "version",
    "unfinished",
    "gone",
    "stored",
]
NAMED = 3
"""Stretches of changed frames that are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why chunks are to be made: those of the shot's run number `run` and all later runs; of a run
    that does not exist, only the segment."""

    kind: Kind
    words: str
    run: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRender:
    """A shot as its newest manifest has it: the objects it named, and what it was made from, None
    where an older douga wrote it."""

    run: str
    objects: frozenset[str]
    made_from: Fingerprint | None


def reasons_for(plan: RenderPlan, shot: ShotPlan, before: LastRender | None) -> tuple[Reason, ...]:
    """Why a shot is to be rendered, most telling first; one of kind "stored" where it is not."""
    if plan.is_done(shot):
        return (Reason(kind="stored", words="stored"),)
    chunks = {chunk_name(item.key) for item in shot.items()}
    there = chunks & plan.stored
    if before is None:
        if there and there != chunks:
            return (Reason(kind="unfinished", words="begun, not finished"),)
        if there:
            return (_segment_only(shot, "frames stored, segment to encode"),)
        return (Reason(kind="new", words="new"),)
    found = tuple(changes_between(before.made_from, fingerprint(shot))) if before.made_from else ()
    if there - before.objects and chunks - there:
        return (*found, Reason(kind="unfinished", words="begun, not finished"))
    if found:
        return found
    if chunks - there and before.made_from is None and not chunks <= before.objects:
        return (Reason(kind="parameters", words="changed"),)
    if chunks - there:
        return (Reason(kind="gone", words="gone from the store"),)
    return (_segment_only(shot, "frames stored, segment to encode"),)


def _segment_only(shot: ShotPlan, words: str) -> Reason:
    return Reason(kind="encoder", words=words, run=len(shot.runs))


def changes_between(was: Fingerprint, now: Fingerprint) -> Iterator[Reason]:
    """What a person changed between the two; nothing where they are equal."""
    material = list(_material_changes(was, now))
    stages = list(_stage_changes(was.runs, now.runs))
    yield from (*material, *stages)
    other_device = was.device != now.device and any(s.model for run in now.runs for s in run)
    if other_device:
        yield Reason(kind="model", words=f"device {was.device} → {now.device}")
    other_chunks = was.chunk != now.chunk and not material and not stages
    if other_chunks:
        yield Reason(kind="parameters", words=f"frames per chunk {was.chunk} → {now.chunk}")
    if was.settings and now.settings and was.settings != now.settings:
        # A larger picture follows from the stages; only what was asked of the encoder counts then.
        passed_on = {"size", "pix_fmt"} if stages or was.size != now.size else set()
        # Frames are stored as the delivery takes them: other planes are made of other frames.
        other_planes = "" not in (was.planes, now.planes) and was.planes != now.planes
        run = len(now.runs) - 1 if other_planes else len(now.runs)
        changes = list(_encoder_changes(was, now, passed_on, run))
        yield from changes
        if not (changes or material or stages or other_device or other_chunks):
            yield Reason(kind="encoder", words="encoder changed", run=run)


def _material_changes(was: Fingerprint, now: Fingerprint) -> Iterator[Reason]:
    moved = (was.first, was.end) != (now.first, now.end)
    if moved:
        old, new = (f"{each.first}-{each.end - 1}" for each in (was, now))
        yield Reason(kind="cut", words=f"cut moved: frames {old} → {new}")
    if was.source != now.source:
        yield Reason(kind="source", words="another source")
    elif all(len(each.frames) == each.end - each.first for each in (was, now)):
        changed = [
            number
            for number in range(max(was.first, now.first), min(was.end, now.end))
            if was.frames[number - was.first] != now.frames[number - now.first]
        ]
        if changed:
            yield Reason(kind="source", words=f"source changed: {_frames(changed)}")
    elif was.digest != now.digest and (moved or was.content != now.content):
        yield Reason(kind="source", words="source changed")
    if was.decoder != now.decoder:
        yield Reason(kind="version", words="decoder changed")
    same = not moved and was.content == now.content
    if same and was.rate != now.rate:
        yield Reason(kind="source", words=f"rate {was.rate} → {now.rate}")
    elif same and was.times != now.times:
        yield Reason(kind="source", words="frame times changed")
    elif same and was.drawings and was.drawings != now.drawings:
        yield Reason(kind="version", words="repeated drawings found anew")


def _stage_changes(
    was: Sequence[Sequence[StageMark]], now: Sequence[Sequence[StageMark]]
) -> Iterator[Reason]:
    old = [(number, stage) for number, run in enumerate(was) for stage in run]
    new = [(number, stage) for number, run in enumerate(now) for stage in run]
    names = [[stage.stage for _, stage in stages] for stages in (old, new)]
    if names[0] != names[1]:
        before, after = (" → ".join(each) or "none" for each in names)
        first = next(
            number for number, (a, b) in enumerate(zip_longest(*names, fillvalue="")) if a != b
        )
        run = new[min(first, len(new) - 1)][0] if new else 0
        yield Reason(kind="parameters", words=f"recipe {before} is now {after}", run=run)
        return
    if [number for number, _ in old] != [number for number, _ in new]:
        yield Reason(kind="parameters", words="other stages' frames are kept")
    for (_, a), (run, b) in zip(old, new, strict=True):
        yield from _one_stage(a, b, run)


def _one_stage(was: StageMark, now: StageMark, run: int) -> Iterator[Reason]:
    if was.version != now.version:
        words = f"{now.stage} version {was.version} → {now.version}"
        yield Reason(kind="version", words=words, run=run)
    params = sorted({*was.params, *now.params})
    differ = [name for name in params if was.params.get(name) != now.params.get(name)]
    keyed = {*was.keyed, *now.keyed}
    # One that is in no key speaks for itself only where nothing else has changed: corrections.
    telling = [name for name in differ if name in keyed]
    for name in telling or differ:
        yield Reason(kind="parameters", words=_param(now.stage, name, was, now), run=run)
    for path in sorted({*was.assets, *now.assets}):
        if was.assets.get(path) != now.assets.get(path):
            yield from _asset(was, now, path, run, known=bool(telling))
    if not telling and (was.model, was.engine) != (now.model, now.engine):
        what = "model" if was.model != now.model else f"engine {was.engine} → {now.engine}"
        words = f"{now.stage}: {what} changed" if what == "model" else f"{now.stage}: {what}"
        yield Reason(kind="model", words=words, run=run)


def _asset(was: StageMark, now: StageMark, path: str, run: int, *, known: bool) -> Iterator[Reason]:
    """A file that a stage reads; weights are reported as the model."""
    if was.model != now.model:
        return
    name = PurePosixPath(path).name
    if path in was.assets and path in now.assets:
        yield Reason(kind="reference", words=f"reference changed: {name}", run=run)
    elif not known:
        change = "added" if path in now.assets else "removed"
        yield Reason(kind="reference", words=f"reference {change}: {name}", run=run)


def _param(stage: str, name: str, was: StageMark, now: StageMark) -> str:
    old, new = was.params.get(name), now.params.get(name)
    if any(isinstance(value, list | dict) or _is_mark(value) for value in (old, new)):
        return f"{stage}.{name} changed"
    return f"{stage}.{name} {_value(old)} → {_value(new)}"


def _is_mark(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("#")


def _value(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encoder_changes(
    was: Fingerprint, now: Fingerprint, passed_on: AbstractSet[str], run: int
) -> Iterator[Reason]:
    differ = [
        name
        for name in ("encoder", *sorted({*was.encoder, *now.encoder} - {"encoder"}))
        if was.encoder.get(name) != now.encoder.get(name) and name not in passed_on
    ]
    for name in differ:
        old, new = (_value(each.encoder.get(name)) for each in (was, now))
        words = f"encoder {old} → {new}" if name == "encoder" else f"encoder: {name} {old} → {new}"
        yield Reason(kind="encoder", words=words, run=run)


def _frames(numbers: Sequence[int]) -> str:
    """`frame 7`, `frames 7, 12-14 and 3 more`."""
    ranges = ranges_of(numbers)
    named = ", ".join(str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in ranges[:NAMED])
    rest = sum(b - a for a, b in ranges[NAMED:])
    more = f" and {rest} more" if rest else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {named}{more}"
