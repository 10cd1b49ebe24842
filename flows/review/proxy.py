"""A preview for people before the full render: a contact sheet and a small film of the frames
that are stored, beside the film's place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import unwritable
from cluster.keys import make_key
from cluster.scratch import scratch_folder
from cluster.store.base import NotStored, Store
from flows.plan.partial import frame_places
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.plan.preview import preview_frames, record_preview
from flows.progress import Reporter
from tasks.assemble import assemble_film
from tasks.encode.encoders import EncodeSpec
from tasks.encode.segment import encode_segment
from tasks.frames.codes import BLACK, Frames, to_uint8
from tasks.frames.colour import delivery_picture
from tasks.frames.contact_sheet import contact_sheet
from tasks.frames.picture import Picture
from tasks.worker.delivered import read_codes
from tasks.worker.item import chunk_name

MAX_WIDTH = 640
"""Pixels across: enough to judge staging and colour, a tenth of 1080p to encode and to send."""
SPEC = EncodeSpec(encoder="libx264", quality=23, preset="veryfast", gop=12)
"""Short groups, for whoever drags through it."""
MAX_PICTURES = 400
"""Pictures on a sheet, unless there are more shots than that."""
READ_AHEAD = 8
"""Frames read ahead: most of the time of each is the way there and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The files of the small film and the sheet, and the sheet's name in the store."""

    film: Path
    picture: Path
    sheet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A frame of the proxy: the object that holds it, None for a shot of which there is nothing."""

    shot: str
    frame: int
    time: Fraction
    name: str | None


def make_proxy(prepared: Prepared, plan: RenderPlan, reporter: Reporter) -> Proxy:
    """The preview of what the plan has now. Shots of which no frame is stored are black.

    EncodeError where it cannot be written beside the film's place.
    """
    reporter.phase("making the preview")
    every = prepared.request.preview_every
    cells = list(_cells(plan, every))
    output = Path(prepared.request.output)
    film = output.with_name(f"{output.stem}.preview.mkv")
    picture = output.with_name(f"{output.stem}.preview.png")
    png = _sheet(prepared.store, cells, plan.picture)
    sheet = f"reviews/{plan.episode}/preview-{make_key([cell.name for cell in cells])}.png"
    prepared.store.put(sheet, png)
    try:
        film.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(png)
        with scratch_folder("preview", beside=film.parent) as folder:
            _write_film(prepared, plan, cells, film, folder, reporter)
    except OSError as error:
        raise unwritable(film, error) from error
    record_preview(
        prepared.store,
        plan,
        every=every,
        film=str(film),
        sheet=sheet,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    return Proxy(film=film, picture=picture, sheet=sheet)


def _cells(plan: RenderPlan, every: int) -> Iterator[_Cell]:
    for shot in plan.shots:
        places = frame_places(shot.runs[-1], shot.partials[-1:], plan.stored)
        there = [frame for frame in sorted(preview_frames(shot, every)) if frame in places]
        for frame in there:
            yield _cell(shot, frame, chunk_name(places[frame]))
        if not there and len(shot.track):
            yield _cell(shot, 0, None)


def _cell(shot: ShotPlan, frame: int, name: str | None) -> _Cell:
    return _Cell(shot=shot.shot.id, frame=frame, time=shot.track.times[frame], name=name)


def _write_film(
    prepared: Prepared,
    plan: RenderPlan,
    cells: list[_Cell],
    film: Path,
    folder: Path,
    reporter: Reporter,
) -> None:
    """Each frame held until the next one, on the film's own clock, with its sound."""
    small = _small_picture(plan.picture)
    length = plan.end - cells[0].time
    segment = folder / "preview.mkv"
    encode_segment(
        segment,
        _fitted(prepared.store, cells, plan.picture, small),
        count=len(cells),
        spec=SPEC,
        picture=small,
        rate=max(Fraction(1), (len(cells) / length).limit_denominator(1001)),
        on_progress=lambda done: reporter.fraction(min(1.0, done / len(cells))),
    )
    assemble_film(
        film,
        segments=[segment],
        times=[cell.time for cell in cells],
        end=plan.end,
        picture=small,
        container="mkv",
        passthrough=prepared.passthrough,
        metadata={"comment": f"preview by douga, run {plan.run}"},
    )


def _small_picture(picture: Picture) -> Picture:
    """At most MAX_WIDTH wide, both sides even, 8 bits, 4:2:0: what every player plays."""
    scale = min(1.0, MAX_WIDTH / picture.width)
    width, height = (
        max(2, 2 * round(side * scale / 2)) for side in (picture.width, picture.height)
    )
    small = replace(picture, width=width, height=height, hdr="")
    return delivery_picture(small, pix_fmt="yuv420p", encoder="libx264")


def _fitted(
    store: Store, cells: list[_Cell], delivered: Picture, picture: Picture
) -> Iterator[Frames]:
    for frame in _frames(store, cells, delivered):
        if frame is None:
            yield np.full((picture.height, picture.width, 3), BLACK, np.uint16)
        else:
            yield _resized(frame, picture.width, picture.height)


def _sheet(store: Store, cells: list[_Cell], delivered: Picture) -> bytes:
    """PNG of all frames; of as many of each shot, well apart, as a page holds, where there are
    more than that."""
    shots: dict[str, list[_Cell]] = {}
    for cell in cells:
        if cell.name is not None:
            shots.setdefault(cell.shot, []).append(cell)
    each = max(1, MAX_PICTURES // max(1, len(shots)))
    picked = [cell for own in shots.values() for cell in own[:: -(-len(own) // each)]]
    few = len(picked) <= 24
    pictures = [
        (f"{cell.shot}  {cell.frame}", _thumbnail(frame, 240 if few else 160))
        for cell, frame in zip(picked, _frames(store, picked, delivered), strict=True)
        if frame is not None
    ]
    columns, width = (4, 240) if few else (8, 160)
    return contact_sheet(pictures, columns=columns, width=width)


def _thumbnail(frame: Frames, width: int) -> NDArray[np.uint8]:
    """An 8-bit picture, no wider than it is shown."""
    rows, columns = frame.shape[:2]
    if columns > width:
        frame = _resized(frame, width, max(1, round(rows * width / columns)))
    return to_uint8(frame)


def _resized(frame: Frames, width: int, height: int) -> Frames:
    resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint16, copy=False)


def _frames(store: Store, cells: list[_Cell], delivered: Picture) -> Iterator[Frames | None]:
    """The frame of each cell, some read ahead; None where there is none."""

    def read(cell: _Cell) -> Frames | None:
        if cell.name is None:
            return None
        try:
            return read_codes(store, cell.name, cell.frame, delivered)
        except NotStored:
            return None

    with ThreadPoolExecutor(READ_AHEAD) as threads:
        waiting = iter(cells)
        ahead = [threads.submit(read, cell) for cell in islice(waiting, READ_AHEAD)]
        while ahead:
            yield ahead.pop(0).result()
            ahead.extend(threads.submit(read, cell) for cell in islice(waiting, 1))
