"""A bench for stages: a small film, its tracks, and each stage of the registry with parameters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from tasks.frames.codes import Frames, from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.models.engine import engines_here
from tasks.stages.registry import STAGES, make_stage
from tasks.stages.stage import Stage, Window

WIDTH, HEIGHT, COUNT = 64, 48, 26


@dataclass(frozen=True, kw_only=True)
class Example:
    """Parameters to run a stage with, and the files that they name, made from the film."""

    params: dict[str, Any] = field(default_factory=dict)
    assets: Callable[[Frames], dict[str, bytes]] = lambda film: {}


def first_frame_as_png(film: Frames) -> dict[str, bytes]:
    """The film's first frame as reference art."""
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
        *(Example(params={"factor": 2, "fast": engine}) for engine in engines_here()),
    ],
    "upscale": [
        Example(params={"scale": 2}),
        *(Example(params={"scale": 2, "fast": engine}) for engine in engines_here()),
    ],
    "colorize": [
        Example(params={"reference": "art/reference.png", "mode": mode}, assets=first_frame_as_png)
        for mode in ("lines", "grey")
    ],
}
"""Examples of the stages that need parameters or are worth several sets of them."""


def examples(name: str) -> list[Example]:
    """The examples of a stage: its default parameters if none are listed."""
    return EXAMPLES.get(name, [Example()])


CASES = [(name, number) for name in STAGES for number in range(len(examples(name)))]
"""Every stage of the registry with each of its examples."""


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
    """The film's track, with its drawings."""
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


def ready(name: str, example: Example, *, film: Frames) -> Stage[Any]:
    """A stage that is set up on the CPU with the shipped weights."""
    stage = make_stage(name, example.params)
    files = example.assets(film)
    assert set(stage.assets()) == set(files), "a stage reads other files than it names"
    stage.setup(Device(), files.__getitem__)
    return stage


def render(stage: Stage[Any], track: Track, out: Span, *, film: Frames) -> Frames:
    """The output frames `out` of a stage, given exactly the frames that it asks for."""
    indices = stage.needs(out, track)
    given = film[list(indices)]
    given.flags.writeable = False
    before = given.copy()
    made = stage.process(Window(track=track, indices=indices, frames_nhwc=given), out)
    assert np.array_equal(given, before), "the window was written to"
    return made


def render_with_threads(
    name: str, example: Example, track: Track, *, film: Frames, threads: int
) -> Frames:
    """All frames of a stage, called from another thread of a process that was set to `threads`."""
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        stage = ready(name, example, film=film)
        span = stage.track_after(track).span
        with ThreadPoolExecutor(1) as another:
            frames = another.submit(render, stage, track, span, film=film).result()
        stage.close()
        return frames
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
