"""`douga gc`: remove what nobody needs any more from a store."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.tools import AsJson, StoreUrl, print_json

gc = typer.Typer()


@gc.command(name="gc")
def collect_garbage(
    store: StoreUrl = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    keep_days: Annotated[
        float | None,
        typer.Option(
            min=0, max=36500, help="also drop versions of shots replaced for longer; default: none"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove frames that no shot, film, decision or run in progress needs.

    Asks nothing: whatever goes can be made again by rendering. What is younger than
    DOUGA_GC_GRACE_H hours, the ledger, reviews and records of runs stay.
    """
    from cluster.settings import settings
    from flows.commands.tables.gc import show_gc
    from flows.gc.sweep import collect
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = collect(
            store or settings().store_url, reporter, keep_days=keep_days, dry_run=dry_run
        )
    print_json(document, "gc") if as_json else show_gc(document)
