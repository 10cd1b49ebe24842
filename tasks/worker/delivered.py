"""Frames as a delivery takes them: what the last run of a shot stores.

Planes of the delivered picture are what the encoder is given, a quarter of the bytes of codes in
4:2:0 of 8 bits. Codes come back from them rounded to what the delivery shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from cluster.chunks.chunk import ChunkInfo
from cluster.chunks.chunk import Picture as Stored
from tasks.frames.codes import Frames
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture

NONSENSE = "nonsense"


def codes_of(stored: Stored, delivered: Picture) -> Frames:
    """(H, W, 3) uint16 codes of a stored frame, codes or planes of the delivered picture."""
    return rgb_from_planes(stored, delivered) if isinstance(stored, tuple) else stored


def nonsense_meta(frames: Iterable[int]) -> dict[str, str]:
    """What the head of a chunk of planes says of frames whose codes were no picture: their planes
    look like one."""
    listed = list(frames)
    return {NONSENSE: json.dumps(listed)} if listed else {}


def nonsense_of(info: ChunkInfo) -> frozenset[int]:
    """The frames of a chunk of planes whose codes were no picture."""
    return frozenset(json.loads(info.meta.get(NONSENSE, "[]")))
