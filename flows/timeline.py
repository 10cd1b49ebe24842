"""Shots from an editor's timeline: OTIO, or a CMX3600 EDL.

The one video track is read in order; each clip becomes the shot of the source frames it shows. An
EDL cannot say 23.976: it is read at the nearest whole rate and its frames are taken one to one.
What cannot be rendered as it is cut (gaps, retimes, transitions, several video tracks) is refused
with the clip's name, never quietly changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cluster.errors import InputError, UsageError
from flows.shots import Shot, shot_name
from tasks.decode import SourceIndex

_EDL_TRANSITION = re.compile(r"\s*\d+\s+\S+\s+\S+\s+(D|W\d+|K[BO]?)\s")
"""An event of a CMX3600 list whose fourth field is no cut."""
MAX_BYTES = 64 << 20
"""No episode's timeline is larger: some 1 KiB a clip."""
_EXPORT_AGAIN = "export the timeline again, as OTIO or CMX3600"
SHOT_NAME = re.compile(r"(?i)^sh_?\d{2,6}[a-z]?$")
"""Clip names that are shot names already are kept where each occurs once."""


def shots_from_timeline(path: Path, *, sources: Sequence[SourceIndex]) -> tuple[Shot, ...]:
    """The shots of a timeline in film order, in source frames. UsageError naming clip and time."""
    timeline = _read(path, sources)
    clips = list(_clips(path, timeline))
    if not clips:
        raise UsageError("holds no clip", where=str(path), remedy="export the video track")
    names = [str(clip.name).lower() for clip in clips]
    named = all(SHOT_NAME.match(name) for name in names) and len(set(names)) == len(names)
    return tuple(
        _shot(path, clip, names[number] if named else shot_name(number), sources)
        for number, clip in enumerate(clips)
    )


