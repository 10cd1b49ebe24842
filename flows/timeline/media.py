"""What a clip shows: which of the episode's sources, and which of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cluster.errors import UsageError
from flows.timeline.read import EXPORT_AGAIN
from flows.timeline.timecode import media_start
from tasks.decode import SourceIndex

MAX_FREEZE = 1 << 20
"""Frames of one retimed clip or gap at the most: twelve hours."""

MAX_RATE, MAX_VALUE = 1e6, 1e12
"""Of a timeline's clock, in ticks a second, and of a time on it in ticks."""


def shown_range(item: Any, where: str) -> Any:
    """The range of its media that a clip shows, an `otio.opentime.TimeRange`."""
    try:
        return item.source_range or item.available_range()
    except Exception as error:  # OTIO raises bare C++ exceptions for a clip without any range
        raise UsageError(
            "says neither its range nor its media's", where=where, remedy=EXPORT_AGAIN
        ) from error


def source_of(where: str, clip: Any, sources: Sequence[SourceIndex]) -> int:
    """Which source a clip shows: by its media's file name, its own name, or its reel."""
    if len(sources) == 1:
        return 0
    url = str(getattr(clip.media_reference, "target_url", "") or "")
    reel = str(dict(clip.metadata.get("cmx_3600", {})).get("reel", ""))
    path = _path_of(url)
    words = (path, PurePosixPath(path).name, PurePosixPath(url).name, str(clip.name or ""), reel)
    for word in filter(None, words):
        found = [number for number, index in enumerate(sources) if _is_named(index, word)]
        if len(found) == 1:
            return found[0]
    raise UsageError(
        "none of the episode's sources is called like it",
        where=where,
        remedy=f"sources are {', '.join(Path(index.path).name for index in sources)}",
    )


def clip_frames(
    where: str, clip: Any, shown: Any, index: SourceIndex, *, factor: Fraction
) -> tuple[int, ...] | range:
    """The source's frames that a clip shows one after another, each `factor` frames on from the
    one before: 2 leaves every second one out, 1/2 shows each twice, 0 holds the first.

    UsageError where the source does not have them.
    """
    media = clip.media_reference.available_range
    first = shown.start_time - media.start_time if media else shown.start_time
    start, count = frames_of(where, first, index), frames_of(where, shown.duration, index)
    own = 0 if media else media_start(index.timecode, rate=index.rate)
    if own and start >= own:
        start -= own  # in the source's own timecode; what lies before that is counted from 0
    last = start + int((count - 1) * factor)
    if count <= 0 or start < 0 or last >= len(index):
        raise UsageError(
            f"asks for frames [{start}, {last + 1}) of {index.path}, which has [0, {len(index)})"
            + (f" from timecode {index.timecode} on" if own else ""),
            where=where,
            remedy="relink the clip, or check the media's start timecode",
        )
    if factor == 1:
        return range(start, start + count)
    if count > MAX_FREEZE:
        raise UsageError(f"lasts {count} frames", where=where, remedy=EXPORT_AGAIN)
    return tuple(start + int(k * factor) for k in range(count))


def frames_of(where: str, time: Any, index: SourceIndex) -> int:
    """A time of the timeline in frames of the source: one to one at its whole rate."""
    if not (abs(time.value) < MAX_VALUE and 0 < time.rate < MAX_RATE):
        raise UsageError(
            f"expected times in frames, got {time.value:g} at {time.rate:g} a second",
            where=where,
            remedy=EXPORT_AGAIN,
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
    frame: int = round(time.value)
    return frame


def _path_of(url: str) -> str:
    try:
        return unquote(urlsplit(url).path)
    except ValueError:  # no address: its last part may still name a file
        return ""


def _is_named(index: SourceIndex, word: str) -> bool:
    file = PurePosixPath(index.path)
    return word == index.path or word.lower() in (file.name.lower(), file.stem.lower())
