"""How far a render is, all its phases in one, and when it ends. Pure: the clock is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import expm1, sqrt

from flows.words import duration_words

PREPARED = 0.05
"""The share that probing, cuts and planning come to, as long as nobody knows what follows."""
PREPARE_S = 20.0
"""Half of it is shown after so long, where no phase says how far it is."""
AFTER = 0.1
"""Assembling and verifying, as a share of the rendering, where no forecast includes them."""
SURE = 0.5
"""From this share of the rendering on only what was measured counts, not the forecast."""
SPREAD = 0.2
"""By how much the worst end is later than the expected one, as a share of what is left, where no
forecast says; few pieces that were measured add to it."""
LATE = 0.05
"""What is left of a render that outlives its forecast, as a share of the time that it took."""
SOON_S = 600
"""Ends that are nearer are told in seconds from now, others as a time of day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How far a render is: `share` of all of it, 0 to 1, and seconds to its end, as expected and at
    worst; None as long as nothing says."""

    share: float
    left_s: float | None = None
    worst_s: float | None = None


class Eta:
    """A render from its first phase to its end. Its share never falls, and grows with time where
    work is being done: pieces that are at work count by the speed of those that are done, but no
    more than one for each worker. Several threads may tell and ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._share = self._base = 0.0
        self._began = self._phase_began = clock()
        self._fraction = 0.0
        self._total = self._done = self._piece = self._ahead = self._in_hand = 0.0
        self._moved = 0.0
        self._rendering_s: float | None = None
        self._forecast: tuple[float, float] | None = None

    def phase(self) -> None:
        """A phase begins; after the rendering, none of it is to come."""
        with self._lock:
            now = self._clock()
            if self._total and self._rendering_s is None:
                self._rendering_s = now - self._began
            self._phase_began, self._fraction = now, 0.0

    def fraction(self, done: float) -> None:
        """How much of the phase is done, 0 to 1."""
        with self._lock:
            self._fraction = max(self._fraction, done)

    def total(self, units: float, *, piece: float, workers: int) -> None:
        """The rendering begins: so many units, in pieces of so many, one in each worker's hands."""
        with self._lock:
            self._base = self._now().share
            self._began = self._moved = self._clock()
            self._total, self._done, self._piece = units, 0.0, piece
            self._ahead = piece * workers
            self._in_hand = piece * (workers - 1) / 2
            self._rendering_s = None

    def advance(self, units: float) -> None:
        """So many units are done."""
        with self._lock:
            self._done += units
            self._moved = self._clock()

    def expect(self, p50_s: float, p90_s: float) -> None:
        """A forecast of the whole render: seconds from now to the end, expected and at worst."""
        with self._lock:
            now = self._clock()
            self._forecast = (now + p50_s, now + max(p50_s, p90_s))

    def look(self) -> Look:
        """How far it is now."""
        with self._lock:
            return self._now()

    def _now(self) -> Look:
        seen = self._seen(self._clock())
        self._share = max(self._share, min(seen.share, 0.999))
        return Look(share=self._share, left_s=seen.left_s, worst_s=seen.worst_s)

    def _seen(self, now: float) -> Look:
        spent_s = now - self._began
        part = self._part(now)
        left_s = self._left(now, part)
        waiting = PREPARED * max(self._fraction, spent_s / (spent_s + PREPARE_S))
        if not self._total or left_s is None:
            of_rest = waiting
        else:
            proven = min(1.0, (self._done + self._ahead) / self._total)
            of_rest = min(proven, spent_s / (spent_s + left_s)) if left_s else proven
        worst_s = None if left_s is None else left_s + self._spread(left_s) * (1 - part)
        share = self._base + (1 - self._base) * of_rest
        return Look(share=share, left_s=left_s, worst_s=worst_s)

    def _part(self, now: float) -> float:
        """The share of the rendering that is done, with what workers have in hand: when a piece is
        done, half of the others' on average; then more and more, never all of it."""
        if self._rendering_s is not None:
            return 1.0
        if not self._done:
            return 0.0
        speed = (self._done + self._in_hand) / (self._moved - self._began or 1.0)
        room = self._ahead - self._in_hand
        moved = room * -expm1(-speed * (now - self._moved) / room) if room else 0.0
        hand = self._in_hand + moved
        return min(1.0, (self._done + hand) / self._total)

    def _left(self, now: float, part: float) -> float | None:
        """Seconds to the end, by what was measured and the forecast, each for what it is worth."""
        spent_s = now - self._began
        measured = None
        if self._rendering_s is not None:
            measured = self._after(now, AFTER * self._rendering_s)
        elif part:
            rendering_s = spent_s / part
            measured = rendering_s - spent_s + AFTER * rendering_s
        if self._forecast is None:
            return measured
        foreseen = max(LATE * spent_s, self._forecast[0] - now)
        if measured is None:
            return foreseen
        trust = min(1.0, part / SURE)
        return trust * measured + (1 - trust) * foreseen

    def _after(self, now: float, expected_s: float) -> float:
        """Seconds of the phases after the rendering: by how far the present one says it is."""
        spent_s = now - self._phase_began
        if self._fraction > AFTER:
            return spent_s * (1 - self._fraction) / self._fraction
        return expected_s * expected_s / (expected_s + spent_s) if expected_s else 0.0

    def _spread(self, left_s: float) -> float:
        if self._forecast is None:
            pieces = self._done / self._piece if self._piece else 1.0
            return (SPREAD + 1 / sqrt(max(1.0, pieces))) * left_s
        return self._forecast[1] - self._forecast[0]


def end_words(look: Look, now: datetime) -> str:
    """When a render is done, for people: `done 18:40, at worst 18:52`, of a short one `done in
    40 s, at worst in 52 s`; empty where nothing is known."""
    if look.left_s is None or look.worst_s is None:
        return ""
    if look.worst_s < SOON_S:
        left, worst = duration_words(look.left_s), duration_words(look.worst_s)
        return f"done in {left}" if left == worst else f"done in {left}, at worst in {worst}"
    ends = [now + timedelta(seconds=seconds) for seconds in (look.left_s, look.worst_s)]
    day = "%H:%M" if ends[1].date() == now.date() else "%a %H:%M"
    left, worst = (f"{end:{day}}" for end in ends)
    return f"done {left}" if left == worst else f"done {left}, at worst {worst}"
