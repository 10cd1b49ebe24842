"""What the store says of a time: receipts, records of runs, decisions of people, failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cluster.ledger.history import read_history
from cluster.store.base import NotStored, Store
from flows.plan.decisions import Decision
from flows.runs.failure import PREFIX as FAILURES

if TYPE_CHECKING:
    import pyarrow as pa

READ = (
    *("run", "episode", "shot", "stage", "device", "worker", "node", "gpu", "threads"),
    *("load_s", "compute_s", "store_s", "bytes_out", "retries", "reused", "frames"),
    *("began_at", "finished_at"),
)
READERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFact:
    """A run by its record. `film_s` is 0 where it does not say for how long its film is shown."""

    episode: str
    run: str
    at: datetime
    state: str
    has_film: bool
    film_s: float
    computed: int
    reused: int
    shots: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFact:
    """A shot that failed in a run, and why in one line."""

    at: datetime
    episode: str
    shot: str
    run: str
    stage: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that lies in `[since, until)`; `receipts` has the columns of READ."""

    store: str
    since: datetime
    until: datetime
    receipts: pa.Table
    runs: tuple[RunFact, ...]
    decisions: tuple[Decision, ...]
    failures: tuple[FailureFact, ...]


def gather_facts(store: Store, *, since: datetime, until: datetime, episode: str = "") -> Facts:
    """What the store says of a time, of one episode if named. StoreError if it cannot be read."""
    with ThreadPoolExecutor(max_workers=READERS) as readers:

        def read(names: Iterable[str]) -> list[dict[str, Any]]:
            return [found for found in readers.map(lambda name: _read(store, name), names) if found]

        inside = f"{episode}/" if episode else ""
        runs = read(
            entry.name
            for entry in store.list(f"runs/{inside}")
            if _began_before(entry.name, until) and entry.modified >= since
        )
        decisions = read(
            entry.name
            for entry in store.list(f"reviews/{inside}")
            if "/decisions/" in entry.name and entry.modified >= since
        )
        failures = read(
            entry.name for entry in store.list(f"{FAILURES}{inside}") if entry.modified >= since
        )
    return Facts(
        store=store.url,
        since=since,
        until=until,
        receipts=read_history(store, columns=READ, since=since, until=until, episode=episode),
        runs=tuple(_inside(map(_run_fact, runs), since, until)),
        decisions=tuple(
            decision
            for each in decisions
            if since <= moment_of((decision := Decision(**each)).at) < until
        ),
        failures=tuple(_inside(map(_failure_fact, failures), since, until)),
    )


def moment_of(text: str) -> datetime:
    """A moment as our records write it; one without a zone is UTC's."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run_moment(run: str) -> datetime | None:
    """When a run began, by its name."""
    try:
        return datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _began_before(name: str, until: datetime) -> bool:
    began = run_moment(name.rpartition("/")[2])
    return began is None or began < until


def _read(store: Store, name: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(store.get(name))
    except NotStored:
        return None
    return document


def _inside(found: Iterable[Any], since: datetime, until: datetime) -> Sequence[Any]:
    return sorted((each for each in found if since <= each.at < until), key=lambda each: each.at)


def _run_fact(document: dict[str, Any]) -> RunFact:
    """A run from its record, also one of an older douga. It counts when it ended."""
    shots = document["shots"]
    ended = document.get("ended_at") or document.get("began_at")
    began = run_moment(document["run"])
    return RunFact(
        episode=document["episode"],
        run=document["run"],
        at=moment_of(ended) if ended else began or datetime.min.replace(tzinfo=UTC),
        state=document.get("state", "done"),
        has_film=bool(document["film"]),
        film_s=document.get("film_s", 0.0),
        computed=document["chunks_computed"],
        reused=document["chunks_reused"],
        shots=tuple(shot["id"] for shot in shots),
        failed=tuple(shot["id"] for shot in shots if shot["state"] == "failed"),
    )


def _failure_fact(document: dict[str, Any]) -> FailureFact:
    return FailureFact(
        at=moment_of(document["at"]),
        episode=document["episode"],
        shot=document["shot"],
        run=document["run"],
        stage=document["stage"],
        error=document["error"],
    )
