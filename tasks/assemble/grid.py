"""The film's grid: one exact clock on which every frame begins on a whole tick.

Frames are placed by their index in the film, never by adding up durations, so nothing drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm

from cluster.errors import EncodeError

MIN_TIMESCALE = 10_000
"""Coarser clocks are multiplied up: some players round the start of sound to the video's clock."""
COMMON_TIMESCALE = 720_000
"""Exact for 24, 25, 30, 50, 60, their 1000/1001 kin, ms and 90 kHz; else within 0.7 us."""
MAX_TICKS = 1 << 31
"""mp4 keeps durations and composition offsets in 32 bits, signed."""
MAX_REORDER = 32
"""More frames of reordering than any codec allows (H.264 and HEVC: 16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Start of every frame in whole ticks of `1 / timescale` s; `end` is when the last one goes.

    `rate` is the constant frame rate, None where it varies. `exact` is False only where the times
    have no common clock that a container could hold; every start is then within 0.7 us.
    """

    ticks: tuple[int, ...]
    end: int
    timescale: int
    rate: Fraction | None
    exact: bool

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return Fraction(1, self.timescale)

    def duration(self, frame: int) -> int:
        """Ticks that a frame is on screen."""
        after = self.ticks[frame + 1] if frame + 1 < len(self.ticks) else self.end
        return after - self.ticks[frame]

    def decode_tick(self, packet: int, *, delay: int) -> int:
        """When packet number `packet` in decode order is decoded, `delay` frames ahead of show.

        Strictly increasing, and never after the packet's own frame is shown as long as no frame
        is decoded more than `delay` places after its place in show order.
        """
        if packet >= delay:
            return self.ticks[packet - delay]
        return self.ticks[0] - (delay - packet) * self.duration(0)


def make_grid(times: Sequence[Fraction], *, end: Fraction) -> Grid:
    """The grid of frames that start at `times` s and end at `end` s.

    Errors: EncodeError where there are no frames, the first starts before 0, or time stands still.
    """
    if not times:
        raise EncodeError("no frames to assemble", remedy="render at least one shot")
    if times[0] < 0:
        raise EncodeError(f"expected the first frame at 0 s or later, got {float(times[0]):.6f} s")
    edges = [*times, end]
    for index, (here, after) in enumerate(pairwise(edges)):
        if after <= here:
            raise EncodeError(
                f"expected frame {index + 1} after {float(here):.6f} s, got {float(after):.6f} s"
            )
    timescale, exact = choose_timescale(edges)
    ticks = [round(time * timescale) for time in edges]
    steps = {after - here for here, after in pairwise(edges)}
    return Grid(
        ticks=tuple(ticks[:-1]),
        end=ticks[-1],
        timescale=timescale,
        rate=1 / steps.pop() if len(steps) == 1 else None,
        exact=exact,
    )


def choose_timescale(edges: Sequence[Fraction]) -> tuple[int, bool]:
    """Ticks per second on which all edges are whole, and whether they are exactly so.

    24000/1001 gives 24000, 25 gives 12800; times in milliseconds 16000.
    """
    widest = max(after - here for here, after in pairwise(edges))
    limit = int(MAX_TICKS / max(Fraction(1), widest * MAX_REORDER))
    timescale = lcm(*{edge.denominator for edge in edges})
    if timescale > limit:
        return min(COMMON_TIMESCALE, max(limit, 1000)), False
    while timescale < MIN_TIMESCALE and timescale * 2 <= limit:
        timescale *= 2
    return timescale, True


def reorder_delay(order: Sequence[int]) -> int:
    """How many places the latest frame is decoded after its place in show order.

    `order[k]` is the show index of the k-th packet in decode order.
    """
    return max((packet - frame for packet, frame in enumerate(order)), default=0)
