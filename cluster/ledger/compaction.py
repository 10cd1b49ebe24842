"""Compacts the ledger's small objects into one per month, while others read, write and compact.

Nothing is locked. The compacted object is written first and names its origins
(`cluster.ledger.parts`), so that a reader counts each row once whatever else is still there. The
objects that it replaces are removed only when it has been read back whole. A stop at any moment
leaves a ledger that reads the same; the next compaction continues from there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa

from cluster.errors import DigestError, StoreError
from cluster.keys import digest_bytes, make_key
from cluster.ledger.history import read_rows
from cluster.ledger.parts import (
    COMPACTED,
    ORIGINS,
    Origin,
    Part,
    Pick,
    open_parts,
    pick_parts,
    replaced_parts,
    retry_while_compacted,
    whole_parts,
)
from cluster.ledger.receipts import to_parquet
from cluster.store.base import NotStored, Store
from cluster.store.folder import FolderStore

REMOTE_GRACE = timedelta(hours=1)
"""Listings of some S3 services lag: every reader must see the old objects or the new one."""
FULL_ROWS = 1_000_000
"""An object this large (about 60 MB) is not rewritten for later rows of its month."""
MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """The result of a compaction: objects of the ledger before and after, rows in it, names of the
    objects written and removed, and how many replaced objects are left, with the reason."""

    objects_before: int
    objects_after: int
    rows: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    left: int = 0
    why_left: str = ""


def compact(
    store: Store,
    *,
    grace: timedelta | None = None,
    dry_run: bool = False,
    full_rows: int = FULL_ROWS,
) -> Compaction:
    """Write one object per month with the ledger's rows, and remove the objects that it replaces.

    Replaced objects are removed once their replacement is older than `grace`; by default at once in
    a folder, in an S3 store an hour later, by the next compaction. Where the store's key may not
    delete, they stay, and mislead only other programs that read `ledger/`. With `dry_run` nothing
    is written or removed. An object of `full_rows` is not written again. Objects that are
    damaged, or no ledger, are left alone, with a note.
    """
    grace = default_grace(store) if grace is None else grace
    return retry_while_compacted(
        store,
        lambda: _compact(store, grace, dry_run=dry_run, full_rows=full_rows),
        doing="compacted",
        remedy="let one compaction at a time run",
    )


def default_grace(store: Store) -> timedelta:
    """How long replaced objects stay by default."""
    return timedelta(0) if isinstance(store, FolderStore) else REMOTE_GRACE


def _compact(store: Store, grace: timedelta, *, dry_run: bool, full_rows: int) -> Compaction:
    parts = open_parts(store)
    picks = pick_parts(parts)
    planned = plan_compaction(picks, full_rows=full_rows)
    if planned and not dry_run:  # what is damaged must not replace what is not
        parts = whole_parts(store, parts)
        picks = pick_parts(parts)
        planned = plan_compaction(picks, full_rows=full_rows)
    outcome = Compaction(
        objects_before=len(parts),
        objects_after=len(picks) - sum(map(len, planned.values())) + len(planned),
        rows=sum(origin.rows for pick in picks for origin in pick.origins),
        written=tuple(compacted_name(month, picks) for month, picks in planned.items()),
        removed=(),
    )
    if dry_run:
        return outcome
    for month, found in planned.items():
        _write(store, month, found)
    there = open_parts(store)
    replaced = replaced_parts(there)
    removed, why = _remove(store, replaced, grace)
    return replace(
        outcome,
        objects_after=len(there) - len(removed),
        removed=tuple(removed),
        left=len(replaced) - len(removed),
        why_left=why,
    )


def plan_compaction(picks: Iterable[Pick], *, full_rows: int = FULL_ROWS) -> dict[str, list[Pick]]:
    """The picks to write as one object, by month (`2026-11`); without months that are one object
    already, and without objects of `full_rows`."""
    months: dict[str, list[Pick]] = defaultdict(list)
    for pick in picks:
        if not (pick.part.is_compacted and pick.part.rows >= full_rows):
            months[_month(pick.part)].append(pick)
    return {month: found for month, found in sorted(months.items()) if len(found) > 1}


def compacted_name(month: str, picks: Sequence[Pick]) -> str:
    """The name of the object that holds these rows: the same for the same origins."""
    return (
        f"{COMPACTED}{month}-{make_key(sorted(o.name for p in picks for o in p.origins))}.parquet"
    )


def _month(part: Part) -> str:
    if part.is_compacted:
        return part.name.removeprefix(COMPACTED)[:7]
    found = MONTH.match(part.first_at)
    return found.group() if found else f"{part.stored.modified:%Y-%m}"


def _write(store: Store, month: str, picks: Sequence[Pick]) -> None:
    """Write the rows of the picks as one object, the earliest first."""
    ordered = sorted(picks, key=lambda pick: (pick.part.first_at, pick.part.name))
    origins: list[Origin] = [origin for pick in ordered for origin in pick.origins]
    try:
        table = pa.concat_tables([read_rows(pick) for pick in ordered])
    except FileNotFoundError:
        raise NotStored("gone since it was listed", where=store.url) from None
    listed = json.dumps([[origin.name, origin.rows] for origin in origins], separators=(",", ":"))
    data = to_parquet(table, metadata={ORIGINS: listed})
    name = compacted_name(month, picks)
    if store.put(name, data, if_absent=True) != digest_bytes(data):
        try:
            store.get(name)
        except DigestError:  # one that was damaged, and left out above
            store.put(name, data)


def _remove(store: Store, replaced: Mapping[str, Part], grace: timedelta) -> tuple[list[str], str]:
    """Remove objects replaced for long enough; returns their names, and why others are left."""
    now = store.now()
    gone: list[str] = []
    checked: set[str] = set()
    why = ""
    for name, by in replaced.items():
        if now - by.stored.modified < grace:
            why = f"they stay until {grace} after they were replaced"
            continue
        try:
            if by.name not in checked:
                store.get(by.name)
                checked.add(by.name)
            store.delete(name)
        except NotStored:
            continue  # replaced itself, by another compaction
        except StoreError as error:
            if error.retryable:
                raise
            return gone, str(error)
        gone.append(name)
    return gone, why
