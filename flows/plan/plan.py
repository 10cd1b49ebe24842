"""What must run, given what the store has. Pure: the same inputs give the same plan and keys.

A recipe is cut into runs: consecutive stages fused in one worker, ended by a stage whose frames
are kept. A run is cut into chunks, each with a key that names everything its pixels depend on:
stages, versions, parameters, model digests, engine, and the frames that go in. Nothing in a key
says where a shot stands in the film, so that moving a shot renders nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from cluster.errors import UsageError
from cluster.keys import Key, make_key
from flows.plan.partial import EVERYTHING, ItemsByRun, Selection, pick_chunks, pick_frames
from flows.plan.shot_plan import KEY_FORMAT, RunPlan, ShotInput, plan_shot
from flows.spec.shots import Shot
from tasks.encode.encoders import EncodeSpec
from tasks.encode.segment import encoder_settings_key
from tasks.frames.picture import Picture
from tasks.frames.track import Track
from tasks.models.engine import EXACT
from tasks.verify.shown import Shown
from tasks.worker.item import ChunkInput, SegmentItem, WorkItem, chunk_name, segment_name

CURVES = dict.fromkeys(("smpte170m", "bt2020-10", "bt2020-12", "iec61966-2-1"), "bt709")
"""Transfers for the same kind of screen as bt709's: one film may mix them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotPlan:
    """One shot: its runs in order, and the segment made of the last one's chunks."""

    shot: Shot
    runs: tuple[RunPlan, ...]
    segment: SegmentItem | None

    @property
    def track(self) -> Track:
        """The shot's frames as they go into the film."""
        return self.runs[-1].track

    partials: ItemsByRun = ()
    """For each run, partial chunks of it that may be stored; none where nobody made any."""

    def items(self) -> Iterator[WorkItem]:
        """Every chunk of the shot, inputs before what needs them."""
        for run in self.runs:
            yield from run.items

    def names(self) -> list[str]:
        """Every object that the shot is made of, as the store names it."""
        segment = [segment_name(self.segment.key)] if self.segment else []
        return [chunk_name(item.key) for item in self.items()] + segment

    def objects(self) -> list[str]:
        """Every object to ask the store for: what the shot is made of, partial chunks, and codes of
        what is stored as planes: an earlier douga left those."""
        partials = [chunk_name(item.key) for made in self.partials for item in made]
        codes = [chunk_name(item.codes) for item in self.runs[-1].items if item.codes]
        return self.names() + partials + codes


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """Every shot in film order, what of them to make, and which objects the store has already."""

    episode: str
    run: str
    shots: tuple[ShotPlan, ...]
    picture: Picture
    stored: frozenset[str] = frozenset()
    selection: Selection = EVERYTHING
    engine: str = EXACT
    """Runs the networks of all its stages that leave it open."""

    def names(self) -> list[str]:
        """Every object that the whole film is made of, as the store names it."""
        return [name for shot in self.shots for name in shot.names()]

    def objects(self) -> list[str]:
        """Every object to ask the store for: `names` and the known partial chunks."""
        return [name for shot in self.shots for name in shot.objects()]

    def key_of(self, item: WorkItem) -> Key:
        """The key by which the store has a chunk, or would: that of its codes where only they are
        there."""
        if item.codes is None or chunk_name(item.key) in self.stored:
            return item.key
        return item.codes if chunk_name(item.codes) in self.stored else item.key

    def with_stored(self, stored: AbstractSet[str]) -> RenderPlan:
        """The same plan, knowing what the store has."""
        return replace(self, stored=frozenset(stored))

    def is_done(self, shot: ShotPlan) -> bool:
        """Whether nothing of a shot is left to do: its segment is stored, or it has no frames."""
        return shot.segment is None or segment_name(shot.segment.key) in self.stored

    def selects_all(self, shot: ShotPlan) -> bool:
        """Whether all of a shot is selected, so that its segment is made."""
        return self.selection.frames_of(shot.shot.id) is None

    def has_work(self, shot: ShotPlan) -> bool:
        """Whether something of a shot is selected and missing: a frame, or the segment."""
        return not self.is_done(shot) if self.selects_all(shot) else bool(self.todo(shot))

    def todo(self, shot: ShotPlan) -> tuple[WorkItem, ...]:
        """What to make of a shot, inputs before what needs them: missing chunks whose output
        something missing needs; partial chunks where only some frames are asked for."""
        return tuple(item for items in self.todo_by_run(shot) for item in items)

    def todo_by_run(self, shot: ShotPlan) -> ItemsByRun:
        """`todo` for each run of the shot."""
        frames = self.selection.frames_of(shot.shot.id)
        if frames is not None:
            return pick_frames(shot.runs, frames, stored=self.stored, partials=shot.partials)
        if self.is_done(shot):
            return tuple(() for _ in shot.runs)
        return pick_chunks(shot.runs, stored=self.stored, partials=shot.partials)

    def counts(self) -> tuple[int, int]:
        """(chunks in all, chunks and partial ones to compute)."""
        total = sum(1 for shot in self.shots for _ in shot.items())
        return total, sum(len(self.todo(shot)) for shot in self.shots)

    @property
    def times(self) -> tuple[Fraction, ...]:
        """When every frame of the film appears, in seconds on the film's clock."""
        return tuple(time for shot in self.shots for time in shot.track.times)

    @property
    def end(self) -> Fraction:
        """When the last frame of the film goes."""
        return self.shots[-1].track.end


