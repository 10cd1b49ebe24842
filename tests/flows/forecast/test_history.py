"""What is learnt of earlier runs, and that each is read from the store once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.ledger.history import read_history
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.folder import FolderStore
from flows.forecast.history import ENOUGH_RECEIPTS, ENOUGH_RUNS, MOST_RUNS, read_earlier_runs

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing was read before."""
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "store")


def render(store: Store, number: int, *, chunks: int = 4, stage: str = "up", **more: Any) -> str:
    """A run of two shots on two workers, each chunk a second; its name."""
    run = f"2026{number:04d}"
    ended = NOW - timedelta(hours=1000 - number)
    receipts = [
        Receipt(
            run=run,
            episode="ep",
            shot=f"sh0{1 + at % 2}0",
            stage=stage,
            key=f"{at:040x}",
            start=0,
            end=24,
            frames=24,
            kind="a.b",
            width=64,
            height=48,
            device="cpu",
            node="n",
            worker=str(at % 2),
            compute_s=1.0,
            bytes_out=1000,
            finished_at=(ended + timedelta(seconds=at)).isoformat(timespec="milliseconds"),
        )
        for at in range(chunks)
    ]
    append_receipts(store, run, receipts)
    record = {
        "run": run,
        "episode": "ep",
        "state": "done",
        "film": "f.mkv",
        "frames_out": 96,
        "render_s": chunks / 2 + 0.5,
        "wall_s": chunks / 2 + 7.5,
        "shots": [],
        **more,
    }
    store.put(f"runs/ep/{run}.json", json.dumps(record).encode())
    return run


def test_a_run_tells_what_it_took_around_and_beyond_its_chunks(store: Store) -> None:
    render(store, 1)
    (run,) = read_earlier_runs(store, stages={"up"}).runs
    assert (run.workers, run.film_frames) == (2, 96)
    assert run.played_s == pytest.approx(2)
    assert run.around_s == pytest.approx(7)
    assert run.beyond_s == pytest.approx(0.5)


def test_the_latest_receipts_come_last(store: Store) -> None:
    names = [render(store, number) for number in range(3)]
    history = read_earlier_runs(store, stages={"up"})
    assert [one.run for one in history.samples][:: len(history.samples) // 3] == names
    assert [run.run for run in history.runs] == names[::-1]


def test_a_run_is_read_from_the_store_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    render(store, 1)
    first = read_earlier_runs(store, stages={"up"})
    render(store, 2)
    asked: list[str] = []
    from flows.forecast import history

    real = read_history

    def noted(of: Store, **question: Any) -> Any:
        asked.append(question.get("run", "all"))
        return real(of, **question)

    monkeypatch.setattr(history, "read_history", noted)
    second = read_earlier_runs(store, stages={"up"})
    assert asked == ["20260002"]
    assert second.runs[1:] == first.runs
    assert second.samples[: len(first.samples)] == first.samples
    assert read_earlier_runs(store, stages={"up"}) == second
    assert asked == ["20260002"]


@pytest.mark.parametrize(
    "more",
    [
        {"state": "failed"},
        {"shots": [{"retries": 2}]},
        {"quarantined": ["host"]},
        {"render_s": 0.0},
    ],
)
def test_runs_that_went_ill_tell_only_of_their_chunks(store: Store, more: dict[str, Any]) -> None:
    render(store, 1, **more)
    history = read_earlier_runs(store, stages={"up"})
    assert history.runs == ()
    assert len(history.samples) == 4


def test_receipts_without_a_record_count(store: Store) -> None:
    """A run that was stopped, or another program's."""
    run = render(store, 1)
    store.delete(f"runs/ep/{run}.json")
    assert len(read_earlier_runs(store, stages={"up"}).samples) == 4
    assert read_earlier_runs(store, stages={"other"}).samples == ()


def test_what_was_reused_took_nothing(store: Store) -> None:
    render(store, 1)
    reused = Receipt(
        run="20260001",
        episode="ep",
        shot="sh010",
        stage="up",
        key="k",
        start=0,
        end=24,
        reused=True,
        finished_at=NOW.isoformat(timespec="milliseconds"),
    )
    append_receipts(store, "20260001", [reused, replace(reused, key="l")])
    assert len(read_earlier_runs(store, stages={"up"}).samples) == 4


def test_no_more_runs_are_read_than_tell_enough(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = -(-ENOUGH_RECEIPTS // ENOUGH_RUNS)
    for number in range(ENOUGH_RUNS + 3):
        render(store, number, chunks=many)
    assert len(read_earlier_runs(store, stages={"up"}).runs) == ENOUGH_RUNS
    assert ENOUGH_RUNS < MOST_RUNS


def test_a_stage_of_long_ago_is_sought_further_back(store: Store) -> None:
    render(store, 0, stage="old")
    for number in range(1, MOST_RUNS + 2):
        render(store, number, chunks=1)
    history = read_earlier_runs(store, stages={"old"})
    assert {one.work.stage for one in history.samples} == {"old"}
