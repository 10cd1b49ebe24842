"""What a store's latest runs took, each work item and in all.

A run that has ended does not change, so what was read of it is cached in douga's home: a plan reads
of the ledger only the runs that are new to this machine.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cluster.cache import cached, write_cached
from cluster.keys import make_key
from cluster.ledger.history import read_history
from cluster.settings import home_folder
from cluster.store.base import NotStored, Store
from cluster.store.records import DamagedRecord, note_damage, read_record
from flows.farm.shot import shots_at_once
from flows.forecast.durations import Sample, Timing, Work
from flows.forecast.makespan import CPU, GPU, Step, makespan_s
from flows.runs.outcome import Outcome
from flows.runs.state import whole_run

ENOUGH_RUNS, ENOUGH_RECEIPTS = 8, 1500
"""With this many of both, older runs are not read."""
MOST_RUNS = 40
"""Runs that are read at the most, whatever was found."""
PER_STAGE = 300
"""Receipts of a stage that are kept of one run, at the most."""
DAYS = 90
"""Receipts of runs that left no record count when they are not older."""
SLOW_S = 1.0
"""A search of the whole ledger that took longer and found nothing..."""
REST_S = 24 * 3600
"""...is not repeated for this long."""
COLUMNS = (
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
GOOD = frozenset({Outcome.DONE.recorded, "in part", Outcome.WAITING.recorded})
"""States of runs whose time is typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
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
class History:
    """Earlier work: receipts, the latest last, and runs, the latest first."""

    samples: tuple[Sample, ...]
    runs: tuple[EarlierRun, ...]


def read_earlier_runs(store: Store, *, stages: Collection[str]) -> History:
    """The latest runs and their receipts; for stages that they did not have, the whole ledger is
    searched. One listing of runs; StoreError as the ledger raises it."""
    samples: list[tuple[Sample, ...]] = []
    runs: list[EarlierRun] = []
    missing = set(stages)
    receipts = 0
    for name in _records(store)[:MOST_RUNS]:
        known = _read_run(store, name)
        if known is None:
            continue
        samples.append(known.samples)
        runs += known.runs
        receipts += len(known.samples)
        missing -= {one.work.stage for one in known.samples}
        if not missing and receipts >= ENOUGH_RECEIPTS and len(runs) >= ENOUGH_RUNS:
            break
    if missing:
        samples.append(_search_ledger(store, sorted(missing)))
    latest_last = (
        one for of_run in reversed(samples) for one in of_run if one.work.stage in stages
    )
    return History(samples=tuple(latest_last), runs=tuple(runs))


def _records(store: Store) -> list[str]:
    """The names of the records of runs, the latest first."""
    names = (entry.name for entry in store.list("runs/"))
    return sorted(names, key=lambda name: name.rpartition("/")[2], reverse=True)


def _read_run(store: Store, name: str) -> History | None:
    """A run by the name of its record, from douga's home where it was read before; None for one
    whose record is gone."""

    def make() -> str:
        record = read_record(store, name, partial(whole_run, store.url))
        table = read_history(store, columns=COLUMNS, run=record["run"]).sort_by("finished_at")
        rows = [row for row in table.to_pylist() if not row["reused"]]
        found = _earlier_run(record, rows) if rows else None
        samples = _samples(_thin_out(rows), record["run"])
        return json.dumps(_to_json(History(samples=samples, runs=(found,) if found else ())))

    try:
        return cached(_kept(store, name), make, lambda text: _from_json(json.loads(text)))
    except NotStored:
        return None
    except DamagedRecord as error:
        note_damage(error, then="nothing is learnt from that run")
        return None