def plan_render(
    inputs: Sequence[ShotInput],
    *,
    episode: str,
    run: str,
    chunk: int,
    device: str,
    engine: str = EXACT,
    delivery: Callable[[Picture], Picture],
    encode: EncodeSpec,
) -> RenderPlan:
    """The plan of an episode, all of it to do. UsageError where the shots cannot make one film."""
    planned: list[tuple[Shot, tuple[RunPlan, ...]]] = []
    for entry in inputs:
        runs = plan_shot(entry, episode=episode, run=run, chunk=chunk, device=device, engine=engine)
        planned.append((entry.shot, runs))
    picture = _one_picture([(shot, runs[-1].track.picture) for shot, runs in planned])
    delivered = delivery(picture)
    rate = _film_rate([runs[-1].track for _, runs in planned])
    shots = []
    for entry, (shot, runs) in zip(inputs, planned, strict=True):
        if not (entry.recipe and entry.recipe[-1].keep):
            runs = (*runs[:-1], runs[-1].as_delivered(delivered))
        segment = _plan_segment(
            entry, runs, episode=episode, run=run, picture=delivered, rate=rate, spec=encode
        )
        shots.append(ShotPlan(shot=shot, runs=runs, segment=segment))
    if not any(len(shot.track) for shot in shots):
        raise UsageError("the recipe leaves no frame", where=episode, remedy="raise the rate")
    _check_order(shots)
    return RenderPlan(
        episode=episode, run=run, shots=tuple(shots), picture=delivered, engine=engine
    )


def _plan_segment(
    entry: ShotInput,
    runs: Sequence[RunPlan],
    *,
    episode: str,
    run: str,
    picture: Picture,
    rate: Fraction,
    spec: EncodeSpec,
) -> SegmentItem | None:
    last = runs[-1]
    if not last.items:
        return None
    key = make_key(
        {
            "format": KEY_FORMAT,
            "chunks": [[item.codes or item.key, len(item.out)] for item in last.items],
            "encode": encoder_settings_key(spec, picture, rate=rate),
            "picture": picture,
            "rate": rate,
        }
    )
    return SegmentItem(
        key=key,
        run=run,
        episode=episode,
        shot=entry.shot.id,
        chunks=ChunkInput(chunks=tuple((item.key, item.out) for item in last.items)),
        frames=len(last.track),
        picture=picture,
        rate=rate,
        spec=spec,
        stages=last.name,
        shown=_shown(entry, runs),
        source=entry.source,
    )


def _shown(entry: ShotInput, runs: Sequence[RunPlan]) -> Shown:
    """What a shot shows of its source, by its plan."""
    return Shown(
        track=runs[-1].track,
        taken=entry.track,
        first=entry.source.first,
        same_drawings=all(run.card.same_drawings for run in runs),
    )


def _one_picture(pictures: Sequence[tuple[Shot, Picture]]) -> Picture:
    """The picture that every shot comes out as, at the greatest depth of any."""
    (first_shot, first), *rest = pictures
    for shot, picture in rest:
        if (picture.width, picture.height, picture.sar) != (first.width, first.height, first.sar):
            raise UsageError(
                f"shot {shot.id} comes out {picture.width}x{picture.height}, "
                f"{first_shot.id} {first.width}x{first.height}: one film has one size",
                remedy="give both the same scale",
            )
    _check_light("primaries", [(shot, picture.primaries) for shot, picture in pictures])
    curves = [(shot, CURVES.get(p.transfer, p.transfer)) for shot, p in pictures]
    _check_light("transfer", curves)
    return max((picture for _, picture in pictures), key=lambda picture: picture.depth)


def _check_light(what: str, tags: Sequence[tuple[Shot, str]]) -> None:
    """UsageError where two shots are tagged differently; no stage converts one to the other, and
    matrix, range and depth are no matter, for R'G'B' codes are the same for all."""
    tagged = [(shot, tag) for shot, tag in tags if tag]
    for shot, tag in tagged[1:]:
        first_shot, first = tagged[0]
        if tag != first:
            raise UsageError(
                f"shot {shot.id} has {what} {tag}, {first_shot.id} {first}: "
                "one film has one colour space",
                remedy="convert one of the sources first, or make two films",
            )


def _film_rate(tracks: Sequence[Track]) -> Fraction:
    """The constant rate of the film, or, where it varies, its mean (for rate control only)."""
    rates = {track.rate for track in tracks if len(track)}
    if len(rates) == 1 and (rate := rates.pop()) is not None:
        return rate
    frames = sum(len(track) for track in tracks)
    length = sum((track.end - track.times[0] for track in tracks if len(track)), Fraction(0))
    return (frames / length).limit_denominator(1001) if length and frames else Fraction(24)


def _check_order(shots: Sequence[ShotPlan]) -> None:
    times = [time for shot in shots for time in shot.track.times]
    if any(a >= b for a, b in pairwise(times)):
        raise UsageError("the shots do not follow one another in time", remedy="check the cut list")
