"""A run is on record from its beginning: who began it and where, whether it lives, how it ended.

`begun/PLACE.json` is put when it begins and again every HEARTBEAT_S as a sign of life; `PLACE.json`
when it ends, with all of the first in it, and only then the first goes. PLACE is
`runs/EPISODE/RUN`, or `nights/NIGHTLY/NIGHT` for a night. What is begun, not ended and gives no
sign of life any more has died. `flows.runs.state` reads what is written here.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.errors import DougaError, Exit, StoreError, explained
from cluster.store.base import Store
from cluster.store.lease import Lease, hold_lease
from cluster.store.records import record_text, shape
from flows.progress import one_line
from flows.runs.document import pack_document
from flows.runs.failure import strike_secrets
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult, shots_failed, waits_for_review

BEGUN = "begun/"
TOLD = ("command", "folder", "job", "host", "process", "began_at")
"""What of its beginning is also in the record of its end."""
HEARTBEAT_S = 30.0
"""Between two signs of life; after six without one a run is dead (HEARTBEAT_TIMEOUT)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What is known of a run when it begins.

    `machine` names a boot and a process namespace of Linux, within which `process` and its `start`
    (clock ticks since boot) name one process; both are empty elsewhere. `began_at` is ISO 8601 in
    UTC. `shots` is how many are to be rendered, 0 until that is known. `folder` is where the
    command was typed, empty in records of earlier versions.
    """

    place: str
    command: str
    job: str
    host: str
    process: int
    machine: str
    start: str
    began_at: str
    shots: int = 0
    folder: str = ""


def new_run_start(place: str, *, command: str = "", job: str = "") -> RunStart:
    """What this process puts on record when it begins something."""
    return RunStart(
        place=place,
        command=strike_secrets(command),
        job=job,
        host=socket.gethostname(),
        process=os.getpid(),
        machine=this_machine(),
        start=process_start(os.getpid()),
        began_at=_now(),
        folder=_folder(),
    )


def run_start(document: Any) -> RunStart:
    """What `RunStart` was kept as."""
    begun = shape(RunStart)(document)
    datetime.fromisoformat(begun.began_at)
    kind, name, run = begun.place.split("/")
    if not (kind and name and run):
        raise ValueError(f"no place of a run: {begun.place}")
    return begun


def this_machine(proc: Path = Path("/proc")) -> str:
    """Within what a process's number means that process; empty where that cannot be said."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(proc / 'self/ns/pid')}"
    except OSError:
        return ""


def process_start(process: int, proc: Path = Path("/proc")) -> str:
    """When a process of this machine began, in ticks since boot (proc(5)); empty if it is gone."""
    try:
        fields = (proc / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Record:
    """Puts on record what happens in a `with`: `begin` it, then give its end to `ended`.

    Nothing is put before `begin`. An exception that leaves the `with` is recorded as the end, where
    the store still answers: in the run's own document if `blank` gives the fields of one, else in
    the object of its beginning, which then stays.
    """

    def __init__(
        self,
        store: Store,
        place: str,
        *,
        command: str = "",
        job: str = "",
        blank: dict[str, Any] | None = None,
    ) -> None:
        self.place = place
        self._store = store
        self._begun = new_run_start(place, command=command, job=job)
        self._blank = blank
        self._lease: Lease | None = None
        self._held = ExitStack()

    def __enter__(self) -> Record:
        return self

    def begin(self, *, shots: int = 0) -> None:
        """Put the beginning on record, or how many shots there are, once that is known."""
        self._begun = RunStart(**{**asdict(self._begun), "shots": shots})
        text = record_text(asdict(self._begun))
        if self._lease is not None:
            self._lease.update(text)
            return
        name = f"{BEGUN}{self.place}.json"
        lease = hold_lease(self._store, name, text=text, heartbeat_s=HEARTBEAT_S)
        self._lease = self._held.enter_context(lease)
        self._lease.keep = True

    def withdraw(self) -> None:
        """Take the beginning back, as if it had not been."""
        if self._lease is not None:
            self._lease.keep = False
        self._lease = None

    def ended(
        self, document: dict[str, Any], *, state: str, exit_code: int, error: str = ""
    ) -> None:
        """Put the end on record. StoreError if the store refuses."""
        whole = {**document, **self._end(state, exit_code, error)}
        text = strike_secrets(record_text(whole, default=str))
        self._store.put(f"{self.place}.json", text.encode())
        if self._lease is not None:
            self._lease.keep = False
        self._lease = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._held:
            if error is None or self._lease is None:
                return
            state, exit_code, line = _told(error)
            with suppress(StoreError):
                if self._blank is not None:
                    blank = {**self._blank, "wall_s": self._seconds()}
                    self.ended(blank, state=state, exit_code=exit_code, error=line)
                else:
                    end = self._end(state, exit_code, line)
                    self._lease.update(strike_secrets(record_text({**asdict(self._begun), **end})))

    def _end(self, state: str, exit_code: int, error: str) -> dict[str, Any]:
        known = asdict(self._begun)
        told = {name: known[name] for name in TOLD}
        end = {"state": state, "exit_code": int(exit_code), "error": error, "ended_at": _now()}
        return {**told, **end}

    def _seconds(self) -> float:
        began = datetime.fromisoformat(self._begun.began_at)
        return round((datetime.now(UTC) - began).total_seconds(), 3)


def run_record(store: Store, episode: str, run: str, *, command: str = "", job: str = "") -> Record:
    """The record of a render, at `runs/EPISODE/RUN`."""
    blank = asdict(no_result(store.url, episode, run))
    return Record(store, f"runs/{episode}/{run}", command=command, job=job, blank=blank)


def record_result(record: Record, result: EpisodeResult, *, command: str) -> None:
    """Put on record what a render came to."""
    state, exit_code, error = told_of(result, command=command)
    record.ended(pack_document(result.to_json()), state=state, exit_code=exit_code, error=error)


def told_of(result: EpisodeResult, *, command: str) -> tuple[str, Exit, str]:
    """A render's state in words, the exit code of its command, and the line that it ends with."""
    line = ""
    if result.failed:
        line = str(shots_failed(result, command))
    elif result.findings:
        line = result.findings[0]
    elif result.waiting:
        line = str(waits_for_review(result, command))
    return result.state, result.outcome.exit_code, line


def no_result(store: str, episode: str, run: str) -> EpisodeResult:
    """What a run that has not ended, or that an error ended, has come to: nothing."""
    return EpisodeResult(
        film=None,
        episode=episode,
        run=run,
        store=store,
        shots=(),
        frames_in=0,
        frames_out=0,
        chunks_computed=0,
        chunks_reused=0,
        wall_s=0.0,
        render_s=0.0,
        compute_s=0.0,
        verified=False,
    )


def _told(error: BaseException) -> tuple[str, int, str]:
    outcome = Outcome.of_error(error)
    if isinstance(error, DougaError):
        return outcome.recorded, error.exit_code, str(error)
    line = one_line(str(explained(error)))[:1000]
    if isinstance(error, KeyboardInterrupt):
        line = "stopped; what was finished is kept, run the same again"
    return outcome.recorded, outcome.exit_code, line


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # removed meanwhile
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