def _read(path: Path, sources: Sequence[SourceIndex]) -> Any:
    import opentimelineio as otio

    if not path.is_file():
        raise UsageError("no such timeline", where=str(path), remedy="check the path")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"larger than {MAX_BYTES >> 20} MiB", where=str(path), remedy=_EXPORT_AGAIN
            )
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix.lower() != ".edl":
            json.loads(text)  # OTIO's own reader crashes on what is nested too deeply
            return otio.adapters.read_from_string(text, "otio_json")
        _refuse_effects(path, text)
        rate = float(round(sources[0].rate or Fraction(24)))
        return otio.adapters.read_from_string(text, "cmx_3600", rate=rate)
    except otio.exceptions.OTIOError as error:
        raise UsageError(
            f"cannot be read: {error}", where=str(path), remedy=_EXPORT_AGAIN
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be read ({(error.strerror or str(error)).lower()})",
            where=str(path),
            remedy="check the path",
        ) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", where=str(path), remedy=_EXPORT_AGAIN) from error
    except (ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise UsageError(
            f"is not a timeline ({error})", where=str(path), remedy=_EXPORT_AGAIN
        ) from error


def _refuse_effects(path: Path, text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if _EDL_TRANSITION.match(line):
            raise UsageError(
                f"event {line.split()[0]} is a dissolve or a wipe, transitions are not rendered",
                where=f"{path}:{number}",
                remedy="cut straight there",
            )
        if re.match(r"\s*M2\s", line):
            raise UsageError(
                f"retimes reel {' '.join(line.split()[1:2]) or '?'}",
                where=f"{path}:{number}",
                remedy="bake the speed change, or cut at normal speed",
            )


def _clips(path: Path, timeline: Any) -> Iterator[Any]:
    """The clips of the one video track in order; everything that is not a plain clip is refused."""
    import opentimelineio as otio

    if not isinstance(timeline, otio.schema.Timeline):
        raise UsageError(
            f"holds a {type(timeline).__name__}, not a timeline",
            where=str(path),
            remedy=_EXPORT_AGAIN,
        )
    tracks = [track for track in timeline.video_tracks() if len(track)]
    if len(tracks) > 1:
        raise UsageError(
            f"has {len(tracks)} video tracks with clips, douga takes one",
            where=str(path),
            remedy="flatten the tracks before exporting",
        )
    for track in tracks:
        shown = track.source_range
        if track.effects or (shown and shown.duration < track.available_range().duration):
            raise UsageError(
                "trims or retimes the whole track", where=str(path), remedy="flatten it first"
            )
        at = otio.opentime.RationalTime(0, 24)
        for item in track:
            where = f"{path} {item.name or type(item).__name__} at {_clock(at)}"
            if isinstance(item, otio.schema.Transition):
                raise UsageError(
                    "transitions are not rendered", where=where, remedy="cut straight there"
                )
            if isinstance(item, otio.schema.Gap):
                raise UsageError("the picture has a gap", where=where, remedy="close it")
            if not isinstance(item, otio.schema.Clip):
                raise UsageError(
                    f"a nested {type(item).__name__}", where=where, remedy="flatten it first"
                )
            if item.effects:
                effect = item.effects[0]
                raise UsageError(
                    f"retimed ({effect.effect_name or type(effect).__name__})",
                    where=where,
                    remedy="bake the speed change, or cut at normal speed",
                )
            yield item
            at += _shown(item, where).duration


def _shot(path: Path, clip: Any, name: str, sources: Sequence[SourceIndex]) -> Shot:
    where = f"{path} clip {clip.name or name}"
    source = _source_of(where, clip, sources)
    index = sources[source]
    shown = _shown(clip, where)
    media = clip.media_reference.available_range
    first = shown.start_time - media.start_time if media else shown.start_time
    start, count = _frames(where, first, index), _frames(where, shown.duration, index)
    if count <= 0 or start < 0 or start + count > len(index):
        raise UsageError(
            f"asks for frames [{start}, {start + count}) of {index.path}, "
            f"which has [0, {len(index)})",
            where=where,
            remedy="relink the clip, or check the media's start timecode",
        )
    return Shot(id=name, source=source, start=start, end=start + count)


def _shown(clip: Any, where: str) -> Any:
    """The range that a clip shows."""
    try:
        return clip.source_range or clip.available_range()
    except Exception as error:  # OTIO raises bare C++ exceptions for a clip without any range
        raise UsageError(
            "says neither its range nor its media's", where=where, remedy=_EXPORT_AGAIN
        ) from error


def _frames(where: str, time: Any, index: SourceIndex) -> int:
    """A time of the timeline in frames of the source: one to one at its whole rate."""
    if not (isfinite(time.rate) and isfinite(time.value)):
        raise UsageError(
            f"expected times in frames, got {time.value:g} at {time.rate:g} a second",
            where=where,
            remedy=_EXPORT_AGAIN,
        )
    rate = Fraction(time.rate).limit_denominator(1001)
    if index.rate is not None and round(rate) != round(index.rate):
        raise UsageError(
            f"is cut at {float(rate):g} frames a second, the source runs at {float(index.rate):g}",
            where=where,
            remedy="export the timeline at the source's rate",
        )
    if abs(time.value - round(time.value)) > 0.01:
        raise UsageError(
            f"expected a whole number of frames, got {time.value:g}",
            where=where,
            remedy="move the cut to a frame",
        )
    return round(time.value)


def _source_of(where: str, clip: Any, sources: Sequence[SourceIndex]) -> int:
    """Which source a clip shows: by its media's file name, its reel, or its own name."""
    if len(sources) == 1:
        return 0
    url = str(getattr(clip.media_reference, "target_url", "") or "")
    reel = str(dict(clip.metadata.get("cmx_3600", {})).get("reel", ""))
    for word in filter(None, (_file(url), str(clip.name or ""), reel)):
        found = [number for number, index in enumerate(sources) if _is_named(index, word)]
        if len(found) == 1:
            return found[0]
    raise UsageError(
        "none of the episode's sources is called like it",
        where=where,
        remedy=f"sources are {', '.join(Path(index.path).name for index in sources)}",
    )


def _file(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _is_named(index: SourceIndex, word: str) -> bool:
    file = PurePosixPath(index.path)
    return word.lower() in (file.name.lower(), file.stem.lower())


def _clock(time: Any) -> str:
    return f"{time.to_seconds():.3f} s"
