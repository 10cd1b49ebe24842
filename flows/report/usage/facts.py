"""What the store says of a time: receipts, records of runs, decisions of people, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.ledger.history import read_history
from cluster.store.base import Store
from cluster.store.records import read_if_whole, shape
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
T = TypeVar("T")


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

        def read(names: Iterable[str], make: Callable[[Any], T]) -> list[T]:
            then = "it is not counted"
            made = readers.map(lambda name: read_if_whole(store, name, make, then=then), names)
            return [each for each in made if each is not None]

        inside = f"{episode}/" if episode else ""
        runs = read(
            (
                entry.name
                for entry in store.list(f"runs/{inside}")
                if _began_before(entry.name, until) and entry.modified >= since
            ),
            _run_fact,
        )
        decisions = read(
            (
                entry.name
                for entry in store.list(f"reviews/{inside}")
                if "/decisions/" in entry.name and entry.modified >= since
            ),
            _decision,
        )
        failures = read(
            (entry.name for entry in store.list(f"{FAILURES}{inside}") if entry.modified >= since),
            _failure_fact,
        )
    return Facts(
        store=store.url,
        since=since,
        until=until,
        receipts=read_history(store, columns=READ, since=since, until=until, episode=episode),
        runs=tuple(_inside(runs, since, until)),
        decisions=tuple(each for each in decisions if since <= moment_of(each.at) < until),
        failures=tuple(_inside(failures, since, until)),
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


def _inside(found: Iterable[Any], since: datetime, until: datetime) -> Sequence[Any]:
    return sorted((each for each in found if since <= each.at < until), key=lambda each: each.at)


def _run_fact(document: dict[str, Any]) -> RunFact:
    """A run from its record, also one of an older douga. It counts when it ended."""
    shots = document["shots"]
    ended = document.get("ended_at") or document.get("began_at")
    began = run_moment(document["run"])
    fact = {
        "episode": document["episode"],
        "run": document["run"],
        "at": moment_of(ended) if ended else began or datetime.min.replace(tzinfo=UTC),
        "state": document.get("state", "done"),
        "has_film": bool(document["film"]),
        "film_s": document.get("film_s", 0.0),
        "computed": document["chunks_computed"],
        "reused": document["chunks_reused"],
        "shots": [shot["id"] for shot in shots],
        "failed": [shot["id"] for shot in shots if shot["state"] == "failed"],
    }
    return shape(RunFact)(fact)


def _decision(document: dict[str, Any]) -> Decision:
    decision = shape(Decision)(document)
    moment_of(decision.at)
    return decision


def _failure_fact(document: dict[str, Any]) -> FailureFact:
    return shape(FailureFact)({**document, "at": moment_of(document["at"])})
