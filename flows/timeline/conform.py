"""Shots from an editor's timeline: OTIO, or a CMX3600 EDL.

The one video track is read in order; each clip becomes the shot of the source frames it shows, each
gap black of its length. An EDL cannot say 23.976: it is read at the nearest whole rate and its
frames are taken one to one. What cannot be rendered as it is cut (transitions, most retimes,
several video tracks) is refused with the clip's name, never quietly changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cluster.errors import UsageError
from flows.spec.shots import Shot, shot_name
from flows.timeline.media import MAX_FREEZE, clip_frames, frames_of, shown_range, source_of
from flows.timeline.read import EXPORT_AGAIN, read_timeline
from tasks.decode import SourceIndex, black_index, picked_index

SHOT_NAME = re.compile(r"(?i)^sh_?\d{2,6}[a-z]?$")
"""Clip names that are shot names already are kept where each occurs once."""
_BAKE = "bake the speed change, or cut at normal speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformed:
    """A timeline against its sources.

    `sources` are those given, then one for every gap (black) and retimed clip (its frames). `items`
    are OTIO's clips and gaps, one for each of the `shots`; `notes` is what people should know.
    """

    shots: tuple[Shot, ...]
    sources: tuple[SourceIndex, ...]
    items: tuple[Any, ...]
    timeline: Any
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A clip or a gap of the track, where messages say that it is, and what it shows."""

    item: Any
    where: str
    is_gap: bool
    factor: Fraction = Fraction(1)


def conform(path: Path, *, sources: Sequence[SourceIndex]) -> Conformed:
    """The shots of a timeline in film order. UsageError naming clip and time."""
    timeline = read_timeline(path, rate=sources[0].rate)
    placed = list(_items(path, timeline))
    clips = [part for part in placed if not part.is_gap]
    if not clips:
        raise UsageError("holds no clip", where=str(path), remedy="export the video track")
    names = iter(_names(clips))
    chosen = iter([source_of(part.where, part.item, sources) for part in clips])
    known, notes = list(sources), list[str]()
    shots: list[Shot] = []
    last = source_of(clips[0].where, clips[0].item, sources)
    gaps = 0
    for part in placed:
        if part.is_gap:
            gaps += 1
            shots.append(_black(part, f"gap{gaps * 10:03d}", known, sources[last]))
            continue
        last = next(chosen)
        name = next(names)
        shots.append(_shot(part, name, known, last))
        if shots[-1].source >= len(sources):
            notes.append(f"{name} ({part.item.name}) is retimed, so it has no sound")
    return Conformed(
        shots=tuple(shots),
        sources=tuple(known),
        items=tuple(part.item for part in placed),
        timeline=timeline,
        notes=tuple(notes),
    )


def _names(clips: Sequence[_Placed]) -> list[str]:
    names = [str(part.item.name).lower() for part in clips]
    if all(SHOT_NAME.match(name) for name in names) and len(set(names)) == len(names):
        return names
    return [shot_name(number) for number in range(len(clips))]


def _shot(part: _Placed, name: str, known: list[SourceIndex], source: int) -> Shot:
    where = part.where
    index = known[source]
    frames = clip_frames(where, part.item, shown_range(part.item, where), index, factor=part.factor)
    if isinstance(frames, range) or len(frames) == 1:
        return Shot(id=name, source=source, start=frames[0], end=frames[-1] + 1)
    if index.rate is None:
        raise UsageError(
            f"retimed, and {index.path} has no constant rate", where=where, remedy=_BAKE
        )
    known.append(picked_index(index, frames))
    return Shot(id=name, source=len(known) - 1, start=0, end=len(frames))


def _black(part: _Placed, name: str, known: list[SourceIndex], like: SourceIndex) -> Shot:
    """A gap as black frames like those of the clip before it, or of the first one."""
    length = shown_range(part.item, part.where).duration
    count = frames_of(part.where, length, like)
    if not 0 < count <= MAX_FREEZE:
        raise UsageError(f"a gap of {count} frames", where=part.where, remedy=EXPORT_AGAIN)
    rate = like.rate or Fraction(length.rate).limit_denominator(1001)
    known.append(black_index(like.picture, count=count, seconds=count / rate))
    return Shot(id=name, source=len(known) - 1, start=0, end=count)


