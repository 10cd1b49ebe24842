"""Index a source: `index_source` lists the frames that a decode from the start displays."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from cluster.errors import InputError, UsageError
from tasks.decode.describe import (
    chapters_of,
    codec_name,
    siting_of,
    stream_infos,
    timecode_of,
)
from tasks.decode.digest import file_digest, identify
from tasks.decode.first_frames import FirstFrames, decode_first_frames
from tasks.decode.folder import find_frames, index_folder
from tasks.decode.grid import Grid, find_grid, missing_frames
from tasks.decode.logs import heard_errors
from tasks.decode.mend_times import MendedTimes, mend_times
from tasks.decode.mp4_boxes import strays_at
from tasks.decode.probe import opened, video_stream
from tasks.decode.scan import PACKED, UNTIMED, Scan, scan_packets
from tasks.decode.source import SeekPoint, SourceIndex
from tasks.frames.picture import Picture

_HELD_FORMATS = ("gif", "apng")
"""Containers whose every frame states how long it stays, the last one too."""


def index_source(
    path: str, *, fps: Fraction | None = None, cache_dir: Path | None = None
) -> SourceIndex:
    """Index a film, a folder of numbered frames, or a pattern such as `shot/%04d.png`.

    Reads the file once for its digest (remembered in `cache_dir` where given) and once for its
    packets; only the first few frames are decoded, unless the frames have no timestamps of their
    own (AVI with B-frames, elementary streams), when all are. `fps` is the rate of a folder, or
    of such untimed frames. InputError names the file and what is wrong; UsageError, a missing or
    misplaced `fps`.
    """
    listing = find_frames(path)
    if listing is not None:
        if fps is None:
            raise UsageError(
                "a folder of frames has no rate of its own", where=path, remedy="give --fps"
            )
        return index_folder(path, listing, fps=fps, cache_dir=cache_dir)
    before = identify(path) if Path(path).is_file() else None
    with heard_errors() as heard, opened(path) as container:
        stream = video_stream(container, path=path)
        scan = scan_packets(container, stream, path=path, heard=heard)
        about = _About(container, stream)
    if not scan.shown:
        raise InputError("holds no frames", where=path, remedy="fetch or export it again")
    if fps is not None and scan.timed:
        raise UsageError(
            "has timestamps of its own, so it takes no --fps",
            where=path,
            remedy="leave --fps out; a stage can change the rate",
        )
    about.notes += _lost(path, scan, about)
    first = decode_first_frames(path, scan)
    index = (
        _timed(path, scan, about, first) if scan.timed else _counted(path, scan, about, first, fps)
    )
    index = replace(index, digest=file_digest(path, cache_dir=cache_dir))
    if identify(path) != before:
        raise InputError(
            "changed while it was indexed", where=path, remedy="wait until it is written"
        )
    return index


class _About:
    """What a container says, read while it is open."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        base = Fraction(stream.time_base or 1)
        context = stream.codec_context
        self.time_base = base
        self.declared = _declared(stream)
        self.fields: dict[str, Any] = {
            "stream": stream.index,
            "codec": codec_name(context),
            "container": container.format.name,
            "streams": stream_infos(container),
            "chapters": chapters_of(container),
            "container_start": Fraction(container.start_time or 0, av.time_base),
            "timecode": timecode_of(container, stream.index),
            "duration": Fraction(container.duration, av.time_base) if container.duration else None,
        }
        self.is_interlaced = context.field_order in (2, 3, 4, 5)
        self.stated_frames = stream.frames
        self.notes: list[str] = []
        self.siting = siting_of(container, stream.index)
        self.sar = stream.sample_aspect_ratio


def _declared(stream: av.VideoStream) -> tuple[Fraction, ...]:
    rates = (stream.average_rate, stream.base_rate, stream.guessed_rate)
    return tuple(dict.fromkeys(Fraction(rate) for rate in rates if rate))


