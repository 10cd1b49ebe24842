"""What of a store nobody needs any more, and its removal.

Kept is what can be reached: from the manifests of shots, the records of films and of partial chunks
whose shot is not rendered whole yet, the decisions of people, the nights that the next one is
compared with, submissions that wait for their turn, and the pins of runs in progress; the newest
film that each episode delivered; and everything younger than the grace
time, whatever it is. The ledger, the records of runs and nights, what is under `reviews/`, and what
douga does not know are never touched. All that goes can be made again by rendering.

`plan_gc` decides, purely, on a `Snapshot`; `flows.gc.read` takes it, `flows.gc.sweep` removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.store.base import StoredObject
from cluster.store.set_aside import DAMAGED
from flows.farm.pins import PIN_TIMEOUT, PINS, SWEEP_TIMEOUT, SWEEPS
from flows.plan.partial_record import PARTIALS
from flows.queue.submission import DELIVERED

RECORDS = ("shots/", "films/", PARTIALS)
INPUTS = ("assets/", "probes/", "sources/")
DATA = ("frames/", "notes/", "segments/", "evidence/", *INPUTS)
SET_ASIDE_KEPT = timedelta(days=30)
"""What was damaged and set aside stays so long for people to look at."""
LEFTOVER_GRACE = timedelta(hours=1)
"""At the least: a large file may be long on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A manifest: one shot as a run made it, and the objects it names. `reads` is None where it
    does not say which inputs it read."""

    stored: StoredObject
    run: str
    segment: str
    chunks: frozenset[str]
    reads: frozenset[str] | None

    @property
    def shot(self) -> str:
        """EPISODE/SHOT."""
        return "/".join(self.stored.name.split("/")[1:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRecord:
    """A film that was made: where, of which segments (None where it does not say)."""

    stored: StoredObject
    film: str
    segments: frozenset[str] | None

    @property
    def episode(self) -> str:
        """The episode's name."""
        return self.stored.name.split("/")[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRecord:
    """Partial chunks that a run made: by EPISODE/SHOT, their names."""

    stored: StoredObject
    run: str
    shots: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a run holds (None where its record is damaged), and when it last renewed its
    heartbeat."""

    run: str
    alive_at: datetime
    names: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A store at one moment, by the store's clock. `decided` are the segments people judged,
    `compared` those that the next night is compared with, `sent` the files that submissions which
    have not ended brought along. `unread` are records that are damaged:
    each may name whatever was there when it was put."""

    now: datetime
    objects: tuple[StoredObject, ...]
    leftovers: tuple[StoredObject, ...]
    versions: tuple[Version, ...]
    films: tuple[FilmRecord, ...]
    decided: frozenset[str]
    pins: tuple[Pin, ...]
    compared: frozenset[str] = frozenset()
    sent: frozenset[str] = frozenset()
    partials: tuple[PartialRecord, ...] = ()
    unread: tuple[StoredObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An object that goes, or a leftover of one, and why."""

    stored: StoredObject
    why: str
    leftover: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GcPlan:
    """What stays and what goes, in the order of going; `runs` are in progress."""

    runs: frozenset[str]
    kept: tuple[StoredObject, ...]
    removed: tuple[Removal, ...]


def plan_gc(snapshot: Snapshot, *, grace: timedelta, keep: timedelta | None = None) -> GcPlan:
    """What goes: all that is older than `grace` and cannot be reached.

    With `keep`, also versions of shots and films older than that which newer ones have replaced:
    not the newest version of a shot, nor one of which a kept film was made.
    """
    alive = [pin for pin in snapshot.pins if snapshot.now - pin.alive_at < max(grace, PIN_TIMEOUT)]
    runs = frozenset(pin.run for pin in alive)
    pinned = frozenset[str]().union(*(pin.names or () for pin in alive))

    def is_older(stored: StoredObject, than: timedelta) -> bool:
        return snapshot.now - stored.modified >= max(grace, than)

    old_films: dict[str, str] = {}
    old_versions: dict[str, str] = {}
    films = list(snapshot.films)
    if keep is not None:
        old_films = _replaced_films([film for film in films if is_older(film.stored, keep)], films)
        films = [film for film in films if film.stored.name not in old_films]
        aged = [v for v in snapshot.versions if is_older(v.stored, keep) and v.run not in runs]
        unread = {each.name.split("/")[1] for each in snapshot.unread}
        old_versions = _replaced_versions(aged, snapshot.versions, films, unread)
    finished = {
        record.stored.name: "every shot of it is rendered whole since"
        for record in snapshot.partials
        if record.run not in runs and not _unfinished_shots(record, snapshot.versions)
    }
    reachable = (
        pinned
        | snapshot.decided
        | snapshot.compared
        | snapshot.sent
        | _reachable(snapshot, films, old_versions)
        | _perhaps_named(snapshot, alive)
    )
    reachable |= {evidence_of(name) for name in reachable if name.startswith("segments/")}

    delivered = _earlier_films(snapshot.objects)
    removed: list[Removal] = []
    kept: list[StoredObject] = []
    for stored in snapshot.objects:
        why = old_films.get(stored.name) or old_versions.get(stored.name)
        if not why and is_older(stored, timedelta(0)):
            why = finished.get(stored.name) or _why_unneeded(stored.name, reachable, runs)
        if not why and stored.name in delivered and is_older(stored, timedelta(0)):
            why = "a later run of its episode delivered its film"
        if not why and stored.name.startswith(SWEEPS) and is_older(stored, SWEEP_TIMEOUT):
            why = "announced by a gc that is dead"
        if not why and stored.name.startswith(DAMAGED) and is_older(stored, SET_ASIDE_KEPT):
            why = f"damaged, and set aside more than {SET_ASIDE_KEPT.days} days ago"
        if why:
            removed.append(Removal(stored=stored, why=why))
        else:
            kept.append(stored)
    for stored in snapshot.leftovers:
        if is_older(stored, LEFTOVER_GRACE):
            why = "begun by a writer that was stopped"
            removed.append(Removal(stored=stored, why=why, leftover=True))
    removed.sort(key=lambda each: (not each.stored.name.startswith(RECORDS), each.stored.name))
    return GcPlan(runs=runs, kept=tuple(kept), removed=tuple(removed))


def _perhaps_named(snapshot: Snapshot, alive: Iterable[Pin]) -> frozenset[str]:
    """What a damaged record may name: a run in progress anything, others what was put before them,
    for a record is put last."""
    anything = any(pin.names is None for pin in alive)
    until = max((each.modified for each in snapshot.unread), default=None)
    return frozenset(
        stored.name
        for stored in snapshot.objects
        if stored.name.startswith(DATA)
        and (anything or (until is not None and stored.modified <= until))
    )


def _reachable(
    snapshot: Snapshot, films: Iterable[FilmRecord], old_versions: Mapping[str, str]
) -> frozenset[str]:
    """What the kept records name. Inputs are all kept where one of them does not say which."""
    versions = [each for each in snapshot.versions if each.stored.name not in old_versions]
    names: set[str] = set()
    for version in versions:
        names |= {version.segment} | version.chunks | (version.reads or frozenset())
    for film in films:
        names |= film.segments or frozenset()
    for record in snapshot.partials:
        for shot in _unfinished_shots(record, snapshot.versions):
            names |= record.shots[shot]
    names |= {notes_of(name) for name in names if name.startswith("frames/")}
    if any(version.reads is None for version in versions):
        names |= {stored.name for stored in snapshot.objects if stored.name.startswith(INPUTS)}
    return frozenset(names)


def _unfinished_shots(record: PartialRecord, versions: Iterable[Version]) -> list[str]:
    """The shots of a record that nobody has rendered whole since."""
    since = {
        version.shot
        for version in versions
        if version.stored.modified >= record.stored.modified and version.run != record.run
    }
    return [shot for shot in record.shots if shot not in since]


def notes_of(chunk: str) -> str:
    """The name of a chunk's notes, if it has any."""
    return f"notes/{chunk.removeprefix('frames/').removesuffix('.arrow')}.zip"


def evidence_of(segment: str) -> str:
    """The name of what was found of a segment, if anything was put."""
    return f"evidence/{segment.removeprefix('segments/').removesuffix('.mkv')}.json"


def _why_unneeded(name: str, reachable: frozenset[str], runs: frozenset[str]) -> str:
    """Why an object goes that is old enough to; empty if it stays."""
    if name.startswith(DATA) and name not in reachable:
        return "no shot, film or run in progress needs it"
    if name.startswith(PINS) and name.split("/")[1] not in runs:
        return "held by a run that is dead"
    if name.startswith("probe/"):
        return "left by a trial of the store"
    return ""


def _earlier_films(objects: Iterable[StoredObject]) -> frozenset[str]:
    """Delivered films of episodes that delivered one since."""
    newest: dict[str, StoredObject] = {}
    films = [stored for stored in objects if stored.name.startswith(DELIVERED)]
    for stored in sorted(films, key=lambda each: each.modified):
        newest[stored.name.split("/")[1]] = stored
    return frozenset(each.name for each in films) - {each.name for each in newest.values()}


def _replaced_films(aged: Iterable[FilmRecord], films: Iterable[FilmRecord]) -> dict[str, str]:
    """Those of the aged records whose file is another film's since, with why they go."""
    newest: dict[tuple[str, str], FilmRecord] = {}
    for film in sorted(films, key=lambda film: film.stored.modified):
        newest[film.episode, film.film] = film
    return {
        film.stored.name: f"another film lies at {film.film} since"
        for film in aged
        if newest[film.episode, film.film] is not film
    }


def _replaced_versions(
    aged: Iterable[Version],
    versions: Iterable[Version],
    films: Iterable[FilmRecord],
    unread: Iterable[str],
) -> dict[str, str]:
    """Those of the aged manifests that newer ones replaced and of which no film is made, with why
    they go. Of the episodes `unread` it is not known of which segments their films are made."""
    shown = frozenset[str]().union(*(film.segments or () for film in films))
    vague = {film.episode for film in films if film.segments is None} | set(unread)
    newest = {version.shot: version.run for version in sorted(versions, key=lambda v: v.run)}
    return {
        version.stored.name: f"run {newest[version.shot]} made {version.shot} anew"
        for version in aged
        if version.run != newest[version.shot]
        and version.segment not in shown
        and version.shot.split("/")[0] not in vague
    }
