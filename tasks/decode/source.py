"""The index of a source: every displayed frame's time, the colour, the streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from cluster.errors import InputError
from cluster.keys import Digest
from tasks.frames.picture import Picture

INDEX_VERSION = 1
"""Raised when the JSON form changes; an index of another version is made anew."""

Kind = Literal["stream", "counted", "folder", "black"]
"""stream: frames have timestamps; counted: they have none, or none to trust, and are numbered by
decoding from the start; folder: one file per frame; black: no file at all (derived.py)."""
FILMS: tuple[Kind, ...] = ("stream", "counted")
"""The kinds that are one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekPoint:
    """A key frame from which every frame shown at or after it decodes exactly.

    `frame` is the index of the first displayed frame that it can give; `dts` and `pos` (byte
    offset) are None where the container has none.
    """

    frame: int
    pts: int
    dts: int | None
    pos: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """A stream of the container. `start` and `duration` in seconds; None where it states none."""

    index: int
    kind: Literal["video", "audio", "subtitle", "attachment", "data"]
    codec: str = ""
    language: str = ""
    title: str = ""
    default: bool = False
    forced: bool = False
    start: Fraction | None = None
    duration: Fraction | None = None
    time_base: Fraction | None = None
    sample_rate: int = 0
    channels: int = 0
    layout: str = ""
    filename: str = ""
    mimetype: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter, times in exact seconds on the source's clock."""

    start: Fraction
    end: Fraction
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceIndex:
    """The frames that a decode from start to end displays, in order, and what goes with them.

    Times are exact seconds on the source's own clock (a transport stream seldom starts at 0:
    `times[0]` tells; `container_start` is the earliest of all streams). Where `rate` is not None
    `times[k] == times[0] + k / rate`: the container's rounding is undone. `picture` is the frame
    as displayed (`rotation` applied) in the planar `pix_fmt` that planes come in; `coded_format`
    is the decoder's own. `pts` are ticks of `time_base` and name frames to the decoder.
    `guessed` lists, in words, what was assumed or left out.
    `timecode` is what the container states of the first frame (`01:00:00:00`), empty if nothing.
    Where there are `picks`, frame k is number `picks[k]` of those that `pts` name (derived.py), and
    `picked_from` is the digest of the source that they are picked from.
    """

    path: str
    kind: Kind
    digest: Digest
    picture: Picture
    pts: tuple[int, ...]
    time_base: Fraction
    start: Fraction
    end: Fraction
    rate: Fraction | None
    coded_format: str
    codec: str = ""
    container: str = ""
    stream: int = 0
    rotation: int = 0
    interlaced: bool = False
    seek_points: tuple[SeekPoint, ...] = ()
    frames: tuple[str, ...] = ()
    frame_digests: tuple[Digest, ...] = ()
    streams: tuple[StreamInfo, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    container_start: Fraction = Fraction(0)
    duration: Fraction | None = None
    picks: tuple[int, ...] = ()
    timecode: str = ""
    picked_from: str = ""

    def __len__(self) -> int:
        return len(self.picks or self.pts)

    @cached_property
    def times(self) -> tuple[Fraction, ...]:
        """When each frame appears, in exact seconds, strictly ascending."""
        if self.rate is not None:
            return tuple(self.start + k / self.rate for k in range(len(self)))
        return tuple(ticks * self.time_base for ticks in self.pts)

    @property
    def content(self) -> Digest:
        """The digest of what lies at `path`."""
        return Digest(self.picked_from or self.digest)

    @property
    def guessed(self) -> tuple[str, ...]:
        """What was assumed about the picture, by which rule."""
        return self.picture.guessed

    @property
    def coded_picture(self) -> Picture:
        """The picture as coded, before `rotation`: what planes have the size of."""
        if self.rotation % 180 == 0:
            return self.picture
        return replace(self.picture, width=self.picture.height, height=self.picture.width)

    def where(self, frame: int) -> str:
        """How messages name a frame: `film.mp4 frame 123 (5.125 s)`."""
        return f"{self.path} frame {frame} ({float(self.times[frame]):.3f} s)"

    def is_vfr(self) -> bool:
        """Whether the time between frames varies."""
        return self.rate is None and len({b - a for a, b in pairwise(self.pts)}) > 1

    def to_json(self) -> str:
        """The index as one JSON document that `from_json` reads back equal."""
        return json.dumps({"version": INDEX_VERSION, **_plain_fields(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> SourceIndex:
        """The index that `to_json` wrote. InputError if it is of another version or no index."""
        try:
            data = json.loads(text)
            if data.pop("version") != INDEX_VERSION:
                raise InputError("the source's index is of another version", remedy="index it anew")
            return cls(**_restored(data))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a source index: {error}", remedy="index it anew") from error


_FRACTIONS = {"time_base", "start", "end", "rate", "container_start", "duration", "sar"}


def _plain_fields(value: Any) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain_fields(value)
    return value


def _restored(data: dict[str, Any]) -> dict[str, Any]:
    return dict(_restored_items(data))


def _restored_items(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    parts = {"streams": StreamInfo, "chapters": Chapter, "seek_points": SeekPoint}
    for name, value in data.items():
        if name in _FRACTIONS and value is not None:
            yield name, Fraction(value)
        elif name == "picture":
            yield name, Picture(**_restored(value))
        elif name in parts:
            yield name, tuple(parts[name](**_restored(item)) for item in value)
        elif isinstance(value, list):
            yield name, tuple(value)
        else:
            yield name, value
