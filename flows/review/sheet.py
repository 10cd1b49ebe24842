"""Contact sheets: the middle frame of shots, as it goes into the film. A run's is of the shots that
it rendered: of an episode with two changed shots it shows these two. A gate's is of the shots that
wait, and lies beside the film's place."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import DigestError, unwritable
from cluster.keys import make_key
from cluster.store.base import NotStored, Store
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.frames.codes import to_uint8
from tasks.frames.contact_sheet import contact_sheet
from tasks.worker.delivered import read_codes
from tasks.worker.item import chunk_name

JPEG_QUALITY = 85
MAX_JPEG_HEIGHT = 65_500
"""Pixels high: the format holds no more. A taller sheet stays a PNG."""


def store_sheet(store: Store, plan: RenderPlan, *, made: Collection[str]) -> str | None:
    """Make the sheet of the shots `made`, once for what they are now, and store it; its name, or
    None where none of them has its middle frame stored."""
    shots = [shot for shot in plan.shots if shot.shot.id in made and plan.is_done(shot)]
    key = make_key([shot.segment.key if shot.segment else "" for shot in shots])
    name = f"reviews/{plan.episode}/sheet-{key}.jpg"
    if not shots:
        return None
    with suppress(NotStored, DigestError):  # one that is damaged is made again
        store.get(name)
        return name
    pictures = [
        (f"{shot.shot.id}  {len(shot.track)} frames", picture)
        for shot in shots
        if (picture := _middle(store, plan, shot)) is not None
    ]
    if not pictures:
        return None
    store.put(name, _as_jpeg(contact_sheet(pictures)))
    return name


def lay_sheet_beside(
    store: Store, plan: RenderPlan, film: Path, *, waiting: Collection[str]
) -> Path | None:
    """Write the sheet of the shots that wait as `NAME.review.jpg` beside the film's place; None
    where none of them has its middle frame stored. EncodeError where it cannot be written."""
    name = store_sheet(store, plan, made=waiting)
    if name is None:
        return None
    path = sheet_beside(film)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(name))
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def sheet_beside(film: Path) -> Path:
    """Where the sheet of a film's waiting shots lies."""
    return film.with_name(f"{film.stem}.review.jpg")


def _as_jpeg(png: bytes) -> bytes:
    """A fifth of the bytes: a sheet must not be most of what a small change puts."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    if picture.shape[0] > MAX_JPEG_HEIGHT:
        return png
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _middle(store: Store, plan: RenderPlan, shot: ShotPlan) -> NDArray[np.uint8] | None:
    """(H, W, 3) 8-bit R'G'B' of a shot's middle frame, or None where it is not stored."""
    drawn = shot.runs[0].items[0].track.times if shot.runs[0].items else ()
    # A frame of the source, not one in between: it shows what was drawn.
    middle = shot.track.frame_at(drawn[len(drawn) // 2]) if drawn else 0
    for item in shot.runs[-1].items:
        if item.out.start <= middle < item.out.end:
            try:
                name = chunk_name(plan.key_of(item))
                return to_uint8(read_codes(store, name, middle, plan.picture))
            except (NotStored, DigestError):  # who needs the chunk says so
                return None
    return None
