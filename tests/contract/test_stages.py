"""Every stage keeps the contract of tasks/stages/stage.py.

A new stage joins by its line in the registry, with its default parameters; one that cannot do
without any, or is worth several sets of them, names examples in `EXAMPLES`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from cluster.errors import UsageError
from cluster.keys import canonical, make_key
from tasks.frames.codes import Frames, from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track, chunk_spans
from tasks.models.device import Device
from tasks.stages.registry import STAGES, make_stage
from tasks.stages.stage import Stage, Window

WIDTH, HEIGHT, COUNT = 64, 48, 26


@dataclass(frozen=True, kw_only=True)
class Example:
    """Parameters to run a stage with, and the files that they name, made from the film."""

    params: dict[str, Any] = field(default_factory=dict)
    assets: Callable[[Frames], dict[str, bytes]] = lambda film: {}


def first_frame_as_png(film: Frames) -> dict[str, bytes]:
    picture = cv2.cvtColor(to_uint8(film[0]), cv2.COLOR_RGB2BGR)
    return {"art/reference.png": cv2.imencode(".png", picture)[1].tobytes()}


EXAMPLES: dict[str, list[Example]] = {
    "hold": [Example()],
    "interpolate": [
        Example(params={"factor": 2}),
        Example(params={"factor": "5/2", "engine": "dis"}),
        Example(params={"factor": "2/5"}),
        Example(params={"rate": 60, "engine": "dis"}),
        Example(params={"rate": 60, "timing": "keep", "engine": "dis"}),
        Example(params={"rate": 23.976, "engine": "average"}),
    ],
    "upscale": [Example(params={"scale": 2})],
    "colorize": [
        Example(params={"reference": "art/reference.png", "mode": mode}, assets=first_frame_as_png)
        for mode in ("lines", "grey")
    ],
}

CASES = [
    pytest.param(name, example, id=f"{name}-{number}")
    for name in STAGES
    for number, example in enumerate(EXAMPLES.get(name, [Example()]))
]
each_stage = pytest.mark.parametrize(("name", "example"), CASES)


def make_film(width: int = WIDTH, height: int = HEIGHT) -> Frames:
    """A ball with an outline over a striped ground, drawn on twos, with a hold at the end."""
    film = np.empty((COUNT, height, width, 3), np.uint8)
    for index, picture in enumerate(film):
        picture[:] = (200, 220, 250)
        picture[height * 2 // 3 :, ::4] = (90, 140, 80)
        drawn_at = min(index // 2 * 2, 20)
        centre = (12 + 2 * drawn_at, 18 + drawn_at // 4)
        cv2.circle(picture, centre, 9, (220, 80, 60), -1, cv2.LINE_AA)
        cv2.circle(picture, centre, 9, (20, 10, 30), 2, cv2.LINE_AA)
    frames = from_uint8(film)
    frames.flags.writeable = False
    return frames


def make_track(*, constant_rate: bool, width: int = WIDTH, height: int = HEIGHT) -> Track:
    times = [Fraction(index * 1001, 24000) for index in range(COUNT + 1)]
    if not constant_rate:
        times = [time + Fraction(index % 3, 100) for index, time in enumerate(times)]
    return Track(
        picture=Picture(width=width, height=height),
        times=tuple(times[:-1]),
        end=times[-1],
        rate=Fraction(24000, 1001) if constant_rate else None,
        first=7,
        drawing=tuple(min(index // 2 * 2, 20) for index in range(COUNT)),
    )


FILM = make_film()
TRACKS = [
    pytest.param(make_track(constant_rate=True), id="cfr"),
    pytest.param(make_track(constant_rate=False), id="vfr"),
    pytest.param(replace(make_track(constant_rate=True), drawing=()), id="no-drawings"),
]
each_track = pytest.mark.parametrize("track", TRACKS)


def ready(name: str, example: Example, *, film: Frames = FILM) -> Stage[Any]:
    stage = make_stage(name, example.params)
    files = example.assets(film)
    assert set(stage.assets()) == set(files)
    stage.setup(Device(), files.__getitem__)
    return stage


def render(stage: Stage[Any], track: Track, out: Span, *, film: Frames = FILM) -> Frames:
    indices = stage.needs(out, track)
    given = film[list(indices)]
    given.flags.writeable = False
    before = given.copy()
    made = stage.process(Window(track=track, indices=indices, frames_nhwc=given), out)
    assert np.array_equal(given, before), "the window was written to"
    return made


@pytest.fixture(scope="module")
def whole() -> Iterator[Callable[[str, Example, Track], Frames]]:
    """All frames of a stage in one span; stages are made once and closed at the end."""
    stages: list[Stage[Any]] = []
    made: dict[str, Frames] = {}

    def render_whole(name: str, example: Example, track: Track) -> Frames:
        case = canonical([name, example.params, track])
        if case not in made:
            stages.append(ready(name, example))
            made[case] = render(stages[-1], track, stages[-1].track_after(track).span)
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
    stage = ready(name, example)
    spans = chunk_spans(len(stage.track_after(track)), chunk=chunk)
    parts = [render(stage, track, span) for span in spans]
    stage.close()
    assert np.array_equal(np.concatenate(parts), whole(name, example, track))


@each_stage
def test_chunks_may_come_in_any_order(
    name: str, example: Example, whole: Callable[..., Frames]
) -> None:
    track = make_track(constant_rate=True)
    stage = ready(name, example)
    spans = chunk_spans(len(stage.track_after(track)), chunk=5)
    parts = [render(stage, track, span) for span in reversed(spans)]
    assert np.array_equal(np.concatenate(parts[::-1]), whole(name, example, track))
    stage.close()
    stage.close()


# Small maps are where convolutions split their sums by the number of threads: two threads change
# the network of in-betweens at all of these sizes, on processors with AMX and without.
@each_stage
@pytest.mark.parametrize("size", [(64, 48), (70, 131)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_threads_change_nothing(name: str, example: Example, size: tuple[int, int]) -> None:
    """Whatever the process had set before, and whichever of its threads a call comes in on."""
    film, track = make_film(*size), make_track(constant_rate=True, width=size[0], height=size[1])

    def made(*, threads: int) -> Frames:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        stage = ready(name, example, film=film)
        span = stage.track_after(track).span
        with ThreadPoolExecutor(1) as another:
            frames = another.submit(render, stage, track, span, film=film).result()
        stage.close()
        return frames

    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        one = made(threads=1)
        assert all(np.array_equal(made(threads=threads), one) for threads in (2, 5))
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


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
    stage = ready(name, example)
    after = stage.track_after(track)
    if after.times:
        assert len(render(stage, track, after.span)) == len(after)
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
            json.dumps([name, EXAMPLES.get(name, [Example()])[0].params]),
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
