"""A store's records as a `Snapshot`: what `douga gc` decides on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from cluster.keys import Key
from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.records import DamagedRecord, note_damage, read_record, shape
from flows.changes.manifest import manifest_of
from flows.farm.film_record import RecordedFilm
from flows.farm.pins import PINS, pinned_names
from flows.gc.mark import RECORDS, FilmRecord, PartialRecord, Pin, Snapshot, Version
from flows.plan.partial_record import PARTIALS
from flows.queue.submission import SUBMITTED, Submission, end_name, is_submission
from flows.runs.nights import standing_segments
from tasks.worker.item import segment_name, source_name

AT_ONCE = 16
"""Requests in flight: most of the time of each is the way there and back."""

T = TypeVar("T")


@dataclass(slots=True)
class StoreReader:
    """Reads snapshots of a store; records that never change only once."""

    store: Store
    known: dict[str, Any] = field(default_factory=dict)

    def read_all(self) -> Snapshot:
        """Everything in the store, by its own clock."""
        objects = tuple(self.store.list())
        return self._snapshot(
            self.store.now(), objects, leftovers=tuple(self.store.leftovers()), records=objects
        )

    def read_again(self, before: Snapshot, now: datetime) -> Snapshot:
        """The objects of `before`, with records and pins as they are now."""
        places = (*RECORDS, "reviews/", PINS, SUBMITTED)
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

        unread: list[StoredObject] = []
        decisions = [stored for stored in under("reviews/") if "/decisions/" in stored.name]
        compared, nights = standing_segments(self.store)
        unread += [stored for stored in objects if stored.name in nights]
        return Snapshot(
            now=now,
            objects=objects,
            leftovers=leftovers,
            versions=tuple(self._read(under("shots/"), _version, unread)),
            films=tuple(self._read(under("films/"), _film, unread, fresh=True)),
            partials=tuple(self._read(under(PARTIALS), _partials, unread)),
            decided=frozenset(self._read(decisions, _decided, unread)),
            pins=tuple(self._pins(under(PINS))),
            compared=compared,
            sent=self._sent(under(SUBMITTED), unread),
            unread=tuple(unread),
        )

    def _sent(self, found: Sequence[StoredObject], unread: list[StoredObject]) -> frozenset[str]:
        """What the submissions brought along that have not ended."""
        names = {stored.name for stored in found}
        waiting = [
            stored
            for stored in found
            if is_submission(stored.name) and end_name(stored.name) not in names
        ]
        return frozenset[str]().union(*self._read(waiting, _files, unread))

    def _pins(self, found: Sequence[StoredObject]) -> list[Pin]:
        alive: dict[str, datetime] = {}
        for stored in found:
            run = stored.name.split("/")[1]
            alive[run] = max(stored.modified, alive.get(run, stored.modified))
        named = [stored for stored in found if stored.name.endswith("/names.json")]
        unread: list[StoredObject] = []
        pins = self._read(named, _pin, unread) + [_pin(stored, None) for stored in unread]
        return [replace(pin, alive_at=alive[pin.run]) for pin in pins]

    def _read(
        self,
        found: Sequence[StoredObject],
        make: Callable[[StoredObject, Any], T],
        unread: list[StoredObject],
        *,
        fresh: bool = False,
    ) -> list[T]:
        """What `make` makes of each record that is still there; damaged ones go to `unread`."""

        def one(stored: StoredObject) -> list[T]:
            try:
                if fresh or stored.name not in self.known:
                    self.known[stored.name] = read_record(
                        self.store, stored.name, partial(make, stored)
                    )
                return [self.known[stored.name]]
            except NotStored:
                return []
            except DamagedRecord as error:
                note_damage(error, then="what it may name stays")
                unread.append(stored)
                return []

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return [made for each in threads.map(one, found) for made in each]


def _pin(stored: StoredObject, record: Any) -> Pin:
    return Pin(
        run=stored.name.split("/")[1],
        alive_at=stored.modified,
        names=None if record is None else frozenset(pinned_names(record)),
    )


def _files(_: StoredObject, record: Any) -> frozenset[str]:
    submission = shape(Submission)(record)
    return frozenset(source_name(file.digest) for file in submission.files)


def _version(stored: StoredObject, record: Any) -> Version:
    manifest = manifest_of(record)
    return Version(
        stored=stored,
        run=manifest.run,
        segment=manifest.segment,
        chunks=manifest.chunks,
        reads=manifest.reads,
    )


def _film(stored: StoredObject, record: Any) -> FilmRecord:
    film = shape(RecordedFilm)(record)
    segments = None if film.segments is None else frozenset(film.segments)
    return FilmRecord(stored=stored, film=film.film, segments=segments)


def _decided(_: StoredObject, record: Any) -> str:
    return segment_name(Key(str(record["segment"])))


def _partials(stored: StoredObject, record: Any) -> PartialRecord:
    return PartialRecord(
        stored=stored,
        run=str(record["run"]),
        shots={
            f"{record['episode']}/{shot}": frozenset(str(chunk["name"]) for chunk in made)
            for shot, made in record["shots"].items()
        },
    )