def _timed(path: str, scan: Scan, about: _About, first: FirstFrames) -> SourceIndex:
    ordered = sorted(scan.shown, key=lambda entry: entry.pts)
    begin = max(first.shown)
    kept = [entry for entry in ordered if entry.pts >= begin or entry.pts in first.shown]
    pts = tuple(entry.pts for entry in kept)
    until = max(entry.pts + entry.duration for entry in (kept[-1], *scan.empty))
    last = until - pts[-1]
    held = about.fields["container"] in _HELD_FORMATS or last > kept[-1].duration
    ticks = (*pts, pts[-1] + last) if held and last else pts
    grid = find_grid(ticks, time_base=about.time_base, declared=about.declared, last_duration=last)
    dropped = len(ordered) - len(kept)
    notes = about.notes
    if dropped:
        notes.append(f"{dropped} leading frames left out: they need frames before the start")
    if _held(scan, about):
        notes.append(_held_note(_held(scan, about)))
    elif grid is None and about.declared:
        notes += _missing_note(path, pts, about)
    return SourceIndex(
        path=path,
        kind="stream",
        digest="",  # type: ignore[arg-type]
        picture=_displayed(first, tuple(notes)),
        pts=pts,
        time_base=about.time_base,
        start=grid.start if grid else pts[0] * about.time_base,
        end=_end(pts, about, grid, last),
        rate=grid.rate if grid else None,
        coded_format=first.coded_format,
        rotation=first.rotation,
        interlaced=first.is_interlaced or about.is_interlaced,
        seek_points=tuple(
            SeekPoint(frame=bisect_left(pts, key.pts), pts=key.pts, dts=key.dts, pos=key.pos)
            for key in sorted(scan.clean, key=lambda entry: entry.pts)
        ),
        **about.fields,
    )


def _held(scan: Scan, about: _About) -> int:
    """How many frames show the one before once more: empty packets, empty places of an AVI."""
    places = sorted(entry.dts for entry in scan.shown if entry.dts is not None)
    is_avi = about.fields["container"] == "avi" and len(places) == len(scan.shown)
    return len(scan.empty) + (_dropped(places) if is_avi else 0)


def _held_note(count: int) -> str:
    return f"{_frames(count)} held: the one before each stays"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _missing_note(path: str, pts: Sequence[int], about: _About) -> list[str]:
    """A note on a few frames missing; InputError in a transport stream, where they were lost."""
    base = about.time_base
    missing, before = missing_frames(pts, time_base=base, rate=about.declared[0])
    if not missing:
        return []
    frames = _frames(missing)
    time = f"{float(pts[before] * base):.3f} s"
    if about.fields["container"] == "mpegts":
        raise InputError(
            f"is damaged: {frames} missing, the first after frame {before} ({time})",
            where=path,
            remedy="fetch or export it again; or accept the gap: ffmpeg -i FILE -c copy NEW.mkv",
        )
    return [f"{frames} missing, the first after frame {before} ({time}); the one before stays"]


def _lost(path: str, scan: Scan, about: _About) -> list[str]:
    """Notes on frames that the file states or may hold, and that nothing can reach."""
    notes = []
    found = len(scan.shown) + _held(scan, about)
    if found < about.stated_frames:
        notes.append(f"the file states {about.stated_frames} frames and shows {found} of them")
    if "mp4" in about.fields["container"].split(","):
        with Path(path).open("rb") as file:
            place = strays_at(file, size_bytes=Path(path).stat().st_size)
        if place is not None:
            notes.append(f"what follows byte {place} is no part of an MP4: frames may be missing")
    return notes


def _end(pts: Sequence[int], about: _About, grid: Grid | None, last: int) -> Fraction:
    if grid is not None:
        return grid.start + len(pts) / grid.rate
    if last <= 0 and len(pts) > 1:
        last = pts[-1] - pts[-2]
    rate = about.declared[0] if about.declared else Fraction(25)
    return pts[-1] * about.time_base + (last * about.time_base if last > 0 else 1 / rate)


