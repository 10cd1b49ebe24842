"""Decodes a source once to find its cuts and its repeated drawings, whole or a part at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import InputError
from tasks.analysis.cuts import find_cuts, join_features
from tasks.analysis.holds import find_drawings, motion_limit
from tasks.analysis.part import Part, analyse_part
from tasks.decode import SourceIndex

ANALYSIS_VERSION = 2
"""Raised when the same source gives another result, so that cached ones are not used."""


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
    """Decode a source once, in flat memory. Errors as of `analyse_part`."""
    part = analyse_part(
        index, 0, len(index), progress=progress, threads=threads, cache_dir=cache_dir
    )
    return join_parts([part])


def drawings_for(analysis: Analysis, start: int, end: int) -> tuple[int, ...]:
    """For each frame of the shot `[start, end)`, shot-relative: the first frame of its drawing."""
    limit = motion_limit(analysis.motion)
    return find_drawings(analysis.motion[start:end], limit=limit)


def join_parts(parts: Sequence[Part]) -> Analysis:
    """The analysis of a film from those of its parts, in order: the same for any parts. Pure."""
    motion = [moved for part in parts for moved in part.motion]
    assert len(motion) == parts[-1].end, "each frame in one part"
    return Analysis(
        cuts=find_cuts(join_features([part.features for part in parts])), motion=tuple(motion)
    )
