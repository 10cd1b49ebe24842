"""One submission from the queue to its film, in the process that Prefect started for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed, Scheduled

from cluster.errors import Exit, explained, unwritable
from cluster.settings import foreign, home_folder, settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.prefect.embedded import is_own
from flows.process import ended_by_signals
from flows.progress import Plain, Reporter, one_line
from flows.queue.files import RECEIVED, forget_files, receive
from flows.queue.submission import (
    DELIVERED,
    Submission,
    SubmissionEnd,
    end_submission,
    read_end,
    read_submission,
)
from flows.runs.record import told_of
from flows.runs.result import EpisodeResult
from flows.spec.allowed_paths import check_allowed
from flows.spec.request import RenderRequest

LOOK_EVERY_S = 5.0
"""Between two looks at whether somebody paused or cancelled the run."""
Render = Callable[[RenderRequest, Reporter, str], EpisodeResult]


def render_submitted(asked: dict[str, Any], render: Render) -> State[Any] | dict[str, Any]:
    """Render a submission and put on record what came of it: the result's JSON, or the state in
    which the flow ends.

    One that is paused, or whose farm is shut down, keeps what it has finished, and goes on from
    there when its turn comes again.
    """
    reporter = Plain()
    if not _is_own_farm():
        _hold_to_folders()
    store = open_store(check_allowed(str(asked["store"])))
    submission = read_submission(store, str(asked["submitted"]))
    if (end := read_end(store, submission.name)) is not None:
        return _known(end)
    try:
        with ended_by_signals(), _watched(UUID(flow_run.get_id())):
            request = receive(submission, store, reporter, film=_film_of(submission))
            request = request.model_copy(update={"ray": settings().ray})
            result = render(request, reporter, submission.job)
    except KeyboardInterrupt:
        return _stopped(store, submission)
    except Exception as error:
        ours = explained(error)
        _end(store, submission, state="failed", code=ours.exit_code, error=one_line(str(ours)))
        raise
    return _ended(store, submission, result, request.command)


def _is_own_farm() -> bool:
    """Whether whoever handed it in is this user, on this machine: its paths are theirs."""
    return is_own(foreign("PREFECT_API_URL"))


def _hold_to_folders() -> None:
    """Let the paths of a submission lead nowhere but into the folders of DOUGA_ROOTS, and into
    those of this machine's home that are made for it."""
    own = [str(home_folder(name)) for name in (RECEIVED, "films", "store")]
    os.environ["DOUGA_ROOTS"] = os.pathsep.join(filter(None, [settings().roots, *own]))
    settings.cache_clear()


def _film_of(submission: Submission) -> Path:
    """Where the film of a submission goes: to its sender's own place where that is here, else to
    where this machine keeps films, named as its sender named it."""
    asked = Path(str(submission.request["output"]))
    if _is_own_farm():
        return asked
    film = home_folder("films") / submission.episode / asked.name
    try:
        film.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(film.parent, error, remedy="set DOUGA_HOME") from error
    return film


def _ended(
    store: Store, submission: Submission, result: EpisodeResult, command: str
) -> State[Any] | dict[str, Any]:
    state, code, error = told_of(result, command=command)
    film = ""
    if result.film and not _is_own_farm():
        film = f"{DELIVERED}{submission.episode}/{result.run}/{Path(result.film).name}"
        store.put_file(film, Path(result.film), if_absent=True)
    _end(store, submission, state=state, code=code, error=error, run=result.run, film=film)
    forget_files(submission)
    if code in (Exit.GOOD, Exit.REFUSED):
        return result.to_json()
    return Failed(message=error or state)


def _end(
    store: Store,
    submission: Submission,
    *,
    state: str,
    code: int,
    error: str = "",
    run: str = "",
    film: str = "",
) -> None:
    now = datetime.now(UTC).isoformat()
    end = SubmissionEnd(state=state, exit_code=int(code), at=now, run=run, film=film, error=error)
    end_submission(store, submission.name, end)


def _known(end: SubmissionEnd) -> State[Any] | dict[str, Any]:
    """The state of a flow whose submission has ended already."""
    if end.exit_code == Exit.INTERRUPTED:
        return Cancelled(message=end.error)
    if end.exit_code in (Exit.GOOD, Exit.REFUSED):
        return {"state": end.state, "run": end.run, "film": end.film}
    return Failed(message=end.error or end.state)


def _stopped(store: Store, submission: Submission) -> State[Any]:
    """What a run that was told to stop ends in: cancelled where that is on record, paused where
    Prefect says so, else it waits for its turn again, for its farm is shutting down."""
    if (end := read_end(store, submission.name)) is not None:
        forget_files(submission)
        return Cancelled(message=end.error)
    run = UUID(flow_run.get_id())
    state = _state_of(run)
    if state is not None and state.is_paused():
        raise Pause(state=state)
    with get_client(sync_client=True) as client:
        again: State[Any] = Scheduled(message="its farm was shut down; it goes on from there")
        answer = client.set_flow_run_state(run, again, force=True)
    raise Pause(state=answer.state)


def _state_of(run: UUID) -> State[Any] | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).state


@contextmanager
def _watched(run: UUID) -> Iterator[None]:
    """For the length of a `with`, the process is told to stop when its run is paused or cancelled.
    A server that is slow or away pauses nothing."""
    over, main = threading.Event(), threading.main_thread().ident

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            with suppress(Exception):
                state = _state_of(run)
                if state and (state.is_paused() or state.is_cancelling()) and not over.is_set():
                    signal.pthread_kill(main or 0, signal.SIGTERM)
                    return

    thread = threading.Thread(target=watch, name="orders", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
