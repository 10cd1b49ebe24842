"""After a night the ledgers it wrote to are compacted, so that the next questions are quick."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.errors import DougaError
from cluster.store.base import Store
from flows.progress import Reporter


def compact_ledgers(stores: Iterable[Store], reporter: Reporter) -> None:
    """Compact the ledger of each store once. What hinders it is noted, and changes no outcome."""
    from cluster.ledger.compaction import compact

    for store in {store.url: store for store in stores}.values():
        try:
            compact(store)
        except DougaError as error:
            reporter.note(f"the ledger was not compacted: {error}")
