"""Assembles the film from segments on one grid and other streams; the file appears when done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from cluster.errors import EncodeError
from tasks.assemble.display import padded_title, write_display
from tasks.assemble.grid import Grid, make_grid, reorder_delay
from tasks.assemble.passthrough import plan_passthrough
from tasks.assemble.segments import Segment, check_alike, read_packets, scan_segment
from tasks.assemble.source import Passthrough
from tasks.assemble.streams import MUXERS, Container, How
from tasks.assemble.tags import write_tags
from tasks.frames.picture import Picture

Progress = Callable[[int, int], None]
"""Called with frames written and frames in all."""
Timed = tuple[Fraction, "Packet[Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmStream:
    """A stream of the finished film besides its pictures."""

    kind: str
    codec: str
    how: How
    language: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmInfo:
    """A finished film. `notes` says in words what could not be kept as the source had it."""

    path: Path
    container: Container
    frames: int
    start_s: Fraction
    end_s: Fraction
    rate: Fraction | None
    size_bytes: int
    streams: tuple[FilmStream, ...] = ()
    notes: tuple[str, ...] = ()


def assemble_film(
    out: Path,
    *,
    segments: Sequence[Path],
    times: Sequence[Fraction],
    end: Fraction,
    picture: Picture,
    container: Container,
    passthrough: Passthrough | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> FilmInfo:
    """Join segments into a film without encoding a picture again, and pass the other streams on.

    `segments` are closed-GOP video files in film order; `times` the start in seconds of every
    frame of all of them on the film's clock, `end` when the last goes. Every frame is shown at
    its exact time, as the container's clock rounds it: mp4 and mov exactly, mkv and webm to the
    nearest millisecond. `metadata` is put over the source's. The same inputs give the same bytes.

    The film is written beside `out` under another name and renamed when it is whole and on disk.
    Errors: EncodeError (segments that do not fit, a container that cannot hold them, disk),
    InputError (a source).
    """
    grid = make_grid(times, end=end)
    shots = [scan_segment(path) for path in segments]
    _check_counts(shots, grid)
    check_alike(shots)
    partial = out.with_name(out.name + ".partial")
    try:
        with ExitStack() as stack:
            passing = plan_passthrough(passthrough, container=container, stack=stack)
            film = stack.enter_context(_open_film(partial, container))
            video = _add_video(film, shots[0], grid, picture, container)
            passing.describe(film, video, metadata or {})
            passing.add_chapters(film, end_s=end)
            ways = passing.add_streams(film)
            title = video.metadata.get("title", "")
            matroska = container in ("mkv", "webm")
            if matroska:
                video.metadata["title"] = padded_title(title)
            mux(film, [_video_packets(video, shots, grid, progress), *ways])
        if matroska:
            write_display(partial, picture, title=title, rate=grid.rate)
        _publish(partial, out)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise EncodeError(
            f"cannot write the film: {error}", where=str(out), remedy="check disk and container"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return FilmInfo(
        path=out,
        container=container,
        frames=len(grid),
        start_s=times[0],
        end_s=end,
        rate=grid.rate,
        size_bytes=out.stat().st_size,
        streams=tuple(
            FilmStream(
                kind=plan.stream.kind,
                codec=plan.codec,
                how=plan.how,
                language=plan.stream.language,
                title=plan.stream.metadata.get("title", ""),
            )
            for plan in passing.plan.streams
        ),
        notes=(*passing.plan.notes, *_notes(grid, shots[0], picture, container)),
    )


def _notes(grid: Grid, shot: Segment, picture: Picture, container: Container) -> Iterator[str]:
    if not grid.exact:
        yield "frame times have no common clock; each is within 0.7 us of its own"
    if picture.hdr and container == "mov" and shot.codec == "prores":
        yield "HDR mastering data left out: ProRes has no place for it, and mov is not told"


def mux(film: OutputContainer, ways: Sequence[Iterator[Timed]]) -> None:
    """Write the packets of several streams, earliest first."""
    for _, packet in merge(*ways, key=lambda timed: timed[0]):
        film.mux_one(packet)


def _check_counts(shots: Sequence[Segment], grid: Grid) -> None:
    frames = sum(len(shot) for shot in shots)
    if frames != len(grid):
        raise EncodeError(
            f"expected {len(grid)} frames, the {len(shots)} segments hold {frames}",
            remedy="encode the shots whose count is wrong again",
        )


def _open_film(partial: Path, container: Container) -> OutputContainer:
    options = {"fflags": "+bitexact"}
    if container in ("mp4", "mov"):
        # Empty edits (a stream that starts late) are counted on the movie's clock: make it fine.
        options |= {"movflags": "+faststart", "movie_timescale": "720000"}
    return av.open(str(partial), mode="w", format=MUXERS[container], container_options=options)


def _add_video(
    film: OutputContainer, shot: Segment, grid: Grid, picture: Picture, container: Container
) -> VideoStream:
    with av.open(str(shot.path)) as file:
        try:
            stream = film.add_stream_from_template(file.streams.video[0], opaque=True)
        except ValueError as error:
            raise EncodeError(
                f"{container} does not hold {shot.codec}", remedy="choose mkv or another encoder"
            ) from error
    context = stream.codec_context
    stream.time_base = grid.time_base
    context.framerate = grid.rate or Fraction(0)
    write_tags(context, picture)
    if shot.codec == "hevc" and container in ("mp4", "mov"):
        # Apple's players take HEVC under this name only.
        context.codec_tag = "hvc1"
    return stream


def _video_packets(
    stream: VideoStream, shots: Sequence[Segment], grid: Grid, progress: Progress | None
) -> Iterator[Timed]:
    delay = max(reorder_delay(shot.order) for shot in shots)
    first = written = 0
    for shot in shots:
        for index, packet in read_packets(shot):
            frame = first + index
            packet.stream = stream
            packet.time_base = grid.time_base
            packet.pts = grid.ticks[frame]
            packet.dts = grid.decode_tick(written, delay=delay)
            packet.duration = grid.duration(frame)
            written += 1
            yield packet.dts * grid.time_base, packet
        first += len(shot)
        if progress:
            progress(written, len(grid))


def _publish(partial: Path, out: Path) -> None:
    """Make the film durable, then give it its name."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(out)
    folder = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
