"""`douga sample OUT`: the film and, beside it, the truth."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from cluster.errors import InputError, os_reason
from tasks.synthetic.container import Encoding, write_film
from tasks.synthetic.description import Short, Shot
from tasks.synthetic.film import (
    Time,
    grid,
    region_colours,
    render_composite,
    render_line_art,
    render_painted,
    render_regions,
)
from tasks.synthetic.lossless import LosslessWriter
from tasks.synthetic.raster import Pixels
from tasks.synthetic.staging import Composite, composite_at
from tasks.synthetic.synthesise import RATE, synthesise
from tasks.synthetic.truth import Truth, make_truth, write_truth

LINE_SHOTS = 4
LINE_FRAMES = 6
"""Line drawings are kept for this many consecutive frames of this many shots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthParts:
    """Which parts of the truth to write; the document and the source frames are always there."""

    inbetweens: bool = True
    double: bool = True
    drawings: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePaths:
    """Where everything is; None for what was not asked for.

    `source`, `inbetweens` and `double` hold R'G'B' frames without loss
    (tasks/synthetic/lossless.py): the film's frames; for every frame k the truth of output frame 2k
    + 1 at twice the rate; the film's frames at twice the size. `drawings` holds
    SHOT/FRAME.line.png, .paint.png (8-bit RGB) and .region.png (16-bit ids, named in truth.json).
    """

    film: Path
    truth: Path | None = None
    source: Path | None = None
    inbetweens: Path | None = None
    double: Path | None = None
    drawings: Path | None = None


def write_sample(
    out: Path,
    *,
    seed: int = 1,
    shots: int = 14,
    seconds: float = 12.0,
    size: tuple[int, int] = (640, 360),
    rate: Fraction = RATE,
    encoding: Encoding | None = None,
    truth: TruthParts | None = TruthParts(),
    progress: Callable[[int, int], None] | None = None,
    threads: int = 2,
) -> SamplePaths:
    """Synthesise a short into folder `out`: `episode.mkv` (or .mp4) and `truth/`.

    `truth=None` writes the film alone. `progress(done, total)` is called as pictures are made.
    The same arguments give the same pictures, sound and truth. UsageError for impossible
    arguments, InputError if the folder cannot be written, EncodeError from the encoder.
    """
    encoding = encoding or Encoding()
    short = synthesise(seed, shots=shots, seconds=seconds, size=size, rate=rate)
    paths = _paths(out, encoding, truth)
    try:
        for folder in (out, paths.truth and paths.truth.parent, paths.drawings):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder: {os_reason(error)}", where=str(out), remedy="name another"
        ) from error
    passes = 1 + (paths.inbetweens is not None) + (paths.double is not None)
    report = _Counter(short.frames * passes, progress)
    # The film is complete or not there: it is written beside its name, then renamed.
    partial = paths.film.with_name(f".{paths.film.name}.partial")
    drawing: list[int] = []
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        stack.callback(partial.unlink, missing_ok=True)
        frames = report.count(_pictures(short, range(short.frames), 1, pool))
        frames = _marking(frames, short, drawing)
        if paths.source is not None:
            writer = LosslessWriter(paths.source, size=size, rate=rate)
            frames = _kept(frames, stack.enter_context(writer))
        write_film(partial, short, frames, encoding)
        if paths.inbetweens is not None:
            half = (Fraction(2 * k + 1, 2) for k in range(short.frames))
            _write_lossless(paths.inbetweens, short, half, 1, pool, report)
        if paths.double is not None:
            _write_lossless(paths.double, short, range(short.frames), 2, pool, report)
        os.replace(partial, paths.film)
    if paths.truth is not None:
        drawings = _write_drawings(paths.drawings, short) if paths.drawings else {}
        write_truth(paths.truth, make_truth(short, drawing=tuple(drawing)), drawings=drawings)
    return paths


def picture_truth(short: Short) -> Truth:
    """The truth without writing anything: renders every picture once to compare them."""
    drawing: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        for _ in _marking(_pictures(short, range(short.frames), 1, pool), short, drawing):
            pass
    return make_truth(short, drawing=tuple(drawing))


