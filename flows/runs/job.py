"""Job keys: the same key submitted twice makes one job, however many submit it at one moment.

`jobs/KEY/0001.json` says which run took the job; who puts it first has it. A job whose run failed,
died, was stopped, was refused or waits for people may be taken again, as `0002.json`, and so on:
nothing is ever overwritten. What may take a job is a render or a night. A night that is over and
failed verification or regressed is done; a film that did is rendered again, for it may be mended.
Of a claim that is damaged, the run is looked for among those that live; where there is none, the
job may be taken again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from cluster.errors import (
    DougaError,
    Exit,
    Interrupted,
    RefusedError,
    TimedOut,
    UsageError,
    VerifyError,
)
from cluster.keys import Key, make_key
from cluster.store.base import Store
from cluster.store.records import DamagedRecord, note_damage, read_record, record_text
from flows.progress import Reporter
from flows.runs.record import BEGUN, RunStart, new_run_start, run_start
from flows.runs.state import DIED, RUNNING, RunStatus, known_status, read_status
from flows.runs.wait import wait_for
from flows.spec.request import RenderRequest

JOBS = "jobs/"
KEY_BYTES = 150
"""Longest job key, as it is written in a name of the store."""
T = TypeVar("T")


class ClaimLost(DougaError):
    """Another run took the job: the store had let both believe that they were first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which run took a job, at which attempt. `asked` stands for everything that was asked for."""

    job: str
    attempt: int
    asked: str
    begun: RunStart

    @property
    def place(self) -> str:
        """`runs/EPISODE/RUN` or `nights/NIGHTLY/NIGHT`."""
        return self.begun.place

    @property
    def run(self) -> str:
        """The run's or the night's name."""
        return self.place.split("/")[2]

    @property
    def name(self) -> str:
        """The claim's object in the store."""
        return f"{job_folder(self.job)}{self.attempt:04}.json"

    def stands(self, store: Store) -> bool:
        """Whether it is this claim that the store has by now."""
        try:
            return read_claim(store, self.name).place == self.place
        except DamagedRecord as error:
            note_damage(error, then=f"{self.place} keeps the job")
            return True


def once(
    job: str,
    *,
    store: Store,
    place: str,
    asked: str,
    command: str,
    act: Callable[[Claim], T],
    recall: Callable[[RunStatus], T],
    reporter: Reporter,
) -> T:
    """Do what a job asks for, or wait for the run that does it already.

    `act` does it under the claim's own name, at `place`; it must put itself on record there at
    once. `recall` makes the same of the record of a run that took the job before and ended well,
    or that ends, in whatever way, while this waits for it.
    UsageError where the key was used for something else. What `act` raises.
    """
    while True:
        claim, mine = take_job(store, job, place=place, asked=asked, command=command)
        if mine:
            try:
                return act(claim)
            except ClaimLost:
                continue
        status = read_status(store, claim.place, claim=claim.name)
        if status is None or status.exit_code is None:
            reporter.phase(
                f"job {job} is {claim.place.removeprefix('runs/')}, begun at "
                f"{claim.begun.began_at[:19]} by process {claim.begun.process} on "
                f"{claim.begun.host}; waiting for it"
            )
            status = wait_for(store, claim.place, reporter, claim=claim.name)
            if status.state == DIED:
                continue
        else:
            reporter.phase(f"job {job} was done by {claim.place.removeprefix('runs/')}")
        return recall(status)


def take_job(store: Store, job: str, *, place: str, asked: str, command: str) -> tuple[Claim, bool]:
    """The claim that stands for a job, and whether it is ours, for what is to be at `place`.

    A claim whose run ended other than well is followed by a new one. UsageError where the standing
    one is for something else.
    """
    while True:
        last, attempt = _newest_claim(store, job, asked=asked)
        if last is not None:
            status = known_status(store, last.place, claim=last.name)
            again = status is None or (status.exit_code is not None and not _is_done(status))
            _check_same(last, place=place, asked=asked, mended=again)
            if not again:
                return last, False
        begun = new_run_start(place, command=command, job=job)
        claim = Claim(job=job, attempt=attempt, asked=asked, begun=begun)
        text = record_text({**asdict(claim), "begun": asdict(begun)}).encode()
        store.put(claim.name, text, if_absent=True)
        if read_claim(store, claim.name).begun == begun:
            return claim, True


