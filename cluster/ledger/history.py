"""Queries the ledger: tables of receipts; reads only the columns and rows asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import and_

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from cluster.errors import StoreError
from cluster.ledger.parts import (
    DISK,
    FORMAT,
    Part,
    Pick,
    open_parts,
    pick_parts,
    retry_while_compacted,
    whole_parts,
)
from cluster.ledger.receipts import SCHEMA, Receipt
from cluster.store.base import NotStored, Store

EMPTY = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}


def read_history(
    store: Store,
    *,
    columns: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    run: str = "",
    episode: str = "",
    shot: str = "",
    stage: str = "",
    device: str = "",
) -> pa.Table:
    """Receipts as a table with the columns of `ledger.SCHEMA`, or those named, in no set order.

    Only rows finished in `[since, until)` (without a zone: UTC), and of the run, episode, shot,
    stage and device named. Every receipt comes once, also while a compaction is at work. No value
    is null: what an older douga did not write is "", 0, or for `frames` what the span holds.
    Objects that are damaged, or no ledger, are left out, with a note.
    """
    names = tuple(columns) or tuple(SCHEMA.names)
    for name in names:
        if name not in SCHEMA.names:
            raise StoreError(f"the ledger has no column {name!r}", where=store.url)
    wanted = _filter(
        since=since, until=until, run=run, episode=episode, shot=shot, stage=stage, device=device
    )
    return retry_while_compacted(
        store,
        lambda: _read(store, open_parts(store, run=run), names, wanted),
        doing="read",
        remedy="run it again when nothing compacts the ledger",
    )


def read_ledger(
    store: Store, *, run: str = "", episode: str = "", shot: str = "", stage: str = ""
) -> list[Receipt]:
    """Receipts in the order they were finished; those of one run, episode, shot or stage if named.

    For tables, and for questions that need only some columns, `read_history`.
    """
    found = read_history(store, run=run, episode=episode, shot=shot, stage=stage)
    receipts = [Receipt(**row) for row in found.to_pylist()]
    return sorted(receipts, key=lambda receipt: (receipt.finished_at, receipt.shot, receipt.start))


def row_groups(store: Store, *, since: datetime | None = None, run: str = "") -> int:
    """How many row groups a query reads: the measure of its cost."""
    wanted = _filter(since=since, run=run)
    picks = pick_parts(open_parts(store, run=run))
    return sum(len(pick.part.fragment.split_by_row_group(wanted)) for pick in picks)


def _filter(
    *, since: datetime | None = None, until: datetime | None = None, **named: str
) -> ds.Expression | None:
    asked = [ds.field(name) == value for name, value in named.items() if value]
    if since is not None:
        asked.append(ds.field("finished_at") >= _text(since))
    if until is not None:
        asked.append(ds.field("finished_at") < _text(until))
    return reduce(and_, asked) if asked else None


def _text(moment: datetime) -> str:
    """A moment as receipts write it, so that texts compare like moments."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="milliseconds")


def _read(
    store: Store, parts: Sequence[Part], names: Sequence[str], wanted: ds.Expression | None
) -> pa.Table:
    picks = pick_parts(parts)
    projection = {name: _column(name) for name in names}
    fragments = [pick.part.fragment for pick in picks if pick.whole]
    whole = ds.FileSystemDataset(fragments, schema=SCHEMA, format=FORMAT, filesystem=DISK)
    try:
        tables = [whole.to_table(columns=projection, filter=wanted)]
        for pick in picks:
            if not pick.whole:
                some = ds.dataset(read_rows(pick))
                tables.append(some.to_table(columns=projection, filter=wanted))
    except FileNotFoundError:
        raise NotStored("gone since it was listed", where=store.url) from None
    except (pa.ArrowException, OSError) as error:
        whole_ones = whole_parts(store, parts)
        if len(whole_ones) == len(parts):
            raise StoreError(
                "the ledger cannot be read", where=store.url, remedy="run it again"
            ) from error
        return _read(store, whole_ones, names, wanted)
    return pa.concat_tables(tables)


def read_rows(pick: Pick) -> pa.Table:
    """The picked rows of a part, with all columns as stored."""
    table = pick.part.fragment.to_table(schema=SCHEMA)
    if pick.whole:
        return table
    return pa.concat_tables([table.slice(start, end - start) for start, end in pick.ranges])


def _column(name: str) -> ds.Expression:
    """A column without nulls."""
    if name == "frames":
        return pc.coalesce(ds.field("frames"), ds.field("end") - ds.field("start"))
    return pc.coalesce(ds.field(name), pa.scalar(EMPTY[SCHEMA.field(name).type]))
