"""`douga wait`: until a run ends, then its result and its exit code."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import DougaError, Exit, TimedOut, printable
from flows.commands.options import check_folder
from flows.commands.tools import AsJson, StoreUrl, print_json

if TYPE_CHECKING:
    from cluster.store.base import Store
    from flows.queue.submission import SubmissionEnd
    from flows.runs.state import RunStatus


def wait(
    name: Annotated[str, typer.Argument(help="run, job key, episode, nightly or episode.yaml")],
    timeout: Annotated[
        float | None,
        typer.Option(min=0, help="seconds; then exit 124, the run goes on; 0: look once"),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="write junit.xml here, logs and frames beside it")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="folder for report.html, report.json and junit.xml")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="fetch the film of a submitted episode here")
    ] = "",
    store: StoreUrl = "",
    as_json: AsJson = False,
) -> None:
    """Wait for a run, a job or a nightly to end; exit 0, 1, 2 or 3 as it did, 1 if it was stopped
    or died."""
    from flows.commands.tables.wait import show_run_status
    from flows.progress import make_reporter
    from flows.queue.wait import wait_for_end
    from flows.runs.find import find_place
    from flows.runs.wait import wait_for

    check_folder(output, option="-o")
    name, opened = _named(name, store)
    began = time.monotonic()
    with make_reporter() as reporter:
        end = wait_for_end(opened, name, reporter, timeout_s=timeout)
    if end is not None:
        _fetch(opened, end, output, name)
        if timeout is not None:
            timeout = max(0.0, timeout - (time.monotonic() - began))
    place, claim = find_place(opened, name)
    with make_reporter() as reporter:
        status = wait_for(opened, place, reporter, timeout_s=timeout, claim=claim)
    _write(opened, status, junit=junit, report=report)
    print_json(status.document, "run") if as_json else show_run_status(status)
    if status.exit_code is None:
        raise TimedOut(
            f"{status.state} still after {timeout:g} s",
            where=status.place.partition("/")[2],
            remedy=f"it goes on; douga wait {status.run} to wait for its end",
        )
    exit_as(status.exit_code, status.error or status.state)


def exit_as(code: int, words: str) -> None:
    """End as what was waited for did, with why; one that was stopped has failed for who waited."""
    from flows.progress import one_line

    if code != Exit.GOOD:
        print(f"douga: {one_line(words)}", file=sys.stderr)
        raise typer.Exit(code if code in (Exit.WANTING, Exit.REFUSED) else Exit.FAILED)


def _fetch(store: Store, end: SubmissionEnd, output: str, name: str) -> None:
    """Fetch the film of a submission that has ended. The error that it ended with where it came to
    no run."""
    if end.film and output:
        store.get_file(end.film, Path(output))
    if not end.run:
        raise DougaError(end.error or end.state, where=name)
    if output and not end.film:
        print(printable(f"douga: there is no film of {name}: {end.state}"), file=sys.stderr)


def _named(name: str, url: str) -> tuple[str, Store]:
    """The name to look for and the store to look in; both may come from an episode's document."""
    from cluster.settings import settings
    from cluster.store.open import open_store

    if name.lower().endswith((".yaml", ".yml")) and Path(name).is_file():
        name, own = _document(name, url)
        return name, open_store(url or own)
    return name, open_store(url or settings().store_url)


def _document(path: str, url: str) -> tuple[str, str]:
    from flows.spec.request import make_request

    request = make_request(path, store=url)
    return request.episode.name, request.store


def _write(store: Store, status: RunStatus, *, junit: Path | None, report: Path | None) -> None:
    if junit is None and report is None:
        return
    from flows.report.night import write_junit_of, write_report_of

    written: list[Any] = []
    if report is not None:
        files = write_report_of(store, status, folder=report)
        written += [files.html, files.json, files.junit]
    if junit is not None:
        written.append(write_junit_of(store, status, junit))
    for path in written:
        print(printable(f"douga: wrote {path}"), file=sys.stderr)
