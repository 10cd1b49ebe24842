"""`douga report`: what the farm did over a time; `douga ledger`: the receipts that say so."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cluster.errors import DougaError, os_reason
from flows.commands.options import check_folder
from flows.commands.tools import AsJson, StoreUrl, print_json

ledger = typer.Typer(
    help="The ledger: a row for every piece of work, as Parquet in the store.",
    no_args_is_help=True,
)
Since = Annotated[
    str, typer.Option("--since", help="30d, 12h, 8w, all, or a date such as 2026-11-01 (UTC)")
]
Until = Annotated[
    str, typer.Option("--until", help="the same; a date's whole day counts; default: now")
]


def report(
    since: Since = "30d",
    until: Until = "",
    store: StoreUrl = "",
    episode: Annotated[str, typer.Option("--episode", help="of this episode only")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="write the page, one HTML file, here")
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="write every piece of work on a page by worker (-o, else timeline.html), "
            "and a trace for Perfetto beside it",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what rendering cost, what was reused, where time went, and what went wrong.

    Cost per minute of film, cache hit rate, idle GPUs, the slowest stages, retakes per shot,
    failures and retries over a time. Money is computed from DOUGA_GPU_HOUR_PRICE and
    DOUGA_CPU_HOUR_PRICE; without them, device-hours. The page opens without a network.
    """
    from cluster.settings import settings
    from flows.commands.tables.report import show_report
    from flows.report.usage.make import make_report

    check_folder(str(output or ""), option="-o")
    url = store or settings().store_url
    made = make_report(url, since=since, until=until, episode=episode)
    if timeline:
        output = output or Path("timeline.html")
        _write_timeline(output, url, since=since, until=until, episode=episode)
    elif output is not None:
        from flows.report.usage.page import render_page

        _write(output, render_page(made))
    if as_json:
        print_json(made.to_json(), "report")
    else:
        show_report(made, str(output) if output else "")


@ledger.command(name="compact")
def compact_ledger(
    store: StoreUrl = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would do")] = False,
    as_json: AsJson = False,
) -> None:
    """Make one object per month of the ledger's many, so that reports stay quick.

    Harmless at any moment, also beside renders, reports and another compaction: no receipt is lost
    or counted twice. A nightly does it by itself.
    """
    from cluster.ledger.compaction import compact
    from cluster.settings import settings
    from cluster.store.open import open_store
    from flows.commands.tables.report import show_compaction

    opened = open_store(store or settings().store_url)
    done = compact(opened, dry_run=dry_run)
    document = {"store": opened.url, "dry_run": dry_run, **asdict(done)}
    print_json(document, "compaction") if as_json else show_compaction(document)


def _write_timeline(page: Path, url: str, *, since: str, until: str, episode: str) -> None:
    """The page of a timeline, and its trace beside it."""
    from cluster.store.open import open_store
    from flows.report.timeline.page import render_page
    from flows.report.timeline.pieces import read_timeline
    from flows.report.timeline.trace import to_trace
    from flows.report.usage.period import parse_period

    begin, end = parse_period(since, until, now=datetime.now(UTC))
    store = open_store(url)
    found = read_timeline(store, since=begin, until=end, episode=episode)
    trace = page.with_name(f"{page.stem}.trace.json")
    _write(page, render_page(found, store=store.url, trace=trace.name))
    _write(trace, to_trace(found))


def _write(path: Path, text: str) -> None:
    """The page under its name when it is whole. DougaError if it cannot be written."""
    from cluster.store.local_files import new_file

    try:
        with new_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise DougaError(
            f"cannot be written ({os_reason(error)})",
            where=str(path),
            remedy="name another place with -o",
        ) from error
