"""Many small objects of the ledger become one per month, while others read, write and compact.

Nothing is locked. The compacted object is written first and names its origins
(`cluster.ledger.parts`), so that a reader counts each row once whatever else still lies there. What
it replaces is removed only when it has been read back whole. A stop at any moment leaves a ledger
that reads the same; the next compaction goes on from there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from cluster.errors import StoreError
from cluster.keys import make_key
from cluster.ledger.history import read_rows, unreadable
from cluster.ledger.parts import (
    COMPACTED,
    ORIGINS,
    Origin,
    Part,
    Pick,
    open_parts,
    pick_parts,
    replaced_parts,
    while_it_settles,
)
from cluster.ledger.receipts import to_parquet
from cluster.store.base import NotStored, Store
from cluster.store.folder import FolderStore

DISTANT_GRACE = timedelta(hours=1)
"""Listings of some S3 services lag behind: no reader may see neither the old nor the new."""
FULL_ROWS = 1_000_000
"""An object so large (about 60 MB) is not written again for what comes later in its month."""
MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What a compaction came to: objects of the ledger before and after, rows in it, names of what
    it wrote and removed, and how many replaced objects still lie there, with why."""

    objects_before: int
    objects_after: int
    rows: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    left: int = 0
    why_left: str = ""


def compact(store: Store, *, grace: timedelta | None = None, dry_run: bool = False) -> Compaction:
    """Make one object per month of what the ledger holds, and remove what that replaced.

    Replaced objects are removed once what replaces them is older than `grace`; by default at once
    in a folder, in an S3 store an hour later, by the next compaction. Where the store's key may not
    remove, they stay, and do no harm but to those who read `ledger/` by other means. With `dry_run`
    nothing is written or removed. StoreError for what is no ledger, or damaged.
    """
    return while_it_settles(
        store,
        lambda: _compact(store, grace_of(store) if grace is None else grace, dry_run=dry_run),
        doing="compacted",
        remedy="let one compaction at a time run",
    )


def grace_of(store: Store) -> timedelta:
    """How long replaced objects stay if nobody says otherwise."""
    return timedelta(0) if isinstance(store, FolderStore) else DISTANT_GRACE


def _compact(store: Store, grace: timedelta, *, dry_run: bool) -> Compaction:
    parts = open_parts(store)
    picks = pick_parts(parts)
    planned = plan_compaction(picks)
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


def plan_compaction(picks: Iterable[Pick]) -> dict[str, list[Pick]]:
    """What to make one object of, by month (`2026-11`); a month that is one object is left so, and
    so is an object with FULL_ROWS rows."""
    months: dict[str, list[Pick]] = defaultdict(list)
    for pick in picks:
        if not (pick.part.is_compacted and pick.part.rows >= FULL_ROWS):
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
    except (pa.ArrowException, OSError) as error:
        raise unreadable(store, [pick.part for pick in ordered], error) from error
    listed = json.dumps([[origin.name, origin.rows] for origin in origins], separators=(",", ":"))
    data = to_parquet(table, metadata={ORIGINS: listed})
    store.put(compacted_name(month, picks), data, if_absent=True)


def _remove(store: Store, replaced: Mapping[str, Part], grace: timedelta) -> tuple[list[str], str]:
    """Remove what is replaced for long enough; what went, and why the rest did not."""
    now = datetime.now(UTC)
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
