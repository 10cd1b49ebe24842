"""Every stage keeps the contract of tasks/stages/stage.py.

A new stage joins by its line in the registry, with its default parameters; one that cannot do
without any, or is worth several sets of them, names examples in `EXAMPLES` of
flows/commands/self_test/stages.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from cluster.errors import UsageError
from cluster.keys import canonical, make_key
from flows.commands.self_test.stages import (
    EXAMPLES,
    HEIGHT,
    WIDTH,
    Example,
    examples,
    make_film,
    make_track,
    ready,
    render,
    render_with_threads,
)
from tasks.frames.codes import Frames, to_float
from tasks.frames.track import Track, chunk_spans
from tasks.stages.registry import STAGES, make_stage
from tasks.stages.stage import Stage

CASES = [
    pytest.param(name, example, id=f"{name}-{number}")
    for name in STAGES
    for number, example in enumerate(examples(name))
]
each_stage = pytest.mark.parametrize(("name", "example"), CASES)


FILM = make_film()
TRACKS = [
    pytest.param(make_track(constant_rate=True), id="cfr"),
    pytest.param(make_track(constant_rate=False), id="vfr"),
    pytest.param(replace(make_track(constant_rate=True), drawing=()), id="no-drawings"),
]
each_track = pytest.mark.parametrize("track", TRACKS)


@pytest.fixture(scope="module")
def whole() -> Iterator[Callable[[str, Example, Track], Frames]]:
    """All frames of a stage in one span; stages are made once and closed at the end."""
    stages: list[Stage[Any]] = []
    made: dict[str, Frames] = {}

    def render_whole(name: str, example: Example, track: Track) -> Frames:
        case = canonical([name, example.params, track])
        if case not in made:
            stages.append(ready(name, example, film=FILM))
            made[case] = render(stages[-1], track, stages[-1].track_after(track).span, film=FILM)
        return made[case]

    yield render_whole
    for stage in stages:
        stage.close()


def test_examples_are_of_stages_that_there_are() -> None:
    assert set(EXAMPLES) <= set(STAGES)


@each_track
@each_stage
def test_frames_are_what_the_track_says(
    name: str, example: Example, track: Track, whole: Callable[..., Frames]
) -> None:
    after = make_stage(name, example.params).track_after(track)
    made = whole(name, example, track)
    assert made.dtype == np.uint16
    assert made.shape == (len(after), after.picture.height, after.picture.width, 3)


@each_stage
@pytest.mark.parametrize("chunk", [1, 7, 24])
def test_chunks_are_invisible(
    name: str, example: Example, chunk: int, whole: Callable[..., Frames]
) -> None:
    track = make_track(constant_rate=True)
    stage = ready(name, example, film=FILM)
    spans = chunk_spans(len(stage.track_after(track)), chunk=chunk)
    parts = [render(stage, track, span, film=FILM) for span in spans]
    stage.close()
    assert np.array_equal(np.concatenate(parts), whole(name, example, track))


@each_stage
def test_chunks_may_come_in_any_order(
    name: str, example: Example, whole: Callable[..., Frames]
) -> None:
    track = make_track(constant_rate=True)
    stage = ready(name, example, film=FILM)
    spans = chunk_spans(len(stage.track_after(track)), chunk=5)
    parts = [render(stage, track, span, film=FILM) for span in reversed(spans)]
    assert np.array_equal(np.concatenate(parts[::-1]), whole(name, example, track))
    stage.close()
    stage.close()


@each_track
@each_stage
def test_who_keeps_drawings_shows_each_when_it_begins(
    name: str, example: Example, track: Track, whole: Callable[..., Frames]
) -> None:
    stage = make_stage(name, example.params)
    if not stage.card().same_drawings:
        return
    after, made = stage.track_after(track), whole(name, example, track)
    drawings = track.drawing or range(len(track))
    beginning = {track.times[i]: i for i, first in enumerate(drawings) if i == first}
    for k, time in enumerate(after.times):
        if (i := beginning.get(time)) is None:
            continue
        at_size = cv2.resize(made[k], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        assert np.abs(to_float(at_size) - to_float(FILM[i])).mean() < 0.02, (k, i)


# Small maps are where convolutions split their sums by the number of threads: two threads change
# the network of in-betweens at all of these sizes, on processors with AMX and without.
@each_stage
@pytest.mark.parametrize("size", [(64, 48), (70, 131)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_threads_change_nothing(name: str, example: Example, size: tuple[int, int]) -> None:
    """Whatever the process had set before, and whichever of its threads a call comes in on."""
    film, track = make_film(*size), make_track(constant_rate=True, width=size[0], height=size[1])
    one, *others = (
        render_with_threads(name, example, track, film=film, threads=threads)
        for threads in (1, 2, 5)
    )
    assert all(np.array_equal(other, one) for other in others)


@each_track
@each_stage
def test_the_track_after_is_a_track(name: str, example: Example, track: Track) -> None:
    after = make_stage(name, example.params).track_after(track)
    assert list(after.times) == sorted(set(after.times))
    assert not after.times or after.times[-1] < after.end
    assert len(after.drawing) in (0, len(after))
    for index, shown in enumerate(after.drawing):
        assert shown <= index
        assert after.drawing[shown] == shown


@each_track
@each_stage
def test_frames_of_one_drawing_are_identical(
    name: str, example: Example, track: Track, whole: Callable[..., Frames]
) -> None:
    made = whole(name, example, track)
    for index, shown in enumerate(make_stage(name, example.params).track_after(track).drawing):
        assert np.array_equal(made[index], made[shown])


@each_track
@each_stage
def test_needs_are_frames_of_the_shot_in_order(name: str, example: Example, track: Track) -> None:
    stage = make_stage(name, example.params)
    for chunk in (1, 7, 24):
        for span in chunk_spans(len(stage.track_after(track)), chunk=chunk):
            needed = stage.needs(span, track)
            assert needed
            assert list(needed) == sorted(set(needed))
            assert needed[0] >= 0
            assert needed[-1] < len(track)


@each_stage
def test_one_frame_is_a_shot(name: str, example: Example) -> None:
    track = replace(
        make_track(constant_rate=True), times=(Fraction(0),), end=Fraction(1, 24), drawing=(0,)
    )
    stage = ready(name, example, film=FILM)
    after = stage.track_after(track)
    if after.times:
        assert len(render(stage, track, after.span, film=FILM)) == len(after)
    stage.close()


@each_stage
def test_keys_can_be_made(name: str, example: Example) -> None:
    stage = make_stage(name, example.params)
    track = make_track(constant_rate=True)
    spans = chunk_spans(len(stage.track_after(track)), chunk=7)
    keys = [make_key(stage.key_context(span, track)) for span in spans]
    again = make_stage(name, example.params)
    assert keys == [make_key(again.key_context(span, track)) for span in spans]
    assert canonical(stage.params.model_dump()) == canonical(again.params.model_dump())
    assert canonical(stage.card())
    assert stage.version >= 1
    assert stage.name == name


@pytest.mark.parametrize("name", STAGES)
def test_planning_is_light(name: str) -> None:
    program = """
import json, sys
from fractions import Fraction
from tasks.frames.picture import Picture
from tasks.stages.registry import make_stage
from tasks.frames.track import Span, Track
name, params = json.loads(sys.argv[1])
times = tuple(Fraction(i, 24) for i in range(26))
track = Track(picture=Picture(width=64, height=48), times=times, end=Fraction(26, 24),
              rate=Fraction(24), drawing=tuple(i // 2 * 2 for i in range(26)))
stage = make_stage(name, params)
stage.card()
after = stage.track_after(track)
stage.needs(after.span, track)
stage.key_context(after.span, track)
print([heavy for heavy in ("torch", "ray", "prefect") if heavy in sys.modules])
"""
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            json.dumps([name, examples(name)[0].params]),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.stdout.strip() == "[]", answer.stderr


@each_stage
def test_unknown_parameters_are_refused(name: str, example: Example) -> None:
    with pytest.raises(UsageError, match="unknown parameter 'colour_of_the_moon'"):
        make_stage(name, {**example.params, "colour_of_the_moon": 1})