def _thin_out(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most PER_STAGE receipts of each stage, spread over the run."""
    by_stage: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_stage[row["stage"]].append(row)
    return [row for many in by_stage.values() for row in many[:: -(-len(many) // PER_STAGE)]]


def _search_ledger(store: Store, stages: Sequence[str]) -> tuple[Sample, ...]:
    """The receipts of stages that none of the latest runs had, from the whole ledger."""
    nothing = _kept(store, f"nothing of {stages}")
    if nothing.exists() and time.time() - nothing.stat().st_mtime < REST_S:
        return ()
    began = time.monotonic()
    since = datetime.now(UTC) - timedelta(days=DAYS)
    table = read_history(store, columns=("run", *COLUMNS), since=since)
    of_them = table.filter(pc.is_in(table["stage"], pa.array(stages))).sort_by("finished_at")
    rows = of_them.slice(max(0, of_them.num_rows - ENOUGH_RECEIPTS)).to_pylist()
    if not rows and time.monotonic() - began > SLOW_S:
        write_cached(nothing, "")
    return tuple(one for row in rows if not row["reused"] for one in _samples([row], row["run"]))


def _samples(rows: Iterable[dict[str, Any]], run: str) -> tuple[Sample, ...]:
    return tuple(Sample(work=_work(row), run=run, took=_took(row)) for row in rows)


def _kept(store: Store, name: str) -> Path:
    return home_folder("cache/forecast/past") / f"{make_key([store.url, name])}.json"


def _to_json(history: History) -> dict[str, Any]:
    """A run as it is kept: its receipts by the work that they are of."""
    by_work: dict[Work, list[list[float]]] = defaultdict(list)
    for one in history.samples:
        took = one.took
        by_work[one.work].append([took.load_s, took.compute_s, took.store_s, took.bytes_out])
    return {
        "run": history.samples[0].run if history.samples else "",
        "seen": [[asdict(work), took] for work, took in by_work.items()],
        "runs": [asdict(run) for run in history.runs],
    }


def _from_json(kept: dict[str, Any]) -> History:
    samples = tuple(
        Sample(
            work=work,
            run=kept["run"],
            took=Timing(load_s=load_s, compute_s=compute_s, store_s=store_s, bytes_out=size),
        )
        for work, all_took in ((Work(**fields), took) for fields, took in kept["seen"])
        for load_s, compute_s, store_s, size in all_took
    )
    return History(samples=samples, runs=tuple(EarlierRun(**run) for run in kept["runs"]))


def _work(row: dict[str, Any]) -> Work:
    return Work(
        stage=row["stage"],
        kind=row["kind"],
        model=row["model"],
        device=row["device"],
        pixels=row["width"] * row["height"],
        frames=row["frames"],
    )


def _took(row: dict[str, Any]) -> Timing:
    return Timing(
        load_s=row["load_s"],
        compute_s=row["compute_s"],
        store_s=row["store_s"],
        bytes_out=row["bytes_out"],
    )


def _earlier_run(record: dict[str, Any], rows: Sequence[dict[str, Any]]) -> EarlierRun | None:
    """A run's record compared with its receipts; None for one that is not typical."""
    if record.get("state") not in GOOD or not record.get("render_s"):
        return None
    if any(shot.get("retries") for shot in record["shots"]) or record.get("quarantined"):
        return None
    workers = {(row["node"], row["worker"]) for row in rows}
    played = _play(rows, len(workers))
    return EarlierRun(
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
    took = [_took(row) for row in rows]

    def seconds(shot: tuple[str, dict[str, list[int]]]) -> float:
        return sum(took[item].seconds for items in shot[1].values() for item in items)

    steps = [
        tuple(
            Step(
                pool=_pool(rows[items[0]], pools),
                group=f"{shot}/{stage}",
                locked=stage != "encode",
                items=tuple(items),
            )
            for stage, items in sorted(stages.items(), key=lambda pair: pair[0] == "encode")
        )
        for shot, stages in sorted(shots.items(), key=seconds, reverse=True)
    ]
    return makespan_s(steps, took, workers=pools, at_once=shots_at_once(workers))


def _pools(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many workers of each device type a run had."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        found[GPU if row["device"] == "cuda" else CPU].add((row["node"], row["worker"]))
    return {pool: len(workers) for pool, workers in found.items()}


def _pool(row: dict[str, Any], pools: dict[str, int]) -> str:
    return GPU if row["device"] == "cuda" else next(iter({CPU: 0} if CPU in pools else pools))
