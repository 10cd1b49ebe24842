"""The figures of a report, against what is known of a made-up farm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger.receipts import Receipt, append_receipts
from cluster.settings import settings
from cluster.store.folder import FolderStore
from flows.plan.decisions import Decision
from flows.report.usage.figures import Report
from flows.report.usage.make import make_report
from flows.report.usage.work import covered_s

T0 = datetime(2024, 11, 2, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DOUGA_GPU_HOUR_PRICE", "3.6")
    monkeypatch.setenv("DOUGA_CPU_HOUR_PRICE", "0.36")
    monkeypatch.setenv("DOUGA_CURRENCY", "JPY")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def text(after_s: float) -> str:
    return (T0 + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")


def work(begins: float, ends: float, **more: Any) -> Receipt:
    """A chunk computed from one second to another, and neither loaded nor stored."""
    plain: dict[str, Any] = {
        "run": "20241102T200000-aaaa",
        "episode": "ep01",
        "shot": "sh010",
        "stage": "upscale",
        "key": f"{begins}-{ends}",
        "start": 0,
        "end": 24,
        "frames": 24,
        "device": "cuda",
        "gpu": "0",
        "node": "farm-3",
        "worker": "1",
        "compute_s": ends - begins,
        "began_at": text(begins),
        "finished_at": text(ends),
    }
    return Receipt(**{**plain, **more})


def put_receipts(store: FolderStore, *receipts: Receipt) -> None:
    append_receipts(store, receipts[0].run, receipts)


def put_run(store: FolderStore, after_s: float = 0.0, **more: Any) -> None:
    at = T0 + timedelta(seconds=after_s)
    document = {
        "film": "/films/a.mkv",
        "film_s": 120.0,
        "episode": "ep01",
        "run": f"{at:%Y%m%dT%H%M%S}-aaaa",
        "state": "done",
        "ended_at": text(after_s),
        "chunks_computed": 1,
        "chunks_reused": 3,
        "shots": [{"id": f"sh0{n}0", "state": "rendered"} for n in (1, 2)],
        **more,
    }
    store.put(f"runs/{document['episode']}/{document['run']}.json", json.dumps(document).encode())


def put_decision(store: FolderStore, shot: str, verdict: Any, after_s: float) -> None:
    decision = Decision(
        episode="ep01",
        shot=shot,
        segment="s",
        verdict=verdict,
        by="mika",
        at=text(after_s),
        note=f"after {after_s:g}",
    )
    name = f"reviews/ep01/decisions/{shot}/{after_s}.json"
    store.put(name, json.dumps(asdict(decision)).encode())


def report(store: FolderStore, **more: Any) -> Report:
    asked: dict[str, Any] = {"since": "all", "now": datetime(2024, 12, 1, tzinfo=UTC), **more}
    return make_report(store.url, **asked)


def test_minute_of_film_costs_what_was_spent_over_the_films_length(
    store: FolderStore, prices: None
) -> None:
    put_receipts(
        store,
        work(0, 500, load_s=300.0, store_s=200.0),
        work(500, 600, device="cpu", gpu="", threads=4, stage="encode"),
    )
    put_run(store)
    totals = report(store).totals
    assert totals.cost.gpu_hours == pytest.approx(1000 / 3600)
    assert totals.cost.cpu_hours == pytest.approx(400 / 3600)
    assert totals.cost.money == pytest.approx(1.0 + 0.04)
    assert totals.film_minutes == 2.0
    assert totals.per_film_minute is not None
    assert totals.per_film_minute.money == pytest.approx(0.52)
    assert report(store).unit == "JPY"


def test_film_rendered_twice_counts_once_and_costs_both(store: FolderStore) -> None:
    put_receipts(store, work(0, 1800))
    put_receipts(store, work(90000, 91800, run="20241103T200000-aaaa"))
    put_run(store)
    put_run(store, 90000, film_s=60.0)
    totals = report(store).totals
    assert totals.film_minutes == 1.0, "of the newest film"
    assert totals.per_film_minute is not None
    assert totals.per_film_minute.gpu_hours == pytest.approx(1.0)


def test_episode_without_a_film_is_told_apart(store: FolderStore) -> None:
    put_receipts(store, work(0, 3600), work(0, 7200, episode="ep02", run="b"))
    put_run(store)
    put_run(store, 10, episode="ep02", film=None, film_s=0.0, state="failed")
    found = report(store)
    assert found.totals.unfinished.gpu_hours == pytest.approx(2.0)
    assert found.totals.per_film_minute is not None
    assert found.totals.per_film_minute.gpu_hours == pytest.approx(0.5)
    assert [(row.episode, row.per_film_minute is None) for row in found.episodes] == [
        ("ep02", True),
        ("ep01", False),
    ]
    assert found.totals.failed_runs == 1


def test_without_prices_cost_is_device_hours(store: FolderStore) -> None:
    put_receipts(store, work(0, 3600), work(0, 1800, device="cpu", gpu="", stage="hold"))
    found = report(store)
    assert not found.priced
    assert found.one_number(found.totals.cost) == pytest.approx(1.5)
    assert found.slots[0].by_stage == pytest.approx({"upscale": 1.0, "hold": 0.5})


def test_reused_share_is_of_all_chunks_that_runs_needed(store: FolderStore) -> None:
    put_run(store)
    put_run(store, 60, chunks_computed=0, chunks_reused=4)
    assert report(store).totals.cache_hit_rate == pytest.approx(7 / 8)


def test_gpu_shared_by_two_workers_is_busy_while_either_computes(store: FolderStore) -> None:
    put_receipts(
        store,
        work(0, 40),
        work(30, 60, worker="2"),
        work(80, 100, worker="2"),
        work(100, 200, device="cpu", gpu="", worker="9", stage="encode"),
    )
    totals = report(store).totals
    assert totals.gpu_idle_share == pytest.approx(1 - 80 / 200), "held until the run's end"
    assert totals.cpu_idle_share == pytest.approx(0.0)


def test_two_gpus_are_told_apart_and_so_are_nodes(store: FolderStore) -> None:
    put_receipts(store, work(0, 100), work(0, 50, gpu="1"), work(0, 100, node="farm-4"))
    found = report(store)
    assert found.totals.gpu_idle_share == pytest.approx(50 / 300)
    assert [(row.node, row.units, row.idle_share) for row in found.nodes] == [
        ("farm-3", 2, pytest.approx(0.25)),
        ("farm-4", 1, pytest.approx(0.0)),
    ]


def test_without_a_gpu_the_workers_idle_share_is_told(store: FolderStore) -> None:
    more = {"device": "cpu", "gpu": ""}
    put_receipts(store, work(0, 10, **more), work(30, 40, **more), work(0, 5, worker="2", **more))
    totals = report(store).totals
    assert totals.gpu_idle_share is None
    assert totals.cpu_idle_share == pytest.approx(20 / 45), "a worker that was lost held nothing"


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=8),
)
def test_seconds_covered_are_those_in_any_interval(spans: list[tuple[int, int]]) -> None:
    begins = np.array([begin for begin, _ in spans], dtype=float)
    ends = np.array([begin + length for begin, length in spans], dtype=float)
    seconds = {at for begin, length in spans for at in range(begin, begin + length)}
    assert covered_s(begins, ends) == len(seconds)


def test_slowest_stage_comes_first_with_its_times(store: FolderStore) -> None:
    put_receipts(
        store,
        *(work(100 * n, 100 * n + 10 * (n + 1), load_s=1.0, store_s=1.0) for n in range(10)),
        work(0, 60, stage="colorize", retries=2),
        work(0, 0, stage="colorize", reused=True),
    )
    upscale, colorize = report(store).stages
    assert (upscale.stage, upscale.items, upscale.frames) == ("upscale", 10, 240)
    assert upscale.frame_s == pytest.approx((550 + 20) / 240)
    assert upscale.frame_compute_s == pytest.approx(550 / 240)
    assert upscale.p50_s == pytest.approx(57)
    assert upscale.p90_s == pytest.approx(93)
    assert (colorize.items, colorize.retries) == (1, 2), "what was reused took no time"
    assert upscale.share + colorize.share == pytest.approx(1.0)


def test_retakes_are_counted_by_shot_with_the_last_words(store: FolderStore) -> None:
    put_run(store)
    put_decision(store, "sh010", "retake", 10)
    put_decision(store, "sh010", "retake", 30)
    put_decision(store, "sh020", "approved", 20)
    found = report(store)
    assert found.totals.retakes_per_shot == pytest.approx(1.0), "two on two shots"
    assert [(row.shot, row.retakes, row.note) for row in found.retaken] == [
        ("sh010", 2, "after 30")
    ]


def test_failures_are_listed_with_why(store: FolderStore) -> None:
    document = {"episode": "ep01", "shot": "sh020", "run": "r", "stage": "encode", "at": text(5)}
    store.put("failures/ep01/sh020/r.json", json.dumps({**document, "error": "no room"}).encode())
    found = report(store)
    assert found.totals.failed_shots == 1
    assert [(row.shot, row.error) for row in found.failures] == [("sh020", "no room")]


def test_only_what_lies_in_the_time_counts(store: FolderStore) -> None:
    day = 86400
    put_receipts(store, work(0, 3600), work(3 * day, 3 * day + 7200, key="late"))
    put_run(store, 3600, run="20241102T200000-aaaa")
    put_run(store, 3 * day, film_s=0.0)
    put_decision(store, "sh010", "retake", 10)
    early = report(store, until="2024-11-03")
    late = report(store, since="2024-11-04")
    assert early.totals.cost.gpu_hours == pytest.approx(1.0)
    assert late.totals.cost.gpu_hours == pytest.approx(2.0)
    assert (early.totals.runs, early.totals.retakes, early.totals.film_minutes) == (1, 1, 2.0)
    assert (late.totals.retakes, late.totals.film_minutes) == (0, 0.0)


def test_only_the_episode_named_counts(store: FolderStore) -> None:
    put_receipts(store, work(0, 3600), work(0, 7200, episode="ep02", run="b"))
    put_run(store)
    put_run(store, 10, episode="ep02")
    put_decision(store, "sh010", "retake", 10)
    found = report(store, episode="ep02")
    assert [row.episode for row in found.episodes] == ["ep02"]
    assert found.totals.cost.gpu_hours == pytest.approx(2.0)
    assert (found.totals.runs, found.totals.retakes) == (2, 0)


@pytest.mark.parametrize(("days", "slot"), [(20, "day"), (200, "week"), (800, "month")])
def test_slots_hold_everything_once_without_a_gap(store: FolderStore, days: int, slot: str) -> None:
    ends = [number * 86400 * days / 7 for number in range(8)]
    for number, at in enumerate(ends):
        put_receipts(store, work(at, at + 360, run=f"r{number}"))
        put_decision(store, f"sh{number}", "retake", at)
    found = report(store, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert found.slot == slot
    begins = [datetime.fromisoformat(each.begins) for each in found.slots]
    steps = {(later - sooner).days for sooner, later in pairwise(begins)}
    assert steps <= {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}[slot]
    assert sum(each.cost.gpu_hours for each in found.slots) == pytest.approx(0.8)
    assert sum(each.retakes for each in found.slots) == 8
    assert found.slots[0].cost.gpu_hours > 0
    assert found.slots[-1].cost.gpu_hours > 0


def test_records_and_receipts_of_an_older_douga_are_read(store: FolderStore) -> None:
    put_receipts(store, work(10, 20, began_at="", frames=0, gpu=""))
    document = {
        "film": "/films/a.mkv",
        "episode": "ep01",
        "run": "20241102T200000-aaaa",
        "chunks_computed": 1,
        "chunks_reused": 0,
        "shots": [{"id": "sh010", "state": "rendered"}],
    }
    store.put("runs/ep01/20241102T200000-aaaa.json", json.dumps(document).encode())
    found = report(store)
    assert (found.totals.runs, found.totals.film_minutes) == (1, 0.0)
    assert found.totals.per_film_minute is None
    assert found.totals.gpu_idle_share == pytest.approx(0.0)


def test_store_in_which_nothing_happened_has_no_figures(store: FolderStore) -> None:
    found = report(store)
    assert (found.totals.runs, found.slots, found.stages, found.episodes) == (0, (), (), ())
    assert found.totals.cache_hit_rate is found.totals.retakes_per_shot is None
    assert json.loads(json.dumps(found.to_json()))["totals"]["cost"]["money"] == 0.0
