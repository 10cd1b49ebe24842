"""`douga gc`: read a store, decide what goes, remove it; runs in progress are not disturbed.

The first decision is what `--dry-run` shows. Then the sweep is announced (`flows.farm.pins`), the
records and pins are read again, and what both decisions name is removed: records first, then what
they name, so that nobody ever reads a record of what is not there.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cluster.errors import StoreError
from cluster.scratch import sweep_scratch
from cluster.settings import settings
from cluster.store.base import Store, StoredObject
from cluster.store.lease import Lease, hold_lease
from cluster.store.open import open_store
from flows.farm.pins import SWEEP_TIMEOUT, SWEEPS, this_process
from flows.gc.mark import RECORDS, GcPlan, Removal, plan_gc
from flows.gc.read import AT_ONCE, StoreReader
from flows.progress import Reporter
from flows.words import count_words

WAVE = 256
"""Removals begun before the first error of one is raised."""


def collect(
    url: str, reporter: Reporter, *, keep_days: float | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Remove what nobody needs, or with `dry_run` only say what that is; the document of
    `gc --json`. StoreError where a record cannot be read or the store refuses."""
    store = open_store(url)
    reader = StoreReader(store)
    grace = timedelta(hours=settings().gc_grace_h)
    keep = None if keep_days is None else timedelta(days=keep_days)
    reporter.phase(f"looking at {store.url}")
    found = reader.read_all()
    plan = plan_gc(found, grace=grace, keep=keep)
    if plan.removed and not dry_run:
        beat = f"{SWEEPS}{secrets.token_hex(8)}"
        with hold_lease(store, beat, text=this_process()) as lease:
            again = plan_gc(reader.read_again(found, store.now()), grace=grace, keep=keep)
            plan = _agreed(plan, again)
            _remove(store, plan, lease, reporter)
    if not dry_run:
        for place in {tempfile.gettempdir(), *(os.path.dirname(film.film) for film in found.films)}:
            sweep_scratch(Path(place))
    return {
        "store": store.url,
        "dry_run": dry_run,
        "grace_h": settings().gc_grace_h,
        "keep_days": keep_days,
        "removed": [_line(removal) for removal in plan.removed],
        "removed_objects": len(plan.removed),
        "removed_bytes": sum(removal.stored.size_bytes for removal in plan.removed),
        "kept_objects": len(plan.kept),
        "kept_bytes": sum(stored.size_bytes for stored in plan.kept),
        "kept": _by_kind((_kind(stored.name), stored) for stored in plan.kept),
        "gone": _by_kind(
            ("unfinished" if removal.leftover else _kind(removal.stored.name), removal.stored)
            for removal in plan.removed
        ),
        "runs_in_progress": sorted(plan.runs),
    }


def _agreed(first: GcPlan, second: GcPlan) -> GcPlan:
    """What both plans remove; the rest stays."""
    names = {removal.stored.name for removal in second.removed}
    spared = [removal.stored for removal in first.removed if removal.stored.name not in names]
    return replace(
        first,
        kept=(*first.kept, *spared),
        removed=tuple(each for each in first.removed if each.stored.name in names),
    )


def _remove(store: Store, plan: GcPlan, lease: Lease, reporter: Reporter) -> None:
    """Remove what the plan says, records before all else; an object gone already is no matter."""
    reporter.phase(f"removing {count_words(len(plan.removed), 'object')}")

    def one(removal: Removal) -> None:
        if lease.expired(SWEEP_TIMEOUT / 2):
            raise StoreError(
                "this process was stopped, or cut off from the store, for so long that a run may "
                "have begun meanwhile",
                where=store.url,
                remedy="run douga gc again for the rest",
            )
        if removal.leftover:
            store.drop_leftover(removal.stored.name)
        else:
            store.delete(removal.stored.name)

    records = [each for each in plan.removed if each.stored.name.startswith(RECORDS)]
    rest = [each for each in plan.removed if not each.stored.name.startswith(RECORDS)]
    done = 0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for wave in (records, rest):
            for first in range(0, len(wave), WAVE):
                done += len(list(threads.map(one, wave[first : first + WAVE])))
                reporter.fraction(done / len(plan.removed))


def _line(removal: Removal) -> dict[str, Any]:
    return {
        "name": removal.stored.name,
        "size_bytes": removal.stored.size_bytes,
        "modified": removal.stored.modified.isoformat(timespec="seconds"),
        "why": removal.why,
    }


def _kind(name: str) -> str:
    return name.partition("/")[0]


def _by_kind(stored: Iterable[tuple[str, StoredObject]]) -> dict[str, dict[str, int]]:
    """How many objects of how many bytes there are of each kind."""
    kinds: dict[str, dict[str, int]] = {}
    for kind, each in stored:
        counted = kinds.setdefault(kind, {"objects": 0, "bytes": 0})
        counted["objects"] += 1
        counted["bytes"] += each.size_bytes
    return dict(sorted(kinds.items()))
