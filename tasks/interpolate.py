"""Interpolate: more (or fewer) frames a second, without touching cuts, holds or duration."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from tasks.frames import Frames
from tasks.inbetween import Pair
from tasks.stage import Card, Params, Stage, Window
from tasks.track import Span, Track

_NTSC = Fraction(1000, 1001)
_ROUNDED_NTSC = {
    text: Fraction(nominal) * _NTSC
    for nominal, texts in {
        24: ("23.976", "23.98"),
        30: ("29.97",),
        48: ("47.952", "47.95"),
        60: ("59.94",),
        120: ("119.88",),
    }.items()
    for text in texts
}
_STAMP = Fraction(1, 1000)
"""Coarsest usual time stamp (Matroska's millisecond): nearer than this is on the frame."""
_ROUNDING = _STAMP / 2
"""A stamp rounded up so far past the output's grid does not make a cut come a frame late."""
_LONGEST_MOVE = Fraction(1, 6)
"""Seconds. In a film of varying rate a frame that stays longer is a hold, not a slow motion."""


def exact_ratio(value: Any) -> Any:
    """A positive Fraction from 2, 2.5, "5/2", "60000/1001"; 23.976 and kin mean n/1001."""
    text = str(value).strip()
    try:
        ratio = _ROUNDED_NTSC.get(text) or Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise PydanticCustomError("ratio", "expected a number such as 2, 5/2 or 23.976") from None
    if not 0 < ratio <= 1000:
        raise PydanticCustomError("ratio", "expected a number above 0, at most 1000")
    return ratio


Ratio = Annotated[Fraction, BeforeValidator(exact_ratio)]


class InterpolateParams(Params):
    """Exactly one of `factor` (times as many frames) and `rate` (frames a second, exact).

    `engine`: "dis" draws in-betweens along optical flow, "average" mixes neighbours.
    """

    factor: Ratio | None = None
    rate: Ratio | None = None
    engine: Literal["dis", "average"] = "dis"

    @model_validator(mode="after")
    def _one_target(self) -> InterpolateParams:
        if (self.factor is None) == (self.rate is None):
            raise PydanticCustomError("target", "expected exactly one of factor and rate")
        return self


class Place(NamedTuple):
    """An output frame is `fraction` of the way from input `frame` to the next; 0: on it."""

    frame: int
    fraction: Fraction


class Interpolate(Stage[InterpolateParams]):
    """Frames at a new rate: held drawings stay held, cuts stay cuts, times stay exact.

    Output frames lie on one grid through the whole film. With `factor` frame j sits at source
    index j / factor of the episode, with `rate` at j / rate seconds; a shot owns the j from its
    first frame (or time, less half a millisecond) up to the next shot's, so none is lost or
    doubled at a cut. A frame exactly on an input frame, between two held ones, or after the
    shot's last one is a copy, bit for bit. Lowering the rate may leave a short shot empty.

    A constant rate stays constant: the shot then ends on the output's grid, less than one output
    frame after its input. In a varying rate the first frame of a shot keeps its time.
    """

    name = "interpolate"
    version = 1
    Params = InterpolateParams

    def card(self) -> Card:
        """OpenCV on one core; 400 MB for a megapixel of float planes, flows and weights."""
        dis = self.params.engine == "dis"
        return Card(
            num_cpus=1,
            memory_bytes=(400 if dis else 100) << 20,
            engine="opencv-dis" if dis else "numpy",
            keep=dis,
            needs_drawings=True,
        )

    def track_after(self, track: Track) -> Track:
        """The track on the new grid; copies keep their drawing, an in-between is a new one."""
        grid = _Grid(self.params, track)
        places = [grid.place(index) for index in range(len(grid))]
        rate = track.rate
        if self.params.factor is not None:
            rate = rate and rate * self.params.factor
        return replace(
            track,
            times=tuple(grid.time(index) for index in range(len(grid))),
            end=grid.end,
            rate=self.params.rate or rate,
            first=grid.first,
            drawing=_drawings(places, track),
        )

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """The frames on either side of each output frame; one where it is a copy."""
        wanted: set[int] = set()
        for frame, fraction in self._places(out, track):
            wanted.update((frame, frame + 1) if fraction else (frame,))
        return tuple(sorted(wanted))

    def key_context(self, out: Span, track: Track) -> object:
        """Where each output frame sits, and the depth it is rounded to."""
        return [track.picture.depth, self._places(out, track)]

    def process(self, window: Window, out: Span) -> Frames:
        """The frames of `out`: copies and in-betweens, same size and colour as the input."""
        picture = window.track.picture
        made = np.empty((len(out), picture.height, picture.width, 3), np.uint16)
        pair: tuple[int, Pair] | None = None
        for at, (frame, fraction) in enumerate(self._places(out, window.track)):
            if not fraction:
                made[at] = window.frame(frame)
                continue
            if pair is None or pair[0] != frame:
                both = window.frame(frame), window.frame(frame + 1)
                pair = frame, Pair(*both, depth=picture.depth)
            draw = pair[1].between if self.params.engine == "dis" else pair[1].average
            made[at] = draw(float(fraction))
        return made

    def _places(self, out: Span, track: Track) -> list[Place]:
        grid = _Grid(self.params, track)
        return [grid.place(index) for index in out.indices()]


class _Grid:
    """The output frames that a shot owns. Index 0 is its first one."""

    def __init__(self, params: InterpolateParams, track: Track) -> None:
        self._track = track
        self._factor, self._rate = params.factor, params.rate
        if self._factor is not None:
            bounds = (track.first * self._factor, (track.first + len(track)) * self._factor)
        else:
            assert self._rate is not None
            start = track.times[0] if track.times else track.end
            bounds = ((start - _ROUNDING) * self._rate, (track.end - _ROUNDING) * self._rate)
        self.first = ceil(bounds[0])
        self._count = ceil(bounds[1]) - self.first
        stays = [b - a for a, b in pairwise((*track.times, track.end))]
        self._tick = min(stays, default=Fraction(0))

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> Fraction:
        """When the last frame goes: where the next shot's first one appears."""
        if self._rate is not None:
            return (self.first + self._count) / self._rate
        assert self._factor is not None
        if self._track.rate is None or not self._track.times:
            return self._track.end
        past = (self.first + self._count) / self._factor - self._track.first
        return self._track.times[0] + past / self._track.rate

    def time(self, index: int) -> Fraction:
        """When output frame `index` appears."""
        if self._rate is not None:
            return (self.first + index) / self._rate
        frame, fraction = self._position(index)
        return self._appears(frame) + fraction * self._stay(frame)

    def place(self, index: int) -> Place:
        """Where output frame `index` sits, held drawings and the shot's last frame copied."""
        track = self._track
        frame, fraction = self._position(index)
        if frame + 1 >= len(track) or track.is_held(frame, frame + 1):
            return Place(frame, Fraction(0))
        if track.rate is None:
            stay = self._stay(frame)
            if self._rate is not None and min(fraction, 1 - fraction) * stay <= _STAMP:
                return Place(frame + round(fraction), Fraction(0))
            if stay > _LONGEST_MOVE:
                fraction = max(Fraction(0), 1 - (1 - fraction) * stay / self._tick)
        return Place(frame, fraction)

    def _position(self, index: int) -> Place:
        track = self._track
        if self._factor is not None:
            if index == 0 and track.rate is None:
                return Place(0, Fraction(0))
            position = (self.first + index) / self._factor - track.first
            return Place(floor(position), position - floor(position))
        assert self._rate is not None
        time = (self.first + index) / self._rate
        frame = max(0, bisect_right(track.times, time) - 1)
        past = max(Fraction(0), time - self._appears(frame))
        return Place(frame, past / self._stay(frame))

    def _appears(self, frame: int) -> Fraction:
        return self._track.times[frame]

    def _stay(self, frame: int) -> Fraction:
        times = self._track.times
        return (times[frame + 1] if frame + 1 < len(times) else self._track.end) - times[frame]


def _drawings(places: list[Place], track: Track) -> tuple[int, ...]:
    if not track.drawing:
        return ()
    first_shown: dict[int, int] = {}
    return tuple(
        index if fraction else first_shown.setdefault(track.drawing[frame], index)
        for index, (frame, fraction) in enumerate(places)
    )
