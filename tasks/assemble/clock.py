"""Computes the exact times of packets whose timestamps are rounded.

Matroska keeps whole milliseconds; a sound packet of 1024 samples at 48 kHz lasts 21.333 of them.
Packets of a constant number of samples lie on a grid that their rounded times still betray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketGrid:
    """Packet i starts at `start + i * samples / rate` s; `doubt` is how far off `start` may be."""

    start: Fraction
    samples: int
    rate: int
    doubt: Fraction = Fraction(0)

    def at(self, packet: int) -> Fraction:
        """Start of a packet in seconds."""
        return self.start + Fraction(packet * self.samples, self.rate)

    def drawn_to(self, start: Fraction) -> PacketGrid:
        """The same grid with its start at `start`, if that is within doubt."""
        if abs(start - self.start) > self.doubt:
            return self
        return replace(self, start=start, doubt=Fraction(0))


def find_grid(
    stamps: Sequence[int], *, time_base: Fraction, rate: int, hint: int = 0
) -> PacketGrid | None:
    """The grid that rounded packet times lie on, each within one tick; None if they do not.

    `stamps` are the times of all packets in order, in `time_base` s; `rate` is samples per
    second. `hint` is the likely number of samples in a packet, for streams too short to tell.
    With 100 packets or more the grid is exact to a fraction of a tick.
    """
    count = len(stamps)
    if count < 2:
        return None
    tick = time_base * rate
    mean = (stamps[-1] - stamps[0]) * tick / (count - 1)
    slack = 2 * tick / (count - 1)
    lowest, highest = ceil(mean - slack), floor(mean + slack)
    best: tuple[int, int, int] | None = None
    for samples in range(max(1, lowest), highest + 1):
        offsets = [
            stamp * tick.numerator - index * samples * tick.denominator
            for index, stamp in enumerate(stamps)
        ]
        low, high = min(offsets), max(offsets)
        score = (high - low, abs(samples - hint) if hint else 0, samples)
        if high - low > 2 * tick.numerator:
            continue
        if hint == samples:
            score = (0, 0, samples)
        if best is None or score < best:
            best, middle, spread = score, low + high, high - low
    if best is None:
        return None
    unit = Fraction(1, 2 * tick.denominator * rate)
    doubt = max(Fraction(0), time_base / 2 - spread * unit)
    return PacketGrid(start=middle * unit, samples=best[2], rate=rate, doubt=doubt)
