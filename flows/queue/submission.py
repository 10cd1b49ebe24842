"""What was handed to the farm: on record in the episode's store, whatever becomes of Prefect.

`submitted/JOB/0001.json` is what is to be rendered, `submitted/JOB/0001.ended.json` what came of
it. Both are put once and never overwritten; a job that ended other than well may be handed in
again, as `0002.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cluster.errors import Exit, UsageError
from cluster.keys import make_key
from cluster.settings import user_name
from cluster.store.base import Store
from cluster.store.records import read_if_whole, read_record, record_text, shape
from flows.farm.shares import Queue
from flows.runs.job import KEY_BYTES, asked_of, job_folder
from flows.spec.request import RenderRequest

SUBMITTED = "submitted/"
ENDED = ".ended.json"
DELIVERED = "delivered/"
"""Films of submissions, for whoever fetches them: `delivered/EPISODE/RUN/NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file that a request names, as the store has it: `path` is where the sender had it."""

    path: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An episode that was handed to the farm. `request` is a RenderRequest as plain data, with the
    sender's own paths; `files` are those of them that were sent. Times are ISO 8601 in UTC."""

    job: str
    attempt: int
    episode: str
    request: Mapping[str, Any]
    files: tuple[SentFile, ...] = ()
    queue: Queue = "day"
    weight: float = 1.0
    deadline: str = ""
    by: str = ""
    at: str = ""

    @property
    def name(self) -> str:
        """Its object in the store."""
        return f"{_folder(self.job)}{self.attempt:04}.json"

    @property
    def store(self) -> str:
        """The URL of the store that the episode is rendered in."""
        return str(self.request["store"])

    @property
    def asked(self) -> str:
        """What stands for all that is asked for."""
        return asked_of(RenderRequest.model_validate(self.request))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEnd:
    """What came of a submission: the exit code of its render, or that `by` cancelled it."""

    state: str
    exit_code: int
    at: str
    run: str = ""
    film: str = ""
    by: str = ""
    error: str = ""


def new_submission(
    request: RenderRequest,
    files: tuple[SentFile, ...],
    *,
    job: str = "",
    queue: Queue = "day",
    weight: float = 1.0,
    deadline: str = "",
) -> Submission:
    """A submission of this moment by this user; its job is named after the episode and the time
    where it has no key of its own."""
    now = datetime.now(UTC)
    return Submission(
        job=job or _job_of(request.episode.name, now),
        attempt=1,
        episode=request.episode.name,
        request=request.model_dump(mode="json"),
        files=files,
        queue=queue,
        weight=weight,
        deadline=deadline,
        by=user_name(),
        at=now.isoformat(),
    )


def _job_of(episode: str, now: datetime) -> str:
    """A job named after an episode and the time; a long name, or one of other than plain letters,
    may take more room than a job key has."""
    moment = f"{now:%Y%m%d-%H%M%S-%f}"[:-3]
    fits = len(quote(f"{episode}-{moment}", safe="")) <= KEY_BYTES
    return f"{episode if fits else make_key(episode)[:12]}-{moment}"


def hand_in(store: Store, made: Submission) -> tuple[Submission, SubmissionEnd | None]:
    """Put a submission on record. What stands for its job, and its end: of one that was handed in
    before, and waits, renders or was done well, nothing is put.

    UsageError where the job's key stands for something else.
    """
    while True:
        last, end = newest(store, made.job)
        if last is not None:
            again = end is not None and end.exit_code != Exit.GOOD
            if last.asked != made.asked and not (again and last.episode == made.episode):
                raise UsageError(
                    f"the job {made.job!r} is another request: it was submitted by {last.by} at "
                    f"{last.at[:16]}",
                    where="--job",
                    remedy="take another key for this one",
                )
            if not again:
                return last, end
            made = replace(made, attempt=last.attempt + 1)
        store.put(made.name, record_text(asdict(made)).encode(), if_absent=True)
        put = read_submission(store, made.name)
        if (put.by, put.at) == (made.by, made.at):
            return put, None


def end_submission(store: Store, name: str, end: SubmissionEnd) -> None:
    """Put on record what came of a submission; the first end stands."""
    store.put(end_name(name), record_text(asdict(end)).encode(), if_absent=True)


def read_submission(store: Store, name: str) -> Submission:
    """A submission by its object's name. NotStored, DamagedRecord."""
    return read_record(store, name, shape(Submission))


def read_end(store: Store, name: str) -> SubmissionEnd | None:
    """What came of the submission at `name`; None where it has not ended."""
    return read_if_whole(store, end_name(name), shape(SubmissionEnd), then="it counts as not ended")


def newest(store: Store, job: str) -> tuple[Submission | None, SubmissionEnd | None]:
    """The newest submission of a job, and its end."""
    name = max((each for each in _names(store, _folder(job))), default="")
    return (read_submission(store, name), read_end(store, name)) if name else (None, None)


def waiting_submissions(store: Store) -> Iterator[Submission]:
    """What was handed in and has not ended, the oldest first; one that is damaged is told of."""
    listed = [stored.name for stored in store.list(SUBMITTED)]
    ended = {name for name in listed if name.endswith(ENDED)}
    open_ones = [name for name in listed if is_submission(name) and end_name(name) not in ended]
    found = (
        read_if_whole(store, name, shape(Submission), then="it is not queued") for name in open_ones
    )
    yield from sorted((one for one in found if one), key=lambda one: one.at)


def is_submission(name: str) -> bool:
    """Whether an object of the store is a submission, not the end of one."""
    return name.startswith(SUBMITTED) and not name.endswith(ENDED)


def end_name(name: str) -> str:
    """Where the end of the submission at `name` is kept."""
    return f"{name.removesuffix('.json')}{ENDED}"


def _names(store: Store, folder: str) -> list[str]:
    return [stored.name for stored in store.list(folder) if is_submission(stored.name)]


def _folder(job: str) -> str:
    return f"{SUBMITTED}{job_folder(job).partition('/')[2]}"
