"""A farm played through takes as long as its rules say."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from flows.farm.shot import shots_at_once
from flows.forecast.durations import Timing
from flows.forecast.makespan import ShotSteps, Step, makespan_s

CHUNK = Timing(load_s=0.0, compute_s=10.0, store_s=0.0, bytes_out=0)
SEGMENT = Timing(load_s=0.0, compute_s=3.0, store_s=0.0, bytes_out=0)


def shot(
    name: str, *runs: int, first: int = 0, pool: str = "cpu"
) -> tuple[ShotSteps, list[Timing]]:
    """A shot of so many chunks in each run, and its segment."""
    steps: list[Step] = []
    took: list[Timing] = []
    for number, chunks in enumerate(runs):
        items = tuple(range(first + len(took), first + len(took) + chunks))
        steps.append(Step(pool=pool, group=f"{name}/{number}", locked=True, items=items))
        took += [CHUNK] * chunks
    items = (first + len(took),)
    steps.append(Step(pool="cpu", group=f"{name}/encode", locked=False, items=items))
    return tuple(steps), [*took, SEGMENT]


def test_chunks_of_a_run_go_side_by_side_and_the_segment_follows() -> None:
    steps, took = shot("a", 6)
    assert makespan_s([steps], took, workers={"cpu": 2}, at_once=4) == 33
    assert makespan_s([steps], took, workers={"cpu": 1}, at_once=4) == 63


def test_runs_follow_one_another() -> None:
    steps, took = shot("a", 1, 1, 1)
    assert makespan_s([steps], took, workers={"cpu": 8}, at_once=4) == 33


def test_shots_fill_the_workers_that_one_leaves_idle() -> None:
    shots: list[Any] = []
    took: list[Timing] = []
    for name in "abcd":
        steps, more = shot(name, 1, 1, first=len(took))
        shots.append(steps)
        took += more
    assert makespan_s(shots, took, workers={"cpu": 4}, at_once=4) == 23
    assert makespan_s(shots, took, workers={"cpu": 4}, at_once=1) == 92


def test_loading_and_storing_overlap_computing() -> None:
    steps, took = shot("a", 3)
    busy = [Timing(load_s=4.0, compute_s=10.0, store_s=4.0, bytes_out=0)] * 3 + [SEGMENT]
    assert makespan_s([steps], busy, workers={"cpu": 1}, at_once=1) == 4 + 30 + 4 + 3
    assert took


def test_pools_do_not_take_each_others_work() -> None:
    a, took = shot("a", 4, pool="gpu")
    assert makespan_s([a], took, workers={"cpu": 8, "gpu": 1}, at_once=4) == 43


def test_a_worker_has_three_calls_in_flight_and_computes_one() -> None:
    steps, took = shot("a", 4)
    slow = [Timing(load_s=100.0, compute_s=10.0, store_s=0.0, bytes_out=0)] * 4 + [SEGMENT]
    assert makespan_s([steps], slow, workers={"cpu": 1}, at_once=1) == 100 + 10 + 100 + 10 + 3
    assert len(took) == 5


# -- a full farm ---------------------------------------------------------------------------------


def efficiency(workers: int, *, shots: int, at_once: int) -> float:
    """The share of a farm's time in which its workers compute: shots of one to ten odd chunks of a
    second and a segment of .3 s for each, the longest first."""
    chance = random.Random(7)
    made: list[Any] = []
    took: list[Timing] = []
    for name in range(shots):
        steps, _ = shot(str(name), chance.randint(1, 10), first=len(took))
        chunks = steps[0].items
        seconds = [chance.lognormvariate(-0.125, 0.5) for _ in chunks] + [0.3 * len(chunks)]
        took += [Timing(load_s=0, compute_s=s, store_s=0, bytes_out=0) for s in seconds]
        made.append((steps[0], replace(steps[1], locked=True)))
    made.sort(key=lambda steps: len(steps[0].items), reverse=True)
    work_s = sum(each.compute_s for each in took)
    return work_s / workers / makespan_s(made, took, workers={"cpu": workers}, at_once=at_once)


@pytest.mark.parametrize(("workers", "least"), [(4, 0.97), (64, 0.97), (256, 0.95)])
def test_with_work_enough_every_worker_is_busy_to_the_end(workers: int, least: float) -> None:
    assert efficiency(workers, shots=15 * workers, at_once=shots_at_once(workers)) >= least


def test_too_few_shots_in_flight_leave_workers_idle() -> None:
    """What six shots, enough for the two cores of a driver, did to a farm of 64."""
    assert efficiency(64, shots=192, at_once=6) < 0.5
