"""The conformed timeline as OTIO: a clip for every shot, of the file that holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from flows.plan.decisions import Decision

OWN = "douga"
"""The key that all of douga's metadata is under."""
_COLOURS = {"approved": "GREEN", "retake": "RED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A shot of the film, or a gap in it, as it goes into a timeline.

    `url` is its media as the timeline names it, None where there is none yet; the media has
    `head` and `tail` frames more than the shot's `frames`. `item` is what the editor's own timeline
    had in this place, `item_rate` the rate that its source runs at. `about` is put under douga's
    key.
    """

    id: str
    frames: int
    is_gap: bool = False
    url: str | None = None
    head: int = 0
    tail: int = 0
    item: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The film as a source of sound: frame 0 of the picture is at `first_s` of it."""

    url: str
    first_s: Fraction
    length_s: Fraction


def build_timeline(
    parts: Sequence[Part],
    *,
    name: str,
    rate: Fraction,
    about: Mapping[str, Any],
    edited: Any = None,
    sound: Sound | None = None,
) -> Any:
    """An `otio.schema.Timeline` with one video track in the film's rate.

    What the editor's timeline `edited` had under keys of its own is kept on the timeline, on its
    track and on each part; a name of a clip that is no longer the clip's is kept as a comment.
    """
    import opentimelineio as otio

    timeline = otio.schema.Timeline(name=edited.name if edited is not None else name)
    timeline.metadata.update(_own(edited, about))
    if edited is not None and edited.global_start_time is not None:
        timeline.global_start_time = edited.global_start_time
    before = (
        next((track for track in edited.video_tracks() if len(track)), None) if edited else None
    )
    track = otio.schema.Track(name=before.name if before else "V1", kind="Video")
    track.metadata.update(_own(before, {}))
    track.extend(_gap(part, rate) if part.is_gap else _clip(part, rate) for part in parts)
    timeline.tracks.append(track)
    if sound is not None:
        timeline.tracks.append(_sound_track(sound, parts, rate))
    return timeline


def write_edl(timeline: Any, *, rate: Fraction) -> str:
    """The picture of a timeline as a CMX3600 list, at the whole rate next to its own, its frames
    one to one; gaps are black events, so that those at head and tail stay."""
    import opentimelineio as otio

    whole = float(round(rate))
    plain = otio.schema.Timeline(name=timeline.name)
    track = otio.schema.Track(name="V", kind="Video")
    for item in timeline.video_tracks()[0]:
        made = deepcopy(item)
        shown = item.source_range
        if isinstance(item, otio.schema.Gap):
            made = otio.schema.Clip(name="BL", metadata={"cmx_3600": {"reel": "BL"}})
        else:
            made.markers.clear()
            url = getattr(item.media_reference, "target_url", "")
            made.media_reference = otio.schema.ExternalReference(target_url=unquote(url))
            # The editor's reel is of the media that this file takes the place of.
            dict(made.metadata).get("cmx_3600", {}).pop("reel", None)
        made.source_range = otio.opentime.TimeRange(
            _frames(shown.start_time.value, whole), _frames(shown.duration.value, whole)
        )
        track.append(made)
    plain.tracks.append(track)
    return str(otio.adapters.write_to_string(plain, "cmx_3600", rate=whole))


def _clip(part: Part, rate: Fraction) -> Any:
    import opentimelineio as otio

    there = otio.opentime.TimeRange(
        _frames(0, rate), _frames(part.head + part.frames + part.tail, rate)
    )
    media = (
        otio.schema.ExternalReference(target_url=part.url, available_range=there)
        if part.url is not None
        else otio.schema.MissingReference(name=part.id, available_range=there)
    )
    clip = otio.schema.Clip(
        name=part.id,
        media_reference=media,
        source_range=otio.opentime.TimeRange(_frames(part.head, rate), _frames(part.frames, rate)),
        metadata=_own(part.item, part.about),
    )
    clip.markers.extend(_markers(part, rate))
    return clip


def _gap(part: Part, rate: Fraction) -> Any:
    import opentimelineio as otio

    return otio.schema.Gap(
        name=part.item.name if part.item is not None else "",
        source_range=otio.opentime.TimeRange(_frames(0, rate), _frames(part.frames, rate)),
        metadata=_own(part.item, part.about),
    )


def _markers(part: Part, rate: Fraction) -> Iterator[Any]:
    """The editor's markers, moved to the new media; and what a person decided on the shot."""
    import opentimelineio as otio

    first = _frames(part.head, rate)
    if part.item is not None and part.item.source_range is not None:
        start = part.item.source_range.start_time
        for marker in part.item.markers:
            moved = marker.deepcopy()
            past = (marker.marked_range.start_time - start).to_seconds()
            moved.marked_range = otio.opentime.TimeRange(
                _frames(part.head + round(past * rate), rate),
                _frames(round(marker.marked_range.duration.to_seconds() * rate), rate),
            )
            yield moved
    if (said := part.decision) is not None:
        words = f"{said.verdict} by {said.by}" + (f": {said.note}" if said.note else "")
        yield otio.schema.Marker(
            name=words,
            color=_COLOURS[said.verdict],
            marked_range=otio.opentime.TimeRange(first, _frames(0, rate)),
            metadata={OWN: {"verdict": said.verdict, "by": said.by, "at": said.at}},
        )


def _sound_track(sound: Sound, parts: Sequence[Part], rate: Fraction) -> Any:
    import opentimelineio as otio

    start = otio.opentime.RationalTime(float(sound.first_s * rate), float(rate))
    length = otio.opentime.RationalTime(float(sound.length_s * rate), float(rate))
    track = otio.schema.Track(name="A1", kind="Audio")
    track.append(
        otio.schema.Clip(
            name="sound",
            media_reference=otio.schema.ExternalReference(
                target_url=sound.url,
                available_range=otio.opentime.TimeRange(_frames(0, rate), length),
            ),
            source_range=otio.opentime.TimeRange(
                start, _frames(sum(part.frames for part in parts), rate)
            ),
        )
    )
    return track


def _own(item: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of the editor's, with douga's under its own key; what douga said before goes."""
    kept = dict(item.metadata) if item is not None else {}
    kept.pop(OWN, None)
    return {**kept, OWN: dict(about)} if about else kept


def _frames(count: float, rate: Fraction | float) -> Any:
    import opentimelineio as otio

    return otio.opentime.RationalTime(count, float(rate))
