"""What a render takes beside its chunks is learnt from the runs that are most like it."""

from __future__ import annotations

from statistics import median

import pytest

from flows.forecast.history import EarlierRun
from flows.forecast.overhead import START_S, learn_overhead


def run(
    around: float = 10,
    *,
    frames: int = 0,
    beyond: float = 0.0,
    played: float = 60,
    name: str = "ep",
) -> EarlierRun:
    return EarlierRun(
        run="r",
        episode=name,
        workers=2,
        around_s=around,
        beyond_s=beyond,
        played_s=played,
        film_frames=frames,
    )


def around(*runs: EarlierRun, frames: int = 0) -> float:
    return median(learn_overhead(runs, episode="ep", film_frames=frames, played_s=60).around)


def test_without_runs_it_is_what_was_measured() -> None:
    assert around() == pytest.approx(START_S)
    assert around(frames=1000) > START_S


def test_start_up_is_that_of_recent_runs() -> None:
    assert around(run(20), run(21), run(22), run(200)) == pytest.approx(21.5)


def test_runs_without_a_film_do_not_speak_for_one() -> None:
    runs = [run(10), run(11), run(30, frames=5000), run(31, frames=5000)]
    assert around(*runs, frames=5000) == pytest.approx(30.5, abs=1)
    assert around(*runs) == pytest.approx(10.5, abs=1)


def test_assembling_grows_with_the_film_as_it_was_seen_to() -> None:
    runs = [run(10 + frames / 100, frames=frames) for frames in (1000, 3000, 9000)]
    assert around(*runs, frames=27000) == pytest.approx(280, rel=0.1)


def test_what_the_farm_adds_grows_with_the_work() -> None:
    runs = [run(beyond=13.0, played=60) for _ in range(5)]
    beside = learn_overhead(runs, episode="ep", film_frames=0, played_s=600)
    assert median(beside.beyond) == pytest.approx(0.2)


def test_few_runs_leave_more_open_than_many() -> None:
    few = learn_overhead([run(20), run(22)], episode="ep", film_frames=0, played_s=60).around
    many = learn_overhead([run(20), run(22)] * 5, episode="ep", film_frames=0, played_s=60).around
    assert max(few) - min(few) > max(many) - min(many)