def _paths(out: Path, encoding: Encoding, parts: TruthParts | None) -> SamplePaths:
    film = out / f"episode.{encoding.container}"
    if parts is None:
        return SamplePaths(film=film)
    folder = out / "truth"
    return SamplePaths(
        film=film,
        truth=folder / "truth.json",
        source=folder / "source.mkv",
        inbetweens=folder / "inbetweens.mkv" if parts.inbetweens else None,
        double=folder / "double.mkv" if parts.double else None,
        drawings=folder / "drawings" if parts.drawings else None,
    )


def _pictures(
    short: Short, times: Iterable[Time], scale: int, pool: ThreadPoolExecutor
) -> Iterator[Pixels]:
    """Pictures in order, a few ahead in the pool; a picture like the one before is not redone."""
    size = grid(short, scale=scale)
    ahead: deque[tuple[str, Future[Pixels]]] = deque()

    def draw(composite: Composite) -> Pixels:
        return render_composite(composite, size)

    last: tuple[str, Future[Pixels]] | None = None
    for time in times:
        composite = composite_at(short, time)
        identity = composite.identity()
        if last is None or last[0] != identity:
            last = (identity, pool.submit(draw, composite))
        ahead.append(last)
        if len(ahead) > 6:
            yield ahead.popleft()[1].result()
    while ahead:
        yield ahead.popleft()[1].result()


def _marking(frames: Iterable[Pixels], short: Short, drawing: list[int]) -> Iterator[Pixels]:
    """Passes frames on, noting for each the first of its shot with equal pixels."""
    seen: dict[tuple[str, bytes], int] = {}
    for index, pixels in enumerate(frames):
        digest = hashlib.sha256(pixels.tobytes()).digest()
        drawing.append(seen.setdefault((short.shot_of(index).id, digest), index))
        yield pixels


def _kept(frames: Iterable[Pixels], writer: LosslessWriter) -> Iterator[Pixels]:
    for pixels in frames:
        writer.write(pixels)
        yield pixels


def _write_lossless(
    path: Path,
    short: Short,
    times: Iterable[Time],
    scale: int,
    pool: ThreadPoolExecutor,
    report: _Counter,
) -> None:
    size = (short.width * scale, short.height * scale)
    with LosslessWriter(path, size=size, rate=short.rate) as writer:
        for pixels in report.count(_pictures(short, times, scale, pool)):
            writer.write(pixels)


def _write_drawings(folder: Path, short: Short) -> dict[str, Any]:
    """Line, paint and region pictures; returns what truth.json says of them."""
    said: dict[str, Any] = {}
    for shot in _drawn_shots(short):
        place = folder / shot.id
        place.mkdir(exist_ok=True)
        start = shot.start + (len(shot) - min(LINE_FRAMES, len(shot))) // 2
        frames = list(range(start, min(start + LINE_FRAMES, shot.end)))
        for frame in frames:
            for kind, draw in (("line", render_line_art), ("paint", render_painted)):
                pixels = cv2.cvtColor(draw(short, frame), cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(place / f"{frame:06d}.{kind}.png"), pixels)
            ids = render_regions(short, frame).astype("uint16")
            cv2.imwrite(str(place / f"{frame:06d}.region.png"), ids)
        said[shot.id] = {
            "frames": frames,
            "regions": {
                str(i): {"name": name, "rgb": rgb}
                for i, (name, rgb) in region_colours(short, shot.start).items()
            },
        }
    return said


def _drawn_shots(short: Short) -> list[Shot]:
    """Shots with the most to paint, one of a kind before a second of any."""
    order = ("talk", "walk", "pair", "creature", "focus", "rush", "roof", "insert")
    ranked = sorted(
        (shot for shot in short.shots if shot.kind in order),
        key=lambda shot: (
            sum(s.kind == shot.kind for s in short.shots[: short.shots.index(shot)]),
            order.index(shot.kind),
        ),
    )
    return sorted(ranked[:LINE_SHOTS], key=lambda shot: shot.start)


class _Counter:
    """Counts pictures for the progress callback."""

    def __init__(self, total: int, tell: Callable[[int, int], None] | None) -> None:
        self.total, self.done, self.tell = total, 0, tell

    def count(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        for pixels in frames:
            self.done += 1
            if self.tell is not None:
                self.tell(self.done, self.total)
            yield pixels
