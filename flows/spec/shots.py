"""Shots: half-open ranges of source frames, and how cuts and cut lists become them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cluster.errors import UsageError

STEP = 10
"""Shots are numbered in tens, so that one can be put between two without renaming any."""
MAX_FRAME = 1 << 20
"""No shot comes out longer: twelve hours."""
FRAMES = re.compile(r"\d{1,18}(-\d{1,18})?(,\d{1,18}(-\d{1,18})?)*")
"""Frames of one shot, as they are typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Frames `[start, end)` of source number `source`; `id` as crews write it: sh010, sh020, …"""

    id: str
    source: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def shot_name(number: int) -> str:
    """The name of the n-th shot, counted from 0: sh010, sh020, … sh1000."""
    return f"sh{(number + 1) * STEP:03d}"


def shots_from_cuts(cuts: Sequence[Sequence[int]], *, counts: Sequence[int]) -> tuple[Shot, ...]:
    """Shots that partition every source in order; `cuts[s]` are the first frames of new shots of
    source s (never 0), `counts[s]` its frames."""
    shots: list[Shot] = []
    for source, (found, count) in enumerate(zip(cuts, counts, strict=True)):
        for start, end in pairwise((0, *found, count)):
            name = shot_name(len(shots))
            shots.append(Shot(id=name, source=source, start=start, end=end))
    return tuple(shots)


def shots_from_list(
    cuts: Sequence[int],
    *,
    counts: Sequence[int],
    where: Callable[[int], str] = lambda _: "",
) -> tuple[Shot, ...]:
    """Shots from a written cut list: the first frames of new shots, ascending, counted through
    all sources; the joins of sources are cuts anyway. UsageError where it is not such a list;
    `where` is the place of its nth frame."""
    total = sum(counts)
    for number, (before, cut) in enumerate(pairwise(cuts), start=1):
        if before >= cut:
            raise UsageError(
                f"cut: frames must ascend, {cut} does not",
                where=where(number),
                remedy="sort the list",
            )
    for number, cut in enumerate(cuts):
        if not 0 <= cut < total:
            raise UsageError(
                f"cut: frame {cut} is outside the film, which has frames 0 to {total - 1}",
                where=where(number),
                remedy="a cut is the first frame of a new shot",
            )
    by_source: list[list[int]] = []
    first = 0
    for count in counts:
        by_source.append([cut - first for cut in cuts if first < cut < first + count])
        first += count
    return shots_from_cuts(by_source, counts=counts)


def parse_frames(text: str) -> dict[str, frozenset[int]]:
    """`sh010:7,12-14;sh020:3` as output frames by shot; ranges include both ends. UsageError where
    it cannot be read, or names no frame at all."""
    picked: dict[str, frozenset[int]] = {}
    for part in filter(None, (word.strip() for word in re.split(r"[;\s]+", text))):
        shot, colon, ranges = part.partition(":")
        if not shot or not colon or not FRAMES.fullmatch(ranges):
            raise UsageError(
                f"cannot read {part!r}", where="--frames", remedy="write sh010:7,12-14"
            )
        frames: set[int] = set()
        for stretch in ranges.split(","):
            low, _, high = stretch.partition("-")
            if int(high or low) < int(low):
                raise UsageError(f"{stretch} runs backwards", where=f"--frames {part}")
            if int(high or low) > MAX_FRAME:
                raise UsageError(
                    f"there is no frame {high or low}",
                    where=f"--frames {part}",
                    remedy="frames of a shot are counted from 0",
                )
            frames.update(range(int(low), int(high or low) + 1))
        picked[shot] = picked.get(shot, frozenset()) | frozenset(frames)
    if text and not picked:
        raise UsageError("names no frame", where="--frames", remedy="write sh010:7,12-14")
    return picked


def parse_shots(text: str) -> tuple[str, ...]:
    """`sh010,sh020` as names. UsageError where it names none."""
    names = tuple(name for name in (word.strip() for word in text.split(",")) if name)
    if text and not names:
        raise UsageError("names no shot", where="--shots", remedy="write sh010,sh020")
    return names
