"""`douga submit`: an episode handed to the farm."""

from __future__ import annotations

import socket
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import Exit, UsageError, shortly
from flows.commands.options import RenderOptions, check_folder, spread_options
from flows.commands.queue import queue_named
from flows.commands.tools import AsJson, print_json
from flows.commands.wait import exit_as

if TYPE_CHECKING:
    from flows.progress import Reporter
    from flows.queue.ask import Ask
    from flows.queue.submission import Submission, SubmissionEnd
    from flows.queue.work_pool import FarmNote


@spread_options(
    *(
        *("source", "output", "stages", "recipe", "store", "workers", "chunk", "encoder"),
        *("quality", "fps", "shots", "frames", "preview_every"),
    )
)
def submit(
    *,
    options: RenderOptions,
    queue: Annotated[str, typer.Option("--queue", help="urgent, day or night")] = "",
    deadline: Annotated[
        str,
        typer.Option("--deadline", help="18:00, 8h or 2026-12-24T18:00, to be shown"),
    ] = "",
    job: Annotated[
        str, typer.Option("--job", help="submitted again with the same key, it is done once")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="wait for its end, and fetch the film here")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be sent")] = False,
    as_json: AsJson = False,
) -> None:
    """Hand an episode to the farm: its files go to the store, its render begins when it is due."""
    from cluster.settings import settings
    from cluster.store.open import open_store
    from flows.commands.tables.queue import say_submitted
    from flows.progress import make_reporter
    from flows.queue.ask import asking
    from flows.queue.files import send_files
    from flows.queue.submission import hand_in, new_submission
    from flows.runs.stores import remember_store

    chosen = settings()
    asked = queue_named(queue or chosen.queue)
    due = _deadline(deadline) if deadline else ""
    request = options.request().model_copy(update={"ray": ""})
    if wait:
        check_folder(options.output, option="-o")
    store = open_store(request.store)
    with make_reporter() as reporter, asking() as ask:
        from flows.queue.orders import check_key, standing_runs, take_in
        from flows.queue.wait import wait_for_end
        from flows.queue.work_pool import read_farm

        farm: FarmNote = ask(read_farm())
        _check_store(request.store, farm)
        settled, files = send_files(request, store, reporter, shared=farm.shared, dry_run=dry_run)
        if dry_run:
            document: dict[str, Any] = {
                "episode": settled.episode.name,
                "files": [asdict(each) for each in files],
            }
            print_json(document, "submit") if as_json else say_submitted(document)
            return
        check_key(job or chosen.job, request.store, ask(standing_runs()))
        made = new_submission(
            settled, files, job=job or chosen.job, queue=asked, weight=chosen.weight, deadline=due
        )
        put, end = hand_in(store, made)
        remember_store(put.store)
        if end is None:
            ask(take_in(put))
        document = _submitted(put, end, farm)
        if not wait:
            print_json(document, "submit") if as_json else say_submitted(document)
            return
        say_submitted(document, to_stderr=True)
        end = end or wait_for_end(store, put.job, reporter, stands=lambda: _standing(ask, put))
        assert end is not None  # it was handed in
        film = _fetch(put, end, Path(request.output), reporter)
    document = {**document, "ended": asdict(end), "film": film}
    print_json(document, "submit") if as_json else say_submitted(document)
    exit_as(end.exit_code, end.error or end.state)


def _submitted(put: Submission, end: SubmissionEnd | None, farm: FarmNote) -> dict[str, Any]:
    return {
        "job": put.job,
        "episode": put.episode,
        "queue": put.queue,
        "store": put.store,
        "farm": farm.host,
        "files": [asdict(each) for each in put.files],
        "ended": asdict(end) if end else None,
    }


def _deadline(text: str) -> str:
    """A moment as ISO 8601 in UTC: the next time that this machine's clock shows a time of day, so
    long from now, or a date and time of this machine's zone."""
    from flows.nightly.clock import local_zone_name, next_end, parse_deadline, zone_named

    now = datetime.now(UTC)
    try:
        moment = next_end(parse_deadline(text), began=now, zone=zone_named(local_zone_name()))
    except ValueError:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except ValueError as error:
            raise UsageError(
                f"expected a time such as 18:00, 8h or 2026-12-24T18:00, got {shortly(text)}",
                where="--deadline",
            ) from error
    return moment.isoformat()


def _check_store(url: str, farm: FarmNote) -> None:
    """UsageError for a store of this machine alone, where the farm is on another one."""
    from flows.queue.files import is_under

    if not url.startswith("file://") or farm.host == socket.gethostname():
        return
    folder = Path(url.removeprefix("file://"))
    if not is_under(folder, farm.shared):
        raise UsageError(
            f"the farm at {farm.host} does not see this folder",
            where=f"--store {folder}",
            remedy="name a store that both reach: s3://bucket/episode, or a folder of DOUGA_ROOTS",
        )


def _standing(ask: Ask, put: Submission) -> str:
    """How a submission stands in the queue, in words."""
    from flows.commands.queue import look

    mine = [each for each in look(ask) if each.queued.job == put.job]
    return f"{mine[0].queued.standing}, {mine[0].why}" if mine else "ends"


def _fetch(put: Submission, end: SubmissionEnd, film: Path, reporter: Reporter) -> str:
    """The film of a submission, fetched to `film`; empty where there is none."""
    from cluster.store.open import open_store

    if not end.film:
        return str(film) if end.exit_code == Exit.GOOD and film.is_file() else ""
    reporter.phase(f"fetching {film.name}")
    film.parent.mkdir(parents=True, exist_ok=True)
    open_store(put.store).get_file(end.film, film)
    return str(film)
