"""Frames as a delivery takes them: what the last run of a shot stores.

Planes of the delivered picture are what the encoder is given, a quarter of the bytes of codes in
4:2:0 of 8 bits. Codes come back from them rounded to what the delivery shows.
"""

from __future__ import annotations

import json

from cluster.chunks.chunk import Picture as Stored
from cluster.chunks.chunk import StoredChunk
from cluster.store.base import Store
from tasks.frames.codes import Frames
from tasks.frames.colour import Planes, planes_from_rgb, rgb_from_planes
from tasks.frames.picture import Picture
from tasks.verify.chunks import NONSENSE
from tasks.verify.pictures import is_nonsense


def codes_of(stored: Stored, delivered: Picture) -> Frames:
    """(H, W, 3) uint16 codes of a stored frame, codes or planes of the delivered picture."""
    return rgb_from_planes(stored, delivered) if isinstance(stored, tuple) else stored


def read_codes(store: Store, name: str, index: int, delivered: Picture) -> Frames:
    """(H, W, 3) uint16 codes of one frame of a stored chunk. Errors as of `StoredChunk`."""
    return codes_of(StoredChunk(store, name, [index]).picture(index), delivered)


class Delivered:
    """Makes planes of codes, one frame after the other; one that repeats the last is the same."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._last: tuple[Frames, Planes, bool] | None = None
        self._nonsense: list[int] = []

    def planes_of(self, index: int, frame: Frames) -> Planes:
        """The planes of frame `index`, (H, W, 3) uint16 codes."""
        if self._last is None or self._last[0] is not frame:
            self._last = (frame, planes_from_rgb(frame, self._picture), is_nonsense(frame))
        _, planes, nonsense = self._last
        if nonsense:
            self._nonsense.append(index)
        return planes

    def meta(self) -> dict[str, str]:
        """What the chunk's head says of frames whose codes were no picture: their planes look like
        one."""
        return {NONSENSE: json.dumps(self._nonsense)} if self._nonsense else {}
