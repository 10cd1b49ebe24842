"""A store's records as a `Snapshot`: what `douga gc` decides on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from cluster.errors import StoreError
from cluster.store.base import NotStored, Store, StoredObject
from flows.farm.pins import PINS
from flows.gc.mark import RECORDS, FilmRecord, PartialRecord, Pin, Snapshot, Version
from flows.plan.partial_record import PARTIALS
from flows.runs.nights import standing_segments
from tasks.worker.item import segment_name

AT_ONCE = 16
"""Requests in flight: most of the time of each is the way there and back."""

T = TypeVar("T")


@dataclass(slots=True)
class StoreReader:
    """Reads snapshots of a store; records that never change only once."""

    store: Store
    known: dict[str, Any] = field(default_factory=dict)

    def read_all(self) -> Snapshot:
        """Everything in the store, by this machine's clock."""
        objects = tuple(self.store.list())
        return self._snapshot(
            datetime.now(UTC), objects, leftovers=tuple(self.store.leftovers()), records=objects
        )

    def read_again(self, before: Snapshot, now: datetime) -> Snapshot:
        """The objects of `before`, with records and pins as they are now."""
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
