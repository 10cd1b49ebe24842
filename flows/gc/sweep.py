"""`douga gc`: look at a store, decide what goes, remove it; runs in progress are not disturbed.

The first look and decision are what `--dry-run` shows. Then the sweep is announced (`pin.py`),
the records and pins are looked at again, and what both decisions name is removed: records first,
then what they name, so that nobody ever reads a record of what is not there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cluster.errors import StoreError
from cluster.settings import settings
from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.lease import Lease, hold_lease
from cluster.store.open import open_store
from flows.farm.pins import PINS, SWEEP_LAPSE, SWEEPS, this_process
from flows.gc.mark import (
    RECORDS,
    FilmRecord,
    GcPlan,
    PartialRecord,
    Pin,
    Removal,
    Snapshot,
    Version,
    plan_gc,
)
from flows.plan.partial_record import PARTIALS
from flows.progress import Reporter
from flows.runs.nights import standing_segments
from tasks.worker.item import segment_name

AT_ONCE = 16
"""Requests in flight: most of the time of each is the way there and back."""
WAVE = 256
"""Removals begun before the first error of one is heard of."""

T = TypeVar("T")


@dataclass(slots=True)
class _Look:
    """Reads a store's records, those that never change only once."""

    store: Store
    known: dict[str, Any] = field(default_factory=dict)

    def everything(self) -> Snapshot:
        """The store as it is, by this machine's clock."""
        objects = tuple(self.store.list())
        return self._snapshot(
            datetime.now(UTC), objects, leftovers=tuple(self.store.leftovers()), records=objects
        )

    def again(self, before: Snapshot, now: datetime) -> Snapshot:
        """The same objects, with records and pins as they are by now."""
        places = (*RECORDS, "reviews/", PINS)
        records = [stored for place in places for stored in self.store.list(place)]
        return self._snapshot(now, before.objects, leftovers=before.leftovers, records=records)

    def _snapshot(
        self,
        now: datetime,
        objects: tuple[StoredObject, ...],
        *,
        leftovers: tuple[StoredObject, ...],
        records: Sequence[StoredObject],
    ) -> Snapshot:
        def under(place: str) -> list[StoredObject]:
            return [stored for stored in records if stored.name.startswith(place)]

        decisions = [stored for stored in under("reviews/") if "/decisions/" in stored.name]
        return Snapshot(
            now=now,
            objects=objects,
            leftovers=leftovers,
            versions=tuple(self._read(under("shots/"), _version)),
            films=tuple(self._read(under("films/"), _film, fresh=True)),
            partials=tuple(self._read(under(PARTIALS), _partials)),
            decided=frozenset(self._read(decisions, lambda _, it: segment_name(it["segment"]))),
            pins=tuple(self._pins(under(PINS))),
            compared=standing_segments(self.store),
        )

    def _pins(self, found: Sequence[StoredObject]) -> list[Pin]:
        alive: dict[str, datetime] = {}
        for stored in found:
            run = stored.name.split("/")[1]
            alive[run] = max(stored.modified, alive.get(run, stored.modified))

        def pin(stored: StoredObject, it: Any) -> Pin:
            run = stored.name.split("/")[1]
            return Pin(run=run, alive_at=alive[run], names=frozenset(it["names"]))

        return self._read([each for each in found if each.name.endswith("/names.json")], pin)

    def _read(
        self,
        found: Sequence[StoredObject],
        make: Callable[[StoredObject, Any], T],
        *,
        fresh: bool = False,
    ) -> list[T]:
        """What `make` makes of each JSON object that is still there."""

        def one(stored: StoredObject) -> list[T]:
            try:
                if fresh or stored.name not in self.known:
                    self.known[stored.name] = json.loads(self.store.get(stored.name))
                return [make(stored, self.known[stored.name])]
            except NotStored:
                return []
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise StoreError(
                    "not a record of this version of douga, so that what it needs is not known",
                    where=f"{self.store.url}: {stored.name}",
                    remedy="move it away, then run douga gc again; nothing was removed",
                ) from error

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return [made for each in threads.map(one, found) for made in each]


def collect(
    url: str, reporter: Reporter, *, keep_days: float | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Remove what nobody needs, or with `dry_run` only say what that is; the document of
    `gc --json`. StoreError where a record cannot be read or the store refuses."""
    store = open_store(url)
    look = _Look(store)
    grace = timedelta(hours=settings().gc_grace_h)
    keep = None if keep_days is None else timedelta(days=keep_days)
    reporter.phase(f"looking at {store.url}")
    seen = look.everything()
    plan = plan_gc(seen, grace=grace, keep=keep)
    if plan.removed and not dry_run:
        beat = f"{SWEEPS}{secrets.token_hex(8)}"
        with hold_lease(store, beat, text=this_process()) as lease:
            again = plan_gc(look.again(seen, lease.store_time()), grace=grace, keep=keep)
            plan = _both(plan, again)
            _remove(store, plan, lease, reporter)
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


def _both(first: GcPlan, second: GcPlan) -> GcPlan:
    """What both plans remove; the rest stays."""
    agreed = {removal.stored.name for removal in second.removed}
    spared = [removal.stored for removal in first.removed if removal.stored.name not in agreed]
    return replace(
        first,
        kept=(*first.kept, *spared),
        removed=tuple(each for each in first.removed if each.stored.name in agreed),
    )


def _remove(store: Store, plan: GcPlan, lease: Lease, reporter: Reporter) -> None:
    """Remove what the plan says, records before all else; an object gone already is no matter."""
    reporter.phase(f"removing {len(plan.removed)} objects")

    def one(removal: Removal) -> None:
        if lease.lapsed(SWEEP_LAPSE / 2):
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


def _version(stored: StoredObject, manifest: Any) -> Version:
    chunks = (chunk["name"] for run in manifest["runs"] for chunk in run["chunks"])
    return Version(
        stored=stored,
        run=manifest["run"],
        segment=manifest["segment"],
        chunks=frozenset(chunks),
        reads=frozenset(manifest["reads"]) if "reads" in manifest else None,
    )


def _film(stored: StoredObject, record: Any) -> FilmRecord:
    segments = frozenset(record["segments"]) if "segments" in record else None
    return FilmRecord(stored=stored, film=record["film"], segments=segments)


def _partials(stored: StoredObject, record: Any) -> PartialRecord:
    return PartialRecord(
        stored=stored,
        run=record["run"],
        shots={
            f"{record['episode']}/{shot}": frozenset(chunk["name"] for chunk in made)
            for shot, made in record["shots"].items()
        },
    )


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