def _items(path: Path, timeline: Any) -> Iterator[_Placed]:
    """The clips and gaps of the one video track in order; everything else is refused."""
    import opentimelineio as otio

    tracks = [track for track in timeline.video_tracks() if _has_picture(track)]
    if len(tracks) > 1:
        raise UsageError(
            f"has {len(tracks)} video tracks with clips, douga takes one",
            where=str(path),
            remedy="flatten the tracks before exporting",
        )
    for track in tracks:
        shown = track.source_range
        turned_on = any(effect.enabled for effect in track.effects)
        if turned_on or (shown and shown.duration < track.available_range().duration):
            raise UsageError(
                "trims or retimes the whole track", where=str(path), remedy="flatten it first"
            )
        at = otio.opentime.RationalTime(0, 24)
        for item in track:
            kind = type(item).__name__.lower()
            where = f"{path} {kind} {item.name} at {at.to_seconds():.3f} s"
            if isinstance(item, otio.schema.Transition):
                raise UsageError(
                    "transitions are not rendered", where=where, remedy="cut straight there"
                )
            if not isinstance(item, otio.schema.Clip | otio.schema.Gap):
                raise UsageError(
                    f"a nested {type(item).__name__}", where=where, remedy="flatten it first"
                )
            is_gap = _is_black(item, where)
            length = shown_range(item, where).duration
            if not (is_gap and length.value == 0):
                yield _Placed(
                    item=item,
                    where=where,
                    is_gap=is_gap,
                    factor=Fraction(1) if is_gap else _factor(item, where),
                )
            at += length


def _has_picture(track: Any) -> bool:
    import opentimelineio as otio

    return any(not isinstance(item, otio.schema.Gap) for item in track)


def _is_black(item: Any, where: str) -> bool:
    """Whether there is no picture: a gap, a clip turned off, or generated black."""
    import opentimelineio as otio

    if isinstance(item, otio.schema.Gap) or not item.enabled:
        return True
    media = item.media_reference
    if not isinstance(media, otio.schema.GeneratorReference):
        return False
    if media.generator_kind.lower() in ("black", "slug"):
        return True
    raise UsageError(
        f"shows generated {media.generator_kind or 'pictures'}",
        where=where,
        remedy="render it to a film of its own, or leave a gap",
    )


def _factor(clip: Any, where: str) -> Fraction:
    """How many frames of its media a clip moves on with each of its own.

    UsageError for what is not done exactly: other effects, backwards (programs disagree on which
    frame such a clip begins with), and factors that leave to rounding which frame is shown.
    """
    import opentimelineio as otio

    factor = Fraction(1)
    for effect in (effect for effect in clip.effects if effect.enabled):
        name = effect.effect_name or type(effect).__name__
        if isinstance(effect, otio.schema.FreezeFrame):
            factor *= 0
            continue
        if type(effect) is not otio.schema.LinearTimeWarp:
            raise UsageError(
                f"has an effect ({name}), effects are not rendered",
                where=where,
                remedy="bake it into the media, or take it off",
            )
        scalar = effect.time_scalar
        exact = Fraction(scalar).limit_denominator(1000) if abs(scalar) < 1e6 else Fraction(-1)
        one_way = exact.numerator == 1 or exact.denominator == 1
        if exact < 0 or not one_way or abs(exact - Fraction(scalar)) > Fraction(1, 10**9):
            raise UsageError(
                f"retimed by {scalar:g} ({name}); honoured are 2, 3, … and 1/2, 1/3, … and freezes",
                where=where,
                remedy=_BAKE,
            )
        factor *= exact
    if factor.numerator > 1 and factor.denominator > 1:
        raise UsageError(f"retimed by {factor}", where=where, remedy=_BAKE)
    return factor
