"""At a frame's time a film shows that frame, by the clock that its file states and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

from tasks.decode import FrameReader, SourceIndex, index_source
from tasks.verify.clock import SourceClock
from tasks.verify.pictures import Small, apart, small_planes
from tests.tasks.decode.conftest import Clips

SAME = 0.01
"""Frames of the films carry their numbers in cells: neighbours are .05 apart and more."""


def read(index: SourceIndex, number: int) -> Small:
    with FrameReader(index) as reader:
        return small_planes(reader.read_planes(number), index.coded_picture)


def test_the_file_shows_each_frame_when_the_index_says(name: str, clips: Clips) -> None:
    index = index_source(str(clips(name)))
    if index.kind != "stream":
        return  # it states no times, or decoding times
    numbers = list(range(len(index)))
    asked = [*numbers[::7], *random.Random(1).sample(numbers, 5)]
    clock = SourceClock(index)
    for number in asked:
        shown = clock.frames(number)
        assert len(shown) == 1
        assert apart(small_planes(shown[0], index.coded_picture), read(index, number)).mean < SAME
    clock.close()


def test_an_index_beside_the_clock_is_seen(clips: Clips) -> None:
    index = index_source(str(clips("open.ts")))
    off = replace(index, start=index.start + Fraction(6, 24), end=index.end + Fraction(6, 24))
    clock = SourceClock(off)
    for number in (0, 20, 40):
        (shown,) = clock.frames(number)
        assert apart(small_planes(shown, index.coded_picture), read(index, number)).mean > SAME
    assert clock.frames(len(index) - 1) == (), "the file ends before that"
    clock.close()
