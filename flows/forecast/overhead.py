"""What a render takes beside its chunks: start-up, assembling, what the farm adds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import fmean, median

from flows.forecast.history import EarlierRun

START_S = 8.0
"""Ray, Prefect's server and the workers, where there are no runs: `douga render` of a tiny film on
two idle cores took 7 to 9 s beside its chunks."""
FRAME_S = 0.004
"""Assembling and verifying one frame of a film, where there are no two films: 96x54 to 640x360."""
BEYOND = 0.05
"""What the farm adds to the simulated time, as a share, where there are no runs."""
SCATTER = 0.2
"""How much start-up scatters (log) where there are too few runs."""
NEAR = 0.35
RUNS = 8
"""Runs that one estimate rests on at the most, the latest of the nearest."""
SMALL_FRAMES = 50
SMALL_S = 5.0
"""Sizes below these do not matter to what is near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Possible outcomes, equally likely, in seconds: `around` the rendering, and `beyond` its
    simulated time, as a share of that and `SMALL_S`. `runs` is how many were read."""

    around: tuple[float, ...]
    beyond: tuple[float, ...]
    runs: int

    def draw(self, chance: Random, *, played_s: float) -> float:
        """What may be added to a rendering of this simulated time."""
        around, beyond = chance.choice(self.around), chance.choice(self.beyond)
        return max(0.0, around) + max(-played_s / 2, beyond * (played_s + SMALL_S))


def learn_overhead(
    runs: Sequence[EarlierRun], *, episode: str, film_frames: int, played_s: float
) -> Overhead:
    """What earlier runs, the latest first, say of one of `film_frames` (0: no film is made) whose
    rendering is simulated to take `played_s`."""

    def film_distance(run: EarlierRun) -> float:
        here = math.log((film_frames + SMALL_FRAMES) / (run.film_frames + SMALL_FRAMES))
        return abs(here) + (0.0 if run.episode == episode else 0.2)

    def length_distance(run: EarlierRun) -> float:
        return abs(math.log((played_s + SMALL_S) / (run.played_s + SMALL_S)))

    per_frame = _per_frame(runs)
    around = [
        max(0.0, run.around_s + per_frame * (film_frames - run.film_frames))
        for run in _nearest(runs, film_distance)
    ]
    beyond = [run.beyond_s / (run.played_s + SMALL_S) for run in _nearest(runs, length_distance)]
    start = START_S + FRAME_S * film_frames
    spread = SCATTER * start
    return Overhead(
        around=_scattered(around or [start], least=SCATTER * fmean(around) if around else spread),
        beyond=_scattered(beyond or [BEYOND], least=BEYOND),
        runs=len(runs),
    )


def _nearest(
    runs: Sequence[EarlierRun], distance: Callable[[EarlierRun], float]
) -> list[EarlierRun]:
    if not runs:
        return []
    least = min(map(distance, runs))
    return [run for run in runs if distance(run) <= least + NEAR][:RUNS]


def _per_frame(runs: Sequence[EarlierRun]) -> float:
    """Seconds that a frame more of the film takes after the rendering."""
    slopes = [
        (a.around_s - b.around_s) / (a.film_frames - b.film_frames)
        for a, b in combinations(runs, 2)
        if abs(math.log((a.film_frames + 1) / (b.film_frames + 1))) > NEAR
    ]
    return max(0.0, median(slopes)) if len(slopes) >= 3 else FRAME_S


def _scattered(values: Sequence[float], *, least: float) -> tuple[float, ...]:
    """Outcomes as wide apart as so few values let one expect of another one."""
    centre = median(values)
    count = len(values)
    if count < 3:
        return tuple(centre + least * z for z in (-1.3, -0.7, -0.3, 0.0, 0.3, 0.7, 1.5))
    widen = math.sqrt((count + 1) / (count - 1))
    return tuple(centre + (value - centre) * widen for value in values)
