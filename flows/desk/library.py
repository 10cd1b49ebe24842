"""What the desk knows of its stores: one listing of the prefixes that change, however many look.

`Library.refresh` lists them and says what changed since; pages are made from the last listing and
from records that were read once, so that 50 viewers cost the store no more than one.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cluster.errors import DougaError, StoreError
from cluster.keys import make_key
from cluster.store.base import Store, StoredObject
from cluster.store.open import open_store
from cluster.store.records import read_if_whole
from flows.plan.decisions import Decision, read_decision
from flows.runs.record import BEGUN
from flows.runs.state import RUNS, RunStatus, known_status

PREFIXES = (BEGUN, RUNS, "shots/", "reviews/", "failures/", "nights/", "nightaccepts/")
"""Everything of a store that changes under people's eyes; frames are none of it."""
AT_ONCE = 16
"""Records read at once: most of the time of each is the way there and back."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that is new in a store: `kind` is run, shot, decision, failure or night; `shot` is
    empty where all of the episode is meant, `episode` is a nightly's name for a night."""

    store: str
    kind: str
    episode: str
    shot: str = ""


@dataclass(slots=True, kw_only=True)
class Shelf:
    """A store by its short name `key`, and its last listing. `trouble` is why it could not be
    listed, empty where it could."""

    key: str
    store: Store
    names: list[str] = field(default_factory=list)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    trouble: str = ""

    def under(self, prefix: str) -> list[StoredObject]:
        """The listed objects whose names begin so, in order of their names."""
        return [self.objects[name] for name in self._names_under(prefix)]

    def _names_under(self, prefix: str) -> Iterator[str]:
        for at in range(bisect_left(self.names, prefix), len(self.names)):
            if not self.names[at].startswith(prefix):
                return
            yield self.names[at]

    def episodes(self) -> list[str]:
        """The episodes that a run is on record of, in order of their names."""
        found = {name.split("/")[1] for name in self._names_under(RUNS)}
        found |= {name.split("/")[2] for name in self._names_under(f"{BEGUN}{RUNS}")}
        return sorted(found)

    def runs(self, episode: str) -> list[str]:
        """The places of an episode's runs, the newest last."""
        ended = (name for name in self._names_under(f"{RUNS}{episode}/"))
        begun = (n.removeprefix(BEGUN) for n in self._names_under(f"{BEGUN}{RUNS}{episode}/"))
        return sorted({name.removesuffix(".json") for name in (*ended, *begun)})


class Library:
    """The stores of a desk. Safe for several threads: a listing is replaced as a whole."""

    def __init__(self, urls: Callable[[], Iterable[str]]) -> None:
        self._urls = urls
        self._opened: dict[str, Store] = {}
        self._shelves: dict[str, Shelf] = {}
        self._going: dict[tuple[str, str], RunStatus | None] = {}
        self._read: dict[tuple[str, str, object], tuple[object, Any]] = {}
        self._lock = threading.Lock()

    @property
    def shelves(self) -> Sequence[Shelf]:
        """All stores, in the order in which they were named."""
        return tuple(self._shelves.values())

    def shelf(self, key: str) -> Shelf | None:
        """A store by its short name; None for one that is not known."""
        return self._shelves.get(key)

    def refresh(self) -> list[Change]:
        """List every store; what changed since the last time, of a store that is new nothing."""
        changes: list[Change] = []
        with self._lock:
            for url in dict.fromkeys(self._urls()):
                before: Shelf | None = None
                try:
                    store = self._opened.get(url) or open_store(url)
                    self._opened[url] = store
                    key = make_key(store.url)[:8]
                    before = self._shelves.setdefault(key, Shelf(key=key, store=store))
                    after = _listed(key, store)
                except DougaError as error:
                    if before is not None:
                        before.trouble = str(error)
                    continue
                self._shelves[key] = after
                if before.objects:
                    changes += changes_between(before, after)
        return changes

    def record(self, shelf: Shelf, name: str, make: Callable[[Any], T], *, then: str) -> T | None:
        """A record, read once for each of its versions; None where it is not there or damaged."""

        def read() -> T | None:
            return read_if_whole(shelf.store, name, make, then=then)

        return self._remembered(shelf, name, make, read)

    def records(
        self, shelf: Shelf, names: Sequence[str], make: Callable[[Any], T], *, then: str
    ) -> list[T | None]:
        """The same of several, side by side."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            read = (threads.submit(self.record, shelf, name, make, then=then) for name in names)
            return [each.result() for each in list(read)]

    def decision(self, shelf: Shelf, name: str) -> Decision:
        """A decision, read once. NotStored, DamagedRecord."""
        return self._remembered(
            shelf, name, read_decision, lambda: read_decision(shelf.store, name)
        )

    def status(self, shelf: Shelf, place: str) -> RunStatus | None:
        """A run as it stands; one that ended is read once. Of one that goes on the last that is
        known where the store does not answer."""
        name = f"{place}.json"
        if name in shelf.objects:
            return self._remembered(
                shelf, name, known_status, lambda: known_status(shelf.store, place)
            )
        try:
            found = known_status(shelf.store, place)
        except StoreError:
            if (shelf.key, place) not in self._going:
                raise
            return self._going[shelf.key, place]
        self._going[shelf.key, place] = found
        return found

    def _remembered(self, shelf: Shelf, name: str, kind: object, read: Callable[[], T]) -> T:
        """What `read` gives, once for each version of an object and each kind of reading it."""
        entry = shelf.objects.get(name)
        version = (entry.modified, entry.size_bytes) if entry else None
        known = self._read.get((shelf.key, name, kind))
        if known is not None and version is not None and known[0] == version:
            kept: T = known[1]
            return kept
        value = read()
        if version is not None:
            self._read[shelf.key, name, kind] = version, value
        return value


def _listed(key: str, store: Store) -> Shelf:
    with ThreadPoolExecutor(len(PREFIXES)) as threads:
        listings = list(threads.map(lambda prefix: list(store.list(prefix)), PREFIXES))
    objects = {entry.name: entry for listing in listings for entry in listing}
    return Shelf(key=key, store=store, names=sorted(objects), objects=objects)


def changes_between(before: Shelf, after: Shelf) -> list[Change]:
    """What is new or other in the second listing, each thing once."""
    changed = [
        name
        for name, entry in after.objects.items()
        if (old := before.objects.get(name)) is None
        or (old.modified, old.size_bytes) != (entry.modified, entry.size_bytes)
    ]
    changed += [name for name in before.objects if name not in after.objects]
    return list(dict.fromkeys(filter(None, (_change(after.key, name) for name in changed))))


def _change(store: str, name: str) -> Change | None:
    parts = name.removeprefix(BEGUN).split("/")
    match parts:
        case ["runs", episode, _]:
            return Change(store=store, kind="run", episode=episode)
        case ["shots", episode, shot, _]:
            return Change(store=store, kind="shot", episode=episode, shot=shot)
        case ["failures", episode, shot, _]:
            return Change(store=store, kind="failure", episode=episode, shot=shot)
        case ["reviews", episode, "decisions", shot, _]:
            return Change(store=store, kind="decision", episode=episode, shot=shot)
        case ["reviews", episode, *_]:
            return Change(store=store, kind="run", episode=episode)
        case ["nights" | "nightaccepts", nightly, *_]:
            return Change(store=store, kind="night", episode=nightly)
    return None
