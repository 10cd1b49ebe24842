"""What is measured on: sources by path, or the synthesised short, whose truth is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from tasks.benchmarks.evaluation import Case
from tasks.benchmarks.footage import (
    Footage,
    evenly,
    open_footage,
    read_stills,
    read_triplets,
    triplet,
)
from tasks.synthetic import Short, picture_identity, render_frame, synthesise

SAMPLE = "sample"
SAMPLE_SIZE = (640, 360)

Progress = Callable[[float], None]


class Material:
    """The cases of several sources, or of the sample where none is named.

    Sources are indexed and looked through once. Errors: InputError as decoding has it.
    """

    def __init__(self, paths: Sequence[str], *, progress: Progress | None = None) -> None:
        self._footage: list[Footage] = []
        for at, path in enumerate(paths):
            self._footage.append(open_footage(path))
            if progress:
                progress((at + 1) / len(paths))
        self._short = None if paths else synthesise(size=SAMPLE_SIZE)

    @property
    def names(self) -> tuple[str, ...]:
        """The sources' own names."""
        return tuple(one.name for one in self._footage) or (SAMPLE,)

    def triplets(self, *, most: int) -> list[Case]:
        """At most `most` triplets of each source that has any: see `read_triplets`."""
        if self._short:
            return list(_sample_triplets(self._short, most=most))
        moving = (one for one in self._footage if one.triplet_frames())
        return [case for one in moving for case in read_triplets(one, most=most)]

    def stills(self, *, most: int) -> list[Case]:
        """At most `most` pictures of each source, in twos: see `read_stills`."""
        if self._short:
            return list(_sample_stills(self._short, most=most))
        return [case for one in self._footage for case in read_stills(one, most=most)]


def _sample_triplets(short: Short, *, most: int) -> Iterator[Case]:
    """The sample's true in-betweens, half-way between two frames that show two drawings."""
    plain = _plain_frames(short)
    moving = [
        (a, b)
        for a, b in pairwise(plain)
        if b == a + 1
        and short.shot_of(a) == short.shot_of(b)
        and picture_identity(short, a) != picture_identity(short, b)
    ]
    for a, b in evenly(moving, most=most):
        half = Fraction(a + b, 2)
        first, middle, last = (render_frame(short, time) for time in (a, half, b))
        name = f"frame {a}.5 ({short.shot_of(a).kind})"
        yield triplet(first, middle, last, source=SAMPLE, name=name)


def _sample_stills(short: Short, *, most: int) -> Iterator[Case]:
    """Frames of the sample in twos that follow one another."""
    plain = set(_plain_frames(short))
    firsts = [
        f for f in sorted(plain) if f + 1 in plain and short.shot_of(f) == short.shot_of(f + 1)
    ]
    for first in evenly(firsts, most=max(1, most // 2)):
        for frame in (first, first + 1):
            yield Case(
                source=SAMPLE,
                name=f"frame {frame} ({short.shot_of(frame).kind})",
                inputs=(),
                truth=render_frame(short, frame),
                follows=frame > first,
            )


def _plain_frames(short: Short) -> list[int]:
    """Frames without a flash and outside of fades and dissolves."""
    mixed = {f for change in short.transitions for f in range(change.start, change.end)}
    mixed |= {flash.frame for flash in short.flashes}
    return [frame for frame in range(short.frames) if frame not in mixed]
