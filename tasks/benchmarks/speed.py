"""The peers that `douga bench` measures beside a render, each in a process of its own.

`loop`: the bare loop of the same network over frames already decoded, nothing else: the limit.
`script`: what people usually write: decode to PNG files, run the network on each, encode them.
`engines`: the network on one thread, by the fastest engine of this machine beside exact.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from tasks.decode import FrameReader, SourceIndex, index_source
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.codes import Frames, from_uint8, to_uint8
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.models.engine import EXACT, fastest_here
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window

SLICE = 24
"""Frames decoded at a time before the loop's clock starts, so that memory stays flat."""


def time_loop(film: Path) -> tuple[int, float]:
    """(frames, seconds in the network alone, decoding not counted) of upscaling a film."""
    index = index_source(str(film))
    upscale = _upscaler(index)
    upscale(FrameReader(index).read([0])[0])
    spent = 0.0
    reader = FrameReader(index)
    for first in range(0, len(index), SLICE):
        frames = reader.read(range(first, min(first + SLICE, len(index))))
        began = time.perf_counter()
        for frame in frames:
            upscale(frame)
        spent += time.perf_counter() - began
    return len(index), spent


def time_script(film: Path) -> tuple[int, float]:
    """(frames, seconds) of the usual script, model load and imports not counted."""
    index = index_source(str(film))
    upscale = _upscaler(index)
    upscale(FrameReader(index).read([0])[0])
    with tempfile.TemporaryDirectory(prefix="douga-bench-") as folder:
        small, large = Path(folder, "in"), Path(folder, "out")
        small.mkdir()
        large.mkdir()
        began = time.perf_counter()
        run_ffmpeg(["-i", str(film), "-fps_mode", "passthrough", str(small / "%06d.png")])
        for path in sorted(small.iterdir()):
            pixels = np.ascontiguousarray(np.asarray(cv2.imread(str(path)), np.uint8)[:, :, ::-1])
            made = to_uint8(upscale(from_uint8(pixels)))
            cv2.imwrite(str(large / path.name), made[:, :, ::-1])
        run_ffmpeg(
            [
                *("-framerate", str(index.rate), "-i", str(large / "%06d.png")),
                *("-c:v", "libx264", "-crf", "17", "-pix_fmt", "yuv420p"),
                str(Path(folder, "film.mkv")),
            ]
        )
        return len(index), time.perf_counter() - began


def compare_engines(film: Path) -> dict[str, float]:
    """CPU seconds a frame of the upscaling stage by each engine, exact under the name "exact":
    medians of interleaved frames, on one thread."""
    index = index_source(str(film))
    ways = {name: _upscaler(index, threads=1, engine=name) for name in (EXACT, fastest_here())}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for frame in FrameReader(index).read(range(min(SLICE, len(index)))):
        for name, upscale in ways.items():
            began = time.process_time()
            upscale(frame)
            spent[name].append(time.process_time() - began)
    return {name or "exact": median(seconds) for name, seconds in spent.items()}


def _upscaler(
    index: SourceIndex, *, threads: int = os.cpu_count() or 1, engine: str = EXACT
) -> Callable[[Frames], Frames]:
    """One frame in, one frame twice as large out; by torch on every core of this machine, for one
    process is all there is here."""
    stage = make_stage("upscale", {"scale": 2, "fast": engine})
    stage.setup(Device(), lambda path: Path(path).read_bytes())
    torch.set_num_threads(threads)
    track = Track(picture=index.picture, times=index.times[:1], end=index.end)

    def upscale(frame: Frames) -> Frames:
        window = Window(track=track, indices=(0,), frames_nhwc=frame[None])
        made: Frames = stage.process(window, Span(0, 1))[0]
        return made

    return upscale


if __name__ == "__main__":
    if sys.argv[1] == "engines":
        print(json.dumps(compare_engines(Path(sys.argv[2]))))
    else:
        way = {"loop": time_loop, "script": time_script}[sys.argv[1]]
        count, seconds = way(Path(sys.argv[2]))
        print(json.dumps({"frames": count, "seconds": seconds}))
