"""Timestamps that are missing, doubled or out of order, put between those that can be believed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm
from statistics import median_low


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedTimes:
    """Strictly ascending ticks of `time_base`, one a frame. `kept` are those of the file that were
    believed, by frame and in its own ticks."""

    pts: tuple[int, ...]
    time_base: Fraction
    kept: tuple[tuple[int, int], ...]
    step: int
    """Ticks from a frame to the next, as a rule."""


def mend_times(
    ticks: Sequence[int | None], *, time_base: Fraction, rate: Fraction
) -> MendedTimes | None:
    """Times of frames in the order shown, from what the file says of each. Pure.

    The longest ascending series of them is believed, as it stands. Frames between two of it lie
    evenly between their times; those before and after at the usual step, or at `rate` where there
    is none. None where not one frame has a time.
    """
    kept = _longest_ascending(ticks)
    if not kept:
        return None
    times: dict[int, Fraction] = {k: Fraction(value) for k, value in kept}
    steps = [b - a for (i, a), (j, b) in pairwise(kept) if j == i + 1]
    step = Fraction(median_low(steps)) if steps else 1 / (rate * time_base)
    first, last = kept[0], kept[-1]
    for k in range(first[0]):
        times[k] = first[1] - (first[0] - k) * step
    for k in range(last[0] + 1, len(ticks)):
        times[k] = last[1] + (k - last[0]) * step
    for (i, a), (j, b) in pairwise(kept):
        for k in range(i + 1, j):
            times[k] = a + Fraction(b - a) * (k - i) / (j - i)
    finer = lcm(*(times[k].denominator for k in times))
    return MendedTimes(
        pts=tuple(int(times[k] * finer) for k in range(len(ticks))),
        time_base=time_base / finer,
        kept=tuple(kept),
        step=max(1, round(step * finer)),
    )


def _longest_ascending(ticks: Sequence[int | None]) -> list[tuple[int, int]]:
    """(frame, tick) of the longest strictly ascending series (patience sorting)."""
    tails: list[int] = []
    at: list[int] = []
    before: dict[int, int | None] = {}
    for k, value in enumerate(ticks):
        if value is None:
            continue
        place = bisect_left(tails, value)
        if tails[place : place + 1] == [value]:
            continue  # of two that are equal the first is right
        before[k] = at[place - 1] if place else None
        tails[place : place + 1] = [value]
        at[place : place + 1] = [k]
    chain: list[tuple[int, int]] = []
    k_or_none = at[-1] if at else None
    while k_or_none is not None:
        value = ticks[k_or_none]
        assert value is not None
        chain.append((k_or_none, value))
        k_or_none = before[k_or_none]
    return chain[::-1]
