"""Timing: how long each drawing of a shot is shown, which are held, and when one moves on.

Pure: from a shot's track to the place of an output frame between two of its drawings. Times are
exact seconds; a drawing is a run of neighbouring frames that the track knows to show the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

from tasks.frames.track import Track

Timing = Literal["smooth", "keep"]
"""smooth: motion is spread evenly from drawing to drawing. keep: the drawings' own rhythm stays."""

_LONGEST_STEP = Fraction(7, 48)
"""Seconds. Three frames at 24 fps, to the nearest: threes in 29.97 and 59.94 fps are below it
(.1335), a drawing on fours is above it in 24 and in 25 fps (.1667, .16): that is a pose."""
_PAUSE = Fraction(5, 2)
"""A drawing shown so many times as long as those around it is a pause: a three among ones, but
neither a two among ones nor a three among twos."""
_ON_ONES = Fraction(3, 2)
"""Frames: one, to the nearest (stamps of varying rate are rounded to a millisecond)."""


class Place(NamedTuple):
    """An output frame lies `fraction` of the way from input frame `before` to `after`.

    A `fraction` of 0 is a copy of `before`, and then both are the same.
    """

    before: int
    after: int
    fraction: Fraction


class TimingChart:
    """Where any moment of a shot lies between its drawings.

    A drawing appears when its first frame does, whatever the timing. It then stays, and for the
    last part of its time (`lead_times`) moves towards the next. The last drawing of the shot
    stays to the end: nothing lies between two shots.
    """

    def __init__(self, track: Track, *, timing: Timing) -> None:
        self._track = track
        frames = range(len(track))
        self._first = [i for i in frames if i == 0 or not track.is_held(i - 1, i)]
        self._appears = [track.times[i] for i in self._first]
        stays = [b - a for a, b in pairwise((*track.times, track.end))]
        shown = [b - a for a, b in pairwise((*self._appears, track.end))]
        self._leads = lead_times(shown, frame=min(stays, default=Fraction(0)), timing=timing)

    def place_at(self, time: Fraction) -> Place:
        """The place of what is to be seen at `time` seconds, clamped to the track.

        A copy is of the frame on screen at that time, so that what is held keeps its grain.
        """
        drawing = max(0, bisect_right(self._appears, time) - 1)
        lead = self._leads[drawing]
        if lead:
            until = self._appears[drawing + 1]
            moved = time - (until - lead)
            if moved > 0:
                start = self._track.frame_at(until - lead)
                return Place(start, self._first[drawing + 1], moved / lead)
        shown = self._track.frame_at(time)
        return Place(shown, shown, Fraction(0))


def lead_times(
    shown: Sequence[Fraction], *, frame: Fraction, timing: Timing
) -> tuple[Fraction, ...]:
    """For each drawing of a shot, for how long before the next one appears it moves towards it.

    `shown` is how long each drawing is on screen, in order, `frame` the shortest stay of a frame,
    all in seconds. Between 0 (a copy to the end) and the drawing's own time (it moves throughout).
    The last is 0. Pure.

    smooth: a step, which is a drawing of at most three frames at 24 fps (below 7/48 s) that is
    not 5/2 times as long as the steps beside it, moves throughout. Anything else is held, and
    moves for as long as the step after it is shown, else the one before it, else one frame.

    keep: a drawing on ones, which is one that is shown for a single frame and has another such
    beside it, moves throughout. Any other stays to its end.
    """
    if not shown:
        return ()
    leads = _smooth_leads(shown, frame) if timing == "smooth" else _kept_leads(shown, frame)
    return (*leads, Fraction(0))


def _smooth_leads(shown: Sequence[Fraction], frame: Fraction) -> list[Fraction]:
    # What the cut ends may have been meant to stay longer: the last drawing is no measure.
    brief = [time < _LONGEST_STEP for time in shown[:-1]]
    steps = [
        brief[i] and shown[i] <= _PAUSE * max(_beside(shown, brief, i), default=shown[i])
        for i in range(len(brief))
    ]
    return [
        shown[i] if steps[i] else min(shown[i], next(iter(_beside(shown, steps, i)), frame))
        for i in range(len(steps))
    ]


def _kept_leads(shown: Sequence[Fraction], frame: Fraction) -> list[Fraction]:
    single = [time < _ON_ONES * frame for time in shown]
    return [
        shown[i] if single[i] and _beside(shown, single, i) else Fraction(0)
        for i in range(len(shown) - 1)
    ]


def _beside(
    shown: Sequence[Fraction], counts: Sequence[bool], drawing: int
) -> tuple[Fraction, ...]:
    """The times of the drawings after and before one, of those that count."""
    near = (drawing + 1, drawing - 1)
    return tuple(shown[i] for i in near if 0 <= i < len(counts) and counts[i])