def _counted(
    path: str, scan: Scan, about: _About, first: FirstFrames, fps: Fraction | None
) -> SourceIndex:
    """A film whose frames are found by decoding from the start; what times it has are kept."""
    # Of an elementary stream libav's average is its default; the guess is the stream header's.
    rate = fps or (about.declared[-1] if about.declared else Fraction(25))
    ticks = _ticks(scan, about, first) if fps is None else ()
    mended = mend_times(ticks, time_base=about.time_base, rate=rate)
    if mended is None:
        elementary = about.fields["container"] in UNTIMED
        start = Fraction(0) if elementary else about.fields["container_start"]
        grid: Grid | None = Grid(start=start, rate=rate)
        pts, time_base = tuple(range(first.count)), 1 / rate
        note = f"no timestamps: frames counted at {rate} a second"
        notes = [note + ("" if fps else ", as it declares")]
    else:
        grid = _kept_grid(about, mended)
        pts, time_base = mended.pts, mended.time_base
        notes = _mended_notes(scan, about, first, mended)
    if grid is not None:
        start, end = grid.start, grid.start + first.count / grid.rate
    else:
        assert mended is not None
        last = max(scan.shown, key=lambda entry: entry.pts).duration * about.time_base
        start = pts[0] * time_base
        end = pts[-1] * time_base + (last if last > 0 else mended.step * time_base)
    return SourceIndex(
        path=path,
        kind="counted",
        digest="",  # type: ignore[arg-type]
        picture=_displayed(first, (*notes, *about.notes)),
        pts=pts,
        time_base=time_base,
        start=start,
        end=end,
        rate=grid.rate if grid else None,
        coded_format=first.coded_format,
        rotation=first.rotation,
        interlaced=first.is_interlaced or about.is_interlaced,
        **about.fields,
    )


def _kept_grid(about: _About, mended: MendedTimes) -> Grid | None:
    """The constant rate that the file's own times lie on; none in an AVI: its places are exact."""
    if about.fields["container"] == "avi":
        return None
    frames, times = zip(*mended.kept, strict=True)
    return find_grid(times, time_base=about.time_base, declared=about.declared, frames=frames)


def _ticks(scan: Scan, about: _About, first: FirstFrames) -> Sequence[int | None]:
    """What the file itself says of when each decoded frame is shown; nothing where it says nothing.

    AVI has no times but a place for every frame: an empty one shows the frame before once more. In
    packs libav makes times up for all pictures but the first: those are left out.
    """
    container = about.fields["container"]
    places = sorted(entry.dts for entry in scan.shown if entry.dts is not None)
    if container == "avi" and len(places) == first.count and _dropped(places):
        return places
    if container in UNTIMED:
        return ()
    own = {entry.pts for entry in scan.shown if container not in PACKED or entry.pos is not None}
    ticks = [tick if tick in own else None for tick in first.ticks]
    if scan.is_in_order and len(own) == len(ticks) and None not in ticks:
        return sorted(own)  # times of decoding are right, but for the frames that they are given to
    return ticks


def _dropped(places: Sequence[int]) -> int:
    """How many places of an AVI show no frame of their own."""
    return places[-1] - places[0] + 1 - len(places)


def _mended_notes(scan: Scan, about: _About, first: FirstFrames, mended: MendedTimes) -> list[str]:
    """What was done about times that are not in the file."""
    if about.fields["container"] == "avi":
        return [_held_note(_held(scan, about))]
    missing = first.count - len(mended.kept)
    if not missing:
        return ["timestamps are in decoding order: given to the frames in the order shown"]
    if about.fields["container"] in PACKED:
        return [f"{missing} of {first.count} frames have no timestamp: timed by their neighbours'"]
    return [
        f"{missing} of {first.count} timestamps were missing, doubled or out of order: put "
        "between their neighbours"
    ]


def _displayed(first: FirstFrames, notes: tuple[str, ...]) -> Picture:
    """The picture turned as it is shown; a turn that is no quarter is left alone and noted."""
    picture = first.picture
    if first.coded_rotation % 90:
        notes = (*notes, f"rotation of {first.coded_rotation} degrees not applied")
    elif first.rotation:
        notes = (*notes, f"turned by {first.rotation} degrees, as the file asks")
    if first.rotation % 180:
        picture = replace(picture, width=picture.height, height=picture.width, sar=1 / picture.sar)
    return replace(picture, guessed=(*picture.guessed, *notes))
