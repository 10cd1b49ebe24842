"""A farm played through takes as long as its rules say."""

from __future__ import annotations

from typing import Any

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
