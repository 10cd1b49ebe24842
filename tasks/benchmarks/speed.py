"""The peers that `douga bench speed` measures beside a render, each in a process of its own.

`tight`: decode thread, network, encode thread in one process, with the product's exact colours and
encoder options, nothing stored or checked: the limit that a render is held against.
`loop`: the network alone over frames already decoded.
`script`: what people usually write: decode to PNG files, run the network on each, encode them.
`lanczos`: ffmpeg's own scaler and the same encoder, no network.
`engines`: the network on one thread, by the fastest engine of this machine beside exact.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from tasks.decode import FrameReader, SourceIndex, index_source
from tasks.encode.encoders import EncodeSpec, encoder_options
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.encode.segment import encode_segment
from tasks.frames.codes import Frames, from_uint8, to_uint8
from tasks.frames.colour import delivery_picture
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.models.engine import EXACT, fastest_here
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window

SLICE = 24
"""Frames decoded at a time before the loop's clock starts, so that memory stays flat."""
QUEUED = 4
"""Frames between two threads of the tight loop."""
CORES = len(os.sched_getaffinity(0))


def time_tight(film: Path, engine: str) -> tuple[int, float]:
    """(frames, seconds) from the first frame decoded to a finished film, imports and model load not
    counted."""
    index = index_source(str(film))
    with Upscalers(index, engine) as upscalers, tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        encode_segment(
            Path(folder, "film.mkv"),
            upscalers.each(_ahead(_frames(index))),
            count=len(index),
            spec=EncodeSpec(),
            picture=_delivered(index),
            rate=index.rate or Fraction(24),
        )
        return len(index), time.perf_counter() - began


def time_loop(film: Path, engine: str) -> tuple[int, float]:
    """(frames, seconds in the network alone, decoding not counted) of upscaling a film."""
    index = index_source(str(film))
    reader = FrameReader(index)
    spent = 0.0
    with Upscalers(index, engine) as upscalers:
        for first in range(0, len(index), SLICE):
            frames = reader.read(range(first, min(first + SLICE, len(index))))
            began = time.perf_counter()
            deque(upscalers.each(frames), maxlen=0)
            spent += time.perf_counter() - began
    return len(index), spent


def time_script(film: Path, engine: str) -> tuple[int, float]:
    """(frames, seconds) of the usual script, model load and imports not counted."""
    index = index_source(str(film))
    upscale = upscaler(index, engine)
    if engine == EXACT:
        import torch

        torch.set_num_threads(CORES)
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


def time_lanczos(film: Path, engine: str) -> tuple[int, float]:
    """(frames, seconds) of ffmpeg enlarging a film by itself; `engine` plays no part."""
    index = index_source(str(film))
    picture = _delivered(index)
    options = encoder_options(EncodeSpec(), picture)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_ffmpeg(
            [
                *("-i", str(film), "-fps_mode", "passthrough"),
                *("-vf", f"scale={picture.width}:{picture.height}:flags=lanczos"),
                *(word for name, value in options.items() for word in (f"-{name}", str(value))),
                *("-pix_fmt", picture.pix_fmt, str(Path(folder, "film.mkv"))),
            ]
        )
        return len(index), time.perf_counter() - began


def compare_engines(film: Path) -> dict[str, float]:
    """CPU seconds a frame of the upscaling stage by each engine, exact under the name "exact":
    medians of interleaved frames, on one thread."""
    index = index_source(str(film))
    ways = {name: upscaler(index, name) for name in (EXACT, fastest_here())}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for frame in FrameReader(index).read(range(min(SLICE, len(index)))):
        for name, upscale in ways.items():
            began = time.process_time()
            upscale(frame)
            spent[name].append(time.process_time() - began)
    return {name or "exact": median(seconds) for name, seconds in spent.items()}


def upscaler(index: SourceIndex, engine: str) -> Callable[[Frames], Frames]:
    """One frame in, one frame twice as large out, on one thread."""
    stage = make_stage("upscale", {"scale": 2, "fast": engine})
    stage.setup(Device(), lambda path: Path(path).read_bytes())
    track = Track(picture=index.picture, times=index.times[:1], end=index.end)

    def upscale(frame: Frames) -> Frames:
        window = Window(track=track, indices=(0,), frames_nhwc=frame[None])
        made: Frames = stage.process(window, Span(0, 1))[0]
        return made

    return upscale


class Upscalers:
    """A network on a thread for each core: a frame on several threads costs more than it saves."""

    def __init__(self, index: SourceIndex, engine: str) -> None:
        self._mine = threading.local()
        ready, one_by_one = threading.Barrier(CORES), threading.Lock()

        def start() -> None:
            try:
                with one_by_one:  # OpenVINO's first inferences block one another for ever
                    self._mine.upscale = upscaler(index, engine)
                    self._mine.upscale(FrameReader(index).read([0])[0])
            except BaseException:
                ready.abort()
                raise

        self._threads = ThreadPoolExecutor(CORES, initializer=start)
        for started in [self._threads.submit(ready.wait) for _ in range(CORES)]:
            started.result()

    def __enter__(self) -> Upscalers:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def each(self, frames: Iterable[Frames]) -> Iterator[Frames]:
        """Every frame enlarged, in order, a few ahead of whoever takes them."""
        waiting: deque[Future[Frames]] = deque()
        for frame in frames:
            waiting.append(self._threads.submit(lambda frame: self._mine.upscale(frame), frame))
            if len(waiting) > QUEUED:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _ahead(frames: Iterable[Frames]) -> Iterator[Frames]:
    """The same frames, made by a thread of their own, a few ahead."""
    made: queue.Queue[Frames | None] = queue.Queue(QUEUED)

    def run() -> None:
        try:
            for frame in frames:
                made.put(frame)
        finally:
            made.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (frame := made.get()) is not None:
        yield frame


def _frames(index: SourceIndex) -> Iterator[Frames]:
    reader = FrameReader(index)
    for number in range(len(index)):
        yield reader.read([number])[0]


def _delivered(index: SourceIndex) -> Picture:
    return delivery_picture(index.picture.scaled(2), pix_fmt=None, encoder="libx264")


WAYS: dict[str, Callable[[Path, str], tuple[int, float]]] = {
    "tight": time_tight,
    "loop": time_loop,
    "script": time_script,
    "lanczos": time_lanczos,
}

if __name__ == "__main__":
    way, film = sys.argv[1], Path(sys.argv[2])
    if way == "engines":
        print(json.dumps(compare_engines(film)))
    else:
        count, seconds = WAYS[way](film, sys.argv[3])
        print(json.dumps({"frames": count, "seconds": seconds}))
