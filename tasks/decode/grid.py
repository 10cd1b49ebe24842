"""Finds the constant rate that a list of rounded timestamps lies on, if any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

STANDARD_RATES = (
    *(Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 12, 15, 120)),
    *(Fraction(whole) for whole in (24, 25, 30, 48, 50, 60, 12, 15, 10, 8, 90, 100, 120)),
    *(Fraction(whole) for whole in (144, 240, 6, 5, 4, 3, 2, 1)),
)
EQUAL_STEPS_PROVE = 6
"""Frames from which equal steps mean a rate of their own: rounding a standard rate to
milliseconds gives unequal steps sooner (1/48 s: by the fifth frame)."""
MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Frame k appears at `start + k / rate` seconds."""

    start: Fraction
    rate: Fraction


def find_grid(
    pts: Sequence[int],
    *,
    time_base: Fraction,
    declared: Sequence[Fraction] = (),
    last_duration: int = 0,
    frames: Sequence[int] | None = None,
) -> Grid | None:
    """The constant rate whose exact times, rounded to the container's ticks, are `pts`.

    pts: ascending ticks of `time_base`. declared: rates that the container states, best first; they
    settle what few frames leave open. One missing, doubled or late frame means no grid. Timestamps
    that were once whole milliseconds (Matroska remuxed to MP4) count as rounded to milliseconds.
    `last_duration` (ticks, 0: unknown) gives a single frame its rate. `frames` are the numbers of
    the frames that `pts` are of, where the times of others are not known.
    """
    if len(pts) == 1:
        grid = _single(pts[0], time_base, declared, last_duration)
        return grid and replace(grid, start=grid.start - (frames[0] if frames else 0) / grid.rate)
    numbers = frames or range(len(pts))
    for quantum in _quanta(pts, time_base):
        for rate in _candidates(pts, numbers, time_base, declared):
            grid = _fit(pts, numbers, time_base, rate, quantum)
            if grid is not None:
                return grid
    return None


def missing_frames(pts: Sequence[int], *, time_base: Fraction, rate: Fraction) -> tuple[int, int]:
    """How many frames are missing from an else constant film, and after which; (0, 0) if none are.

    A few holes count, of any length: a film with one after more than every twentieth frame is a
    variable one.
    """
    places = [round((ticks - pts[0]) * time_base * rate) for ticks in pts]
    missing = places[-1] - (len(pts) - 1)
    holes = sum(b > a + 1 for a, b in pairwise(places))
    if missing <= 0 or not 0 < holes <= max(1, len(pts) // 20):
        return 0, 0
    for ticks, place in zip(pts, places, strict=True):
        if abs((ticks - pts[0]) * time_base - place / rate) > time_base:
            return 0, 0
    return missing, next(k for k, (a, b) in enumerate(pairwise(places)) if b > a + 1)


def _single(
    pts: int, time_base: Fraction, declared: Sequence[Fraction], duration: int
) -> Grid | None:
    own = 1 / (duration * time_base) if duration > 0 else None
    if own is not None and (own in declared or own in STANDARD_RATES):
        return Grid(start=pts * time_base, rate=own)
    for rate in declared:
        if own is None or abs(1 / rate - duration * time_base) <= time_base:
            return Grid(start=pts * time_base, rate=rate)
    return Grid(start=pts * time_base, rate=own) if own else None


def _quanta(pts: Sequence[int], time_base: Fraction) -> Iterator[Fraction]:
    yield time_base
    if time_base < MILLISECOND and all(_is_near_millisecond(tick * time_base) for tick in pts):
        yield MILLISECOND + time_base


def _is_near_millisecond(time: Fraction) -> bool:
    # A muxer that keeps milliseconds in finer ticks is off by less than one tick of 1/10000 s.
    return abs(time - round(time * 1000) * MILLISECOND) <= Fraction(1, 20000)


def _candidates(
    pts: Sequence[int], numbers: Sequence[int], time_base: Fraction, declared: Sequence[Fraction]
) -> Iterator[Fraction]:
    places = zip(numbers, pts, strict=True)
    steps = {Fraction(b - a, j - i) for (i, a), (j, b) in pairwise(places)}
    equal = 1 / (next(iter(steps)) * time_base) if len(steps) == 1 else None
    mean = (numbers[-1] - numbers[0]) / ((pts[-1] - pts[0]) * time_base)
    yield from (rate for rate in declared if rate in STANDARD_RATES)
    if equal is not None and (len(pts) >= EQUAL_STEPS_PROVE or equal in STANDARD_RATES):
        yield equal
    yield from sorted(STANDARD_RATES, key=lambda rate: abs(rate - mean))
    yield from declared
    if equal is not None:
        yield equal


def _fit(
    pts: Sequence[int],
    numbers: Sequence[int],
    time_base: Fraction,
    rate: Fraction,
    quantum: Fraction,
) -> Grid | None:
    """The grid, if all times are within one quantum of it (whichever way the muxer rounds)."""
    # Whole numbers in units of 1 / (time_base's denominator * rate's numerator) seconds.
    unit = time_base.denominator * rate.numerator
    tick = time_base.numerator * rate.numerator
    step = rate.denominator * time_base.denominator
    spread = floor(quantum * unit)
    early = late = pts[0] * tick - numbers[0] * step
    for k, value in zip(numbers, pts, strict=True):
        offset = value * tick - k * step
        early, late = min(early, offset), max(late, offset)
        if late - early > spread:
            return None
    first = pts[0] * time_base - numbers[0] / rate
    start = _start(Fraction(early, unit), Fraction(late, unit), first, rate, quantum)
    return Grid(start=start, rate=rate)


def _start(
    early: Fraction, late: Fraction, first: Fraction, rate: Fraction, quantum: Fraction
) -> Fraction:
    """The start that rounding allows: on the grid of 0 if it can be, 0 where the film starts at 0,
    else nearest to the first timestamp.

    Every start in [late - quantum/2, early + quantum/2] rounds to the given timestamps.
    """
    if early == late:
        return first
    low, high = late - quantum / 2, early + quantum / 2
    for k in (floor(low * rate), ceil(low * rate)):
        if low <= k / rate <= high:
            return k / rate
    return first if first == 0 else min(max(first, low), high)
