"""Decodes a source once to find its cuts and its repeated drawings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.analysis.cuts import CutDetector, find_cuts
from tasks.analysis.holds import HoldDetector, find_drawings, motion_limit
from tasks.decode import DecodedFrame, FrameReader, SourceIndex
from tasks.frames.codes import to_uint8
from tasks.frames.colour import layout_of, rgb_from_planes

ANALYSIS_VERSION = 2
"""Raised when the same source gives another result, so that cached ones are not used."""
THUMB = (256, 144)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What one pass over a source found.

    `cuts` are the first frames of new shots. `motion[i]` is how much frame i moves against frame
    i - 1 (see tasks/analysis/holds.py), for every frame of the source.
    """

    cuts: tuple[int, ...]
    motion: tuple[float, ...]

    def to_json(self) -> str:
        """As JSON text that `from_json` reads back equal."""
        return json.dumps({"cuts": self.cuts, "motion": self.motion}, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Analysis:
        """From what `to_json` wrote. InputError if it is something else."""
        try:
            data = json.loads(text)
            return Analysis(
                cuts=tuple(int(cut) for cut in data["cuts"]),
                motion=tuple(float(moved) for moved in data["motion"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not an analysis: {error}", remedy="analyse anew") from error


def analyse(
    index: SourceIndex,
    *,
    progress: Callable[[float], None] | None = None,
    threads: int = 2,
    cache_dir: Path | None = None,
) -> Analysis:
    """Decode a source once, in flat memory. InputError for a frame that cannot be decoded, and for
    a source that is not, or does not stay, the one that was indexed.

    `progress` is told the part that is done, 0 to 1. The result does not depend on `threads`.
    `cache_dir` remembers digests of files.
    """
    cuts, holds = CutDetector(), HoldDetector()
    depth = index.coded_picture.depth
    with FrameReader(index, threads=threads, cache_dir=cache_dir) as reader:
        for frame in reader.iter_frames():
            cuts.add(_thumb(frame, index))
            chroma = frame.planes[::2] if frame.is_rgb else frame.planes[1:]
            holds.add(frame.luma, *chroma, depth=depth)
            if progress and frame.index % 24 == 0:
                progress(frame.index / len(index))
    return Analysis(cuts=find_cuts(cuts.features()), motion=holds.motion())


def drawings_for(analysis: Analysis, start: int, end: int) -> tuple[int, ...]:
    """For each frame of the shot `[start, end)`, shot-relative: the first frame of its drawing."""
    limit = motion_limit(analysis.motion)
    return find_drawings(analysis.motion[start:end], limit=limit)


def _thumb(frame: DecodedFrame, index: SourceIndex) -> NDArray[np.uint8]:
    """(144, 256, 3) uint8 R'G'B': each plane made small first, then converted."""
    picture = index.coded_picture
    layout = layout_of(picture.pix_fmt)
    small: Any = [cv2.resize(p, THUMB, interpolation=cv2.INTER_AREA) for p in frame.planes]
    suffix = "" if picture.depth == 8 else f"{picture.depth}le"
    full = {"yuv": f"yuv444p{suffix}", "rgb": picture.pix_fmt, "grey": picture.pix_fmt}
    there = replace(picture, width=THUMB[0], height=THUMB[1], pix_fmt=full[layout.kind])
    return to_uint8(rgb_from_planes(small, there))