def _is_done(status: RunStatus) -> bool:
    return status.exit_code == Exit.GOOD or (status.is_night and status.exit_code == Exit.WANTING)


def _newest_claim(store: Store, job: str, *, asked: str) -> tuple[Claim | None, int]:
    """The newest claim on a job, and the number of the next; where it is damaged, that of the run
    that lives and was begun for this job."""
    name = _newest_name(store, job)
    if not name:
        return None, 1
    attempt = int(name[len(job_folder(job)) :].removesuffix(".json"))
    try:
        return read_claim(store, name), attempt + 1
    except DamagedRecord as error:
        note_damage(error, then=f"job {job} may be taken again")
    for entry in store.list(BEGUN):
        place = entry.name.removeprefix(BEGUN).removesuffix(".json")
        status = known_status(store, place)
        if status is not None and status.state == RUNNING and status.document["job"] == job:
            begun = read_record(store, entry.name, run_start)
            return Claim(job=job, attempt=attempt, asked=asked, begun=begun), attempt + 1
    return None, attempt + 1


def last_claim(store: Store, job: str) -> Claim | None:
    """The newest claim on a job; None where nobody ever took it. DamagedRecord where it says
    nothing."""
    name = _newest_name(store, job)
    return read_claim(store, name) if name else None


def _newest_name(store: Store, job: str) -> str:
    folder = job_folder(job)
    names = [entry.name for entry in store.list(folder)]
    numbered = (name for name in names if name[len(folder) :].removesuffix(".json").isdecimal())
    return max(numbered, default="")


def read_claim(store: Store, name: str) -> Claim:
    """A claim by its object's name."""
    return read_record(store, name, claim_of)


def claim_of(document: Any) -> Claim:
    """The claim that a record holds."""
    return Claim(
        job=str(document["job"]),
        attempt=int(document["attempt"]),
        asked=str(document["asked"]),
        begun=run_start(document["begun"]),
    )


def all_jobs(store: Store) -> set[str]:
    """Every job key that was ever used."""
    return {unquote(entry.name.split("/")[1]) for entry in store.list(JOBS)}


def job_folder(job: str) -> str:
    """Where the claims of a job lie. UsageError for a key that cannot be one."""
    name = quote(job, safe="")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if not name or len(name) > KEY_BYTES:
        raise UsageError(
            f"a job key has 1 to {KEY_BYTES} characters, fewer if they are not plain letters and "
            f"digits; this one takes {len(name)}",
            where="--job",
            remedy="name the build or the commit, for example nightly-1287",
        )
    return f"{JOBS}{name}/"


def asked_of(request: RenderRequest) -> Key:
    """What stands for a render's request: everything but where it is run."""
    steps = {"__all__": {"needs"}}
    shots = {"__all__": {"needs": True, "recipe": steps}}
    episode = {"needs": True, "recipe": steps, "shots": shots}
    where: Any = {"command": True, "ray": True, "workers": True, "episode": episode}
    return make_key(request.model_dump(mode="json", exclude=where))


def error_of(status: RunStatus) -> DougaError:
    """The error that a run ended with, as if it had been ours."""
    kinds: dict[int | None, type[DougaError]] = {
        Exit.WANTING: VerifyError,
        Exit.REFUSED: RefusedError,
        Exit.USAGE: UsageError,
        Exit.TIMEOUT: TimedOut,
        Exit.INTERRUPTED: Interrupted,
    }
    return kinds.get(status.exit_code, DougaError)(
        status.error or status.state, where=f"run {status.run}"
    )


def _check_same(last: Claim, *, place: str, asked: str, mended: bool) -> None:
    """A job that failed may be asked for again with its episode mended; else nothing may differ."""
    kind, name, _ = last.place.split("/")
    if last.asked == asked or (mended and [kind, name] == place.split("/")[:2]):
        return
    what = "other options" if [kind, name] == place.split("/")[:2] else f"{name}, not this"
    raise UsageError(
        f"the job {last.job!r} is another request: it was submitted for {what} "
        f"({last.begun.command or last.place})",
        where="--job",
        remedy="take another key for this one",
    )
