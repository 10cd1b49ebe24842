"""What a store knows of a run or a night: in progress, died or ended, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from cluster.store.base import NotStored, Store
from cluster.store.records import DamagedRecord, note_damage, read_record, shape
from flows.runs.document import unpack_document
from flows.runs.night import Night
from flows.runs.outcome import Outcome
from flows.runs.record import (
    BEGUN,
    TOLD,
    RunStart,
    no_result,
    process_start,
    run_start,
    this_machine,
)
from flows.runs.result import EpisodeResult, ShotLine

HEARTBEAT_TIMEOUT = timedelta(minutes=3)
"""Without a sign of life for so long, a run on another machine counts as dead."""
RUNS, NIGHTS = "runs/", "nights/"
RUNNING, DIED = "running", "died"
"""States of what has not ended."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run or a night as it stands. `exit_code` is None while it is in progress; `document` is
    what it came to, with all fields of one of its kind except for a night that has not ended."""

    place: str
    state: str
    exit_code: int | None
    error: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The episode's or the nightly's name."""
        return self.place.split("/")[1]

    @property
    def run(self) -> str:
        """The run's or the night's name."""
        return self.place.split("/")[2]

    @property
    def is_night(self) -> bool:
        """Whether it is a night of several episodes."""
        return self.place.startswith(NIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEnd:
    """What a record says of an end; a state of None, with an exit code or without one, is of an
    earlier version, or of what has not ended."""

    state: str | None = None
    exit_code: int | None = None
    error: str = ""


def read_status(store: Store, place: str, *, claim: str = "") -> RunStatus | None:
    """What the store says of PLACE; None where it has never heard of it.

    `claim` is the record by which it took a job, which may be there a moment before its beginning.
    DamagedRecord where its record is damaged.
    """
    damaged: DamagedRecord | None = None
    try:
        begun = _begun(store, place)
    except DamagedRecord as error:
        begun, damaged = None, error
    try:
        return read_record(store, f"{place}.json", partial(_ended, store, place))
    except NotStored:
        pass
    if begun is None and claim and (taken := _dated(store, claim, _claimed)):
        begun = taken[0], RecordedEnd(), taken[1]
    if begun is None and damaged is not None:
        raise damaged
    return None if begun is None else _unended(store, place, *begun)


def known_status(store: Store, place: str, *, claim: str = "") -> RunStatus | None:
    """The same for who can do without: None, with a note, also where the record is damaged."""
    try:
        return read_status(store, place, claim=claim)
    except DamagedRecord as error:
        note_damage(error, then="how that run ended is not known")
        return None


def result_of(document: dict[str, Any]) -> EpisodeResult:
    """The result of a run from its record, or from `render --json`."""
    known = {each.name for each in fields(EpisodeResult)}
    given = {name: _tupled(value) for name, value in document.items() if name in known}
    line = {each.name for each in fields(ShotLine)}
    shots = [{name: each[name] for name in line if name in each} for each in document["shots"]]
    return EpisodeResult(**{**given, "shots": tuple(ShotLine(**shot) for shot in shots)})


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def places(store: Store, kind: str = "") -> list[str]:
    """All runs and nights that a store knows, or those under `runs/` or `runs/EPISODE/` alone, in
    order of their names: the newest last."""
    # First what is in progress: what ends in between is then in both.
    begun = [name.removeprefix(BEGUN) for name in _names(store, f"{BEGUN}{kind}")]
    kinds = [kind] if kind else [RUNS, NIGHTS]
    ended = [name for each in kinds for name in _names(store, each)]
    # Beside a night lie the words of people on it, as NIGHT.accepted.KEY.json.
    found = {n for n in (*begun, *ended) if n.count("/") == 2 and "." not in n.rpartition("/")[2]}
    return sorted(found, key=lambda place: (place.rpartition("/")[2], place))


def living_runs(store: Store, episode: str) -> list[str]:
    """The runs of an episode that have begun, not ended, and live."""
    names = [stored.name for stored in store.list(f"{BEGUN}{RUNS}{episode}/")]
    found = (known_status(store, name[len(BEGUN) :].removesuffix(".json")) for name in names)
    return [status.run for status in found if status and status.state == RUNNING]


def is_alive(begun: RunStart, sign: datetime, *, now: datetime) -> bool:
    """Whether what began lives, by its last `sign` of life; of a process of this machine, which can
    be looked for, it is known at once that it does not."""
    here = begun.machine and begun.machine == this_machine()
    if here and process_start(begun.process) != begun.start:
        return False
    return now - sign < HEARTBEAT_TIMEOUT


def _names(store: Store, prefix: str) -> Iterator[str]:
    for entry in store.list(prefix):
        if entry.name.endswith(".json"):
            yield entry.name.removesuffix(".json")


def _begun(store: Store, place: str) -> tuple[RunStart, RecordedEnd, datetime] | None:
    found = _dated(store, f"{BEGUN}{place}.json", beginning)
    return None if found is None else (*found[0], found[1])


def _dated(store: Store, name: str, make: Callable[[Any], T]) -> tuple[T, datetime] | None:
    """A record, and when it was put by the store's clock; None where it is not there."""
    for entry in store.list(name):
        if entry.name == name:
            try:
                return read_record(store, name, make), entry.modified
            except NotStored:
                return None
    return None


def _claimed(document: Any) -> RunStart:
    return run_start(document["begun"])


def beginning(document: Any) -> tuple[RunStart, RecordedEnd]:
    """What the record of a beginning holds."""
    return run_start(document), shape(RecordedEnd)(document)


def _ended(store: Store, place: str, document: dict[str, Any]) -> RunStatus:
    end = shape(RecordedEnd)(document)
    # Earlier versions recorded a run's state without its exit code, a night's the other way round.
    state, code = end.state, end.exit_code
    if state is None:
        state = Outcome.of_exit(code or 0).recorded
    exit_code = int(Outcome(state).exit_code if code is None else code)
    if place.startswith(NIGHTS):
        _, nightly, night = place.split("/")
        blank = {"nightly": nightly, "night": night, "began_at": "", "ended_at": ""}
        document = {**blank, **document}
        Night.from_json(document)
    else:
        Outcome(state)
        document = whole_run(store.url, document)
    return RunStatus(
        place=place, state=state, exit_code=exit_code, error=end.error, document=document
    )


def whole_run(url: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document of a run that ended from its record, with all fields also where an earlier
    version recorded it. An error of `records.UNFIT` where it is none."""
    document = unpack_document(document)
    blank = no_result(url, document["episode"], document["run"])
    whole = {**asdict(blank), "shots": document["shots"], **document}
    shape(EpisodeResult)(whole)
    return whole


def _unended(
    store: Store, place: str, begun: RunStart, end: RecordedEnd, sign: datetime
) -> RunStatus:
    state, exit_code, error = end.state, end.exit_code, end.error
    if state is None and is_alive(begun, sign, now=store.now()):
        state = RUNNING
    elif state is None:
        state, exit_code = DIED, Outcome(DIED).exit_code
        again = f"; run the same again: {begun.command}" if begun.command else ""
        error = (
            f"died: process {begun.process} on {begun.host} gives no sign of life; what was "
            f"finished is kept{again}"
        )
    document: dict[str, Any] = {}
    _, name, run = place.split("/")
    if place.startswith(RUNS):
        document = asdict(no_result(store.url, name, run))
    else:
        document = {"nightly": name, "night": run}
    told = asdict(begun)
    kept = {each: told[each] for each in TOLD}
    document |= {**kept, "state": state, "exit_code": exit_code, "error": error}
    document["shots_to_render"] = begun.shots
    return RunStatus(
        place=place,
        state=state,
        exit_code=None if exit_code is None else int(exit_code),
        error=error,
        document=document,
    )
