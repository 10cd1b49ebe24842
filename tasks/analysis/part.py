"""One part of a source, looked at by itself: what it gives is what one pass over all gives of it.

What shows only with frames before the part is read with them; what a frame's drawing is, where it
was held already when the part begins, is told by the part before, which goes on until it ends.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.analysis.cuts import FLASH_FRAMES, LEAD, CutDetector, CutFeatures
from tasks.analysis.dissolves import Dissolve
from tasks.analysis.holds import HoldDetector
from tasks.analysis.similarity import GRID_SHAPE
from tasks.decode import DecodedFrame, FrameReader, SourceIndex
from tasks.frames.codes import to_uint8
from tasks.frames.colour import layout_of, rgb_from_planes

THUMB = (256, 144)
SHORTEST = 480
"""Frames that a part has at the least: some 220 before it are decoded again, and a process begins
in half a second."""
_ARRAYS = {"change": np.float32, "back": np.float32, "grid": np.uint8, "contrast": np.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was found of frames `[start, end)`: `features` of these, and `motion` of those from the
    first drawing on that begins here, to the first that begins in a later part."""

    start: int
    end: int
    features: CutFeatures
    motion: tuple[float, ...]

    def to_json(self) -> str:
        """As JSON text that `from_json` reads back equal."""
        arrays = {
            name: base64.b64encode(getattr(self.features, name).tobytes()).decode()
            for name in _ARRAYS
        }
        return json.dumps(
            {
                "span": [self.start, self.end],
                "motion": self.motion,
                "dissolves": [asdict(one) for one in self.features.dissolves],
                **arrays,
            }
        )

    @staticmethod
    def from_json(text: str) -> Part:
        """From what `to_json` wrote. InputError if it is something else."""
        try:
            data = json.loads(text)
            start, end = map(int, data["span"])
            arrays: dict[str, Any] = {
                name: np.frombuffer(base64.b64decode(data[name]), kind)
                for name, kind in _ARRAYS.items()
            }
            count = end - start
            return Part(
                start=start,
                end=end,
                features=CutFeatures(
                    change=arrays["change"].reshape(count),
                    back=arrays["back"].reshape(count, FLASH_FRAMES),
                    grid=arrays["grid"].reshape(count, *GRID_SHAPE),
                    contrast=arrays["contrast"].reshape(count),
                    dissolves=tuple(Dissolve(**one) for one in data["dissolves"]),
                ),
                motion=tuple(float(moved) for moved in data["motion"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not an analysis: {error}", remedy="analyse anew") from error


def plan_parts(index: SourceIndex, *, most: int) -> list[tuple[int, int]]:
    """The frames of a source in parts `[start, end)`, `most` at the most, for as many processes: a
    film is decoded from key frames on. One part where it must be decoded from its start."""
    count = len(index)
    if index.picks or index.kind not in ("stream", "folder"):
        return [(0, count)]
    # To begin with the frames before a part at a key frame costs no frame more.
    begins = [point.frame + LEAD for point in index.seek_points]
    starts = {0}
    parts = min(most, count // SHORTEST)
    for number in range(1, parts):
        ideal = count * number // parts
        start = ideal if index.kind == "folder" else _nearest(begins, ideal)
        if start is not None and max(starts) + SHORTEST <= start <= count - SHORTEST:
            starts.add(start)
    return list(pairwise([*sorted(starts), count]))


def _nearest(begins: list[int], ideal: int) -> int | None:
    return min(begins, key=lambda begin: abs(begin - ideal), default=None)


def analyse_part(
    index: SourceIndex,
    start: int,
    end: int,
    *,
    progress: Callable[[float], None] | None = None,
    threads: int = 1,
    cache_dir: Path | None = None,
) -> Part:
    """Decode frames `[start, end)` of a source, and some around them, in flat memory.

    `progress` is told the part that is done, 0 to 1. The result does not depend on `threads`.
    `cache_dir` remembers digests of files. InputError for a frame that cannot be decoded, and for
    a source that is not, or does not stay, the one that was indexed.
    """
    lead = max(0, start - LEAD)
    cuts, holds = CutDetector(first=lead), HoldDetector()
    depth = index.coded_picture.depth
    with FrameReader(index, threads=threads, cache_dir=cache_dir) as reader:
        for frame in reader.iter_frames(lead, end):
            cuts.add(_thumb(frame, index))
            if frame.index >= start:
                holds.add(*_planes(frame), depth=depth)
            elif frame.index == start - 1:
                holds.begin_after(*_planes(frame), depth=depth)
            if progress and frame.index % 24 == 0:
                progress((frame.index - lead) / (end - lead))
        known = end - start - holds.unknown
        for number in range(end, len(index) if holds.knows else end):
            (frame,) = reader.iter_frames(number, number + 1)
            holds.add(*_planes(frame), depth=depth)
            if holds.is_new:
                break
            known += 1
    features = cuts.features(start=start, ended=end == len(index))
    return Part(start=start, end=end, features=features, motion=holds.motion()[:known])


def _planes(frame: DecodedFrame) -> tuple[NDArray[np.unsignedinteger], ...]:
    """What tells drawings apart: luma and chroma, or the channels beside green."""
    chroma = frame.planes[::2] if frame.is_rgb else frame.planes[1:]
    return (frame.luma, *chroma)


def _thumb(frame: DecodedFrame, index: SourceIndex) -> NDArray[np.uint8]:
    """(144, 256, 3) uint8 R'G'B': each plane made small first, then converted."""
    picture = index.coded_picture
    layout = layout_of(picture.pix_fmt)
    small: Any = [cv2.resize(p, THUMB, interpolation=cv2.INTER_AREA) for p in frame.planes]
    suffix = "" if picture.depth == 8 else f"{picture.depth}le"
    full = {"yuv": f"yuv444p{suffix}", "rgb": picture.pix_fmt, "grey": picture.pix_fmt}
    there = replace(picture, width=THUMB[0], height=THUMB[1], pix_fmt=full[layout.kind])
    return to_uint8(rgb_from_planes(small, there))
