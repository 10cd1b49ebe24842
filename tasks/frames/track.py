"""A shot's frames at one point of its recipe: how many, when, how large, which drawing.

A track is pure description: a stage maps the track before it to the track after it, so that a
plan can be made without decoding a frame. Indices are shot-relative and start at 0; ranges are
half-open; times are exact seconds on the film's clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tasks.frames.picture import Picture


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range `[start, end)` of frame indices."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.start

    def indices(self) -> tuple[int, ...]:
        """Every index in order."""
        return tuple(range(self.start, self.end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A shot's frames after some stage.

    `times[i]` is when frame i appears; `end` is when the last one goes; `first` is the index in
    the whole episode, at this point of the recipe, of the shot's first frame. `drawing[i]` is the
    index of the first frame showing the same drawing as frame i (`drawing[i] <= i`, and
    `drawing[drawing[i]] == drawing[i]`); empty where nobody looked. `rate` is the constant frame
    rate, None where the rate varies.
    """

    picture: Picture
    times: tuple[Fraction, ...]
    end: Fraction
    rate: Fraction | None = None
    first: int = 0
    drawing: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def span(self) -> Span:
        """All of the track."""
        return Span(0, len(self.times))

    def is_held(self, a: int, b: int) -> bool:
        """Whether frames a and b are known to show the same drawing."""
        return a == b or (bool(self.drawing) and self.drawing[a] == self.drawing[b])

    def frame_at(self, time: Fraction) -> int:
        """Index of the frame on screen at `time`, clamped to the track."""
        return max(0, bisect_right(self.times, time) - 1)


def chunk_spans(count: int, *, chunk: int) -> tuple[Span, ...]:
    """A shot of `count` frames in consecutive spans of `chunk` (the last may be shorter)."""
    return tuple(Span(at, min(at + chunk, count)) for at in range(0, count, chunk))


def ranges_of(frames: Iterable[int]) -> list[tuple[int, int]]:
    """Frame numbers as half-open ranges, in order."""
    ranges: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if ranges and ranges[-1][1] == frame:
            ranges[-1] = (ranges[-1][0], frame + 1)
        else:
            ranges.append((frame, frame + 1))
    return ranges
