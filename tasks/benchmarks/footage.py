"""Material to measure on: the drawings of films, GIFs and frame folders, repeats removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from cluster.errors import InputError
from tasks.analysis.analyse import analyse, drawings_for
from tasks.benchmarks.evaluation import Case
from tasks.decode import FrameReader, SourceIndex, index_source
from tasks.frames.codes import to_uint8
from tasks.metrics.scores import Frame

T = TypeVar("T")

FOLDER_FPS = Fraction(24)
"""Any rate would do for a folder: only the order of its frames counts here."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A source with, shot by shot, the first frames of its drawings."""

    index: SourceIndex
    drawings: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        """The file's or folder's own name, for captions."""
        return Path(self.index.path).name

    def triplet_frames(self) -> list[tuple[int, int, int]]:
        """Every three consecutive drawings within a shot, by frame number."""
        return [
            shot[at : at + 3]  # type: ignore[misc]
            for shot in self.drawings
            for at in range(len(shot) - 2)
        ]


def open_footage(path: str) -> Footage:
    """Index a source, find its cuts and the drawings between them. InputError as decoding has it.

    Cuts and drawings are found as a render finds them (tasks/analysis/analyse.py).
    """
    index = index_source(path, fps=FOLDER_FPS if Path(path).is_dir() or "%" in path else None)
    found = analyse(index)
    bounds = (0, *found.cuts, len(index))
    drawings = []
    for start, end in pairwise(bounds):
        shown = drawings_for(found, start, end)
        drawings.append(tuple(start + frame for frame in sorted(set(shown))))
    return Footage(index=index, drawings=tuple(drawings))


def read_triplets(footage: Footage, *, most: int) -> Iterator[Case]:
    """At most `most` triplets of a source, evenly spaced: from the outer two drawings the middle.

    InputError if it has none.
    """
    found = footage.triplet_frames()
    if not found:
        raise InputError(
            "has no three consecutive drawings in one shot",
            where=footage.index.path,
            remedy="name a film or folder with more movement",
        )
    with FrameReader(footage.index) as reader:
        for frames in evenly(found, most=most):
            a, middle, b = to_uint8(reader.read(frames))
            yield triplet(a, middle, b, source=footage.name, name=f"frame {frames[1]}")


def triplet(a: Frame, middle: Frame, b: Frame, *, source: str, name: str) -> Case:
    """A case of which methods are given `a` and `b`, to both sides of the truth, `middle`."""
    return Case(source=source, name=name, inputs=(a, b), truth=middle, beside=(a, b))


def read_stills(footage: Footage, *, most: int) -> Iterator[Case]:
    """At most `most` pictures of a source, evenly spaced, in twos that follow one another.

    The second of two is the next frame of the same shot, held or not, so that what a method does
    to it from one frame to the next can be seen. Inputs are empty.
    """
    shots = [(shot[0], shot[-1] + 1) for shot in footage.drawings]
    found = [(f, min(f + 1, end - 1)) for start, end in shots for f in range(start, end, 2)]
    with FrameReader(footage.index) as reader:
        for frames in evenly(found, most=max(1, most // 2)):
            for frame in sorted(set(frames)):
                yield Case(
                    source=footage.name,
                    name=f"frame {frame}",
                    inputs=(),
                    truth=to_uint8(reader.read([frame]))[0],
                    follows=frame > frames[0],
                )


def evenly(items: Sequence[T], *, most: int) -> list[T]:
    """At most `most` of the items, in order, evenly spaced, the first one always among them."""
    count = min(most, len(items))
    return [items[k * len(items) // count] for k in range(count)]
