"""What a store remembers of earlier work: receipts of the ledger, and what its runs took in all."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.history import read_history
from cluster.store import NotStored, Store
from flows.forecast.durations import Seen, Took, Work
from flows.forecast.makespan import CPU, GPU, Step, makespan_s

DAYS = 90
"""Older receipts are of other days and machines."""
RUNS = 24
"""Runs that are looked at, the latest."""
COLUMNS = (
    "run",
    "shot",
    "stage",
    "kind",
    "model",
    "device",
    "node",
    "worker",
    "width",
    "height",
    "frames",
    "load_s",
    "compute_s",
    "store_s",
    "bytes_out",
    "reused",
    "finished_at",
)
GOOD = frozenset({"done", "in part", "waiting for review"})
"""States of runs that took what they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run that went well: `around_s` is what it took before its first call and after its last
    (start-up, assembling, verifying), `beyond_s` what its rendering took beyond what its receipts,
    played through on its `workers`, explain. `film_frames` is 0 where it made no film."""

    run: str
    episode: str
    workers: int
    around_s: float
    beyond_s: float
    played_s: float
    film_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """All of it: receipts, the latest last, and runs, the latest first."""

    seen: tuple[Seen, ...]
    runs: tuple[PastRun, ...]


def read_past(store: Store, *, stages: Collection[str]) -> Past:
    """The receipts of these stages, and the latest runs. Reads columns of the ledger, one listing
    of runs and the documents of the latest; StoreError as they raise it."""
    since = datetime.now(UTC) - timedelta(days=DAYS)
    table = read_history(store, columns=COLUMNS, since=since)
    rows = [row for row in table.sort_by("finished_at").to_pylist() if not row["reused"]]
    seen = tuple(_seen(row) for row in rows if row["stage"] in stages)
    by_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_run[row["run"]].append(row)
    found = (
        _past_run(record, by_run[record["run"]])
        for record in _records(store)
        if by_run.get(record["run"])
    )
    return Past(seen=seen, runs=tuple(run for run in found if run))


def _seen(row: dict[str, Any]) -> Seen:
    return Seen(work=_work(row), run=row["run"], took=_took(row))


def _work(row: dict[str, Any]) -> Work:
    return Work(
        stage=row["stage"],
        kind=row["kind"],
        model=row["model"],
        device=row["device"],
        pixels=row["width"] * row["height"],
        frames=row["frames"],
    )


def _took(row: dict[str, Any]) -> Took:
    return Took(
        load_s=row["load_s"],
        compute_s=row["compute_s"],
        store_s=row["store_s"],
        bytes_out=row["bytes_out"],
    )


def _records(store: Store) -> list[dict[str, Any]]:
    """What the latest runs came to, the latest first."""
    names = sorted(
        (entry.name for entry in store.list("runs/") if entry.name.endswith(".json")),
        key=lambda name: name.rpartition("/")[2],
        reverse=True,
    )

    def read(name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(store.get(name)))
        except NotStored:
            return {}

    with ThreadPoolExecutor(8) as threads:
        return [record for record in threads.map(read, names[:RUNS]) if record]


def _past_run(record: dict[str, Any], rows: Sequence[dict[str, Any]]) -> PastRun | None:
    """A run's record against its receipts; None for one that tells nothing."""
    if record.get("state") not in GOOD or not record.get("render_s"):
        return None
    if any(shot.get("retries") for shot in record["shots"]) or record.get("quarantined"):
        return None
    workers = {(row["node"], row["worker"]) for row in rows}
    played = _play(rows, len(workers))
    return PastRun(
        run=record["run"],
        episode=record["episode"],
        workers=len(workers),
        around_s=max(0.0, record["wall_s"] - record["render_s"]),
        beyond_s=record["render_s"] - played,
        played_s=played,
        film_frames=record["frames_out"] if record["film"] else 0,
    )


def _play(rows: Sequence[dict[str, Any]], workers: int) -> float:
    """The seconds that a run's own receipts explain."""
    shots: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(rows):
        shots[row["shot"]][row["stage"]].append(number)
    pools = _pools(rows)
    steps = [
        tuple(
            Step(
                pool=_pool(rows[pieces[0]], pools),
                group=f"{shot}/{stage}",
                locked=stage != "encode",
                pieces=tuple(pieces),
            )
            for stage, pieces in sorted(stages.items(), key=lambda pair: pair[0] == "encode")
        )
        for shot, stages in sorted(shots.items())
    ]
    took = [_took(row) for row in rows]
    return makespan_s(steps, took, workers=pools, at_once=max(4, 3 * workers))


def _pools(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many workers of each device type a run had."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        found[GPU if row["device"] == "cuda" else CPU].add((row["node"], row["worker"]))
    return {pool: len(workers) for pool, workers in found.items()}


def _pool(row: dict[str, Any], pools: dict[str, int]) -> str:
    return GPU if row["device"] == "cuda" else next(iter({CPU: 0} if CPU in pools else pools))
