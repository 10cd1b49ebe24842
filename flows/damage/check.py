"""`douga store check`: every object of a store read, what each damage costs, and the repair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from cluster.errors import DigestError, DougaError, InputError, StoreError, UsageError
from cluster.store.base import NoDigest, NotAllowed, NotStored, Store, StoredObject, check_name
from cluster.store.open import open_store
from cluster.store.records import DamagedRecord, NewerRecord, read_record
from cluster.store.set_aside import set_aside
from flows.changes.manifest import manifest_of
from flows.damage.kinds import LIVING, Kind, kind_of
from flows.progress import Reporter

AT_ONCE = 4
"""Objects read at once; each may be as large as a segment."""
NEWER = "left as it is: update douga"
ADOPT = "left as it is: douga store adopt"
OTHER_KEY = (
    "left as it is: this key may not move it; take gc's, or for records of runs and nights, claims "
    "and receipts the bucket owner's"
)
WITH_CHUNK = "segment of a damaged chunk"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """An object that cannot be used: what it is, what was found, and what that costs.

    `done` is its new name where it was set aside, or why it stays; empty where nothing was tried.
    `mended` where nothing is left to do in the store.
    """

    name: str
    what: str
    found: str
    costs: str
    done: str = ""
    mended: bool = False


def check_store(url: str, reporter: Reporter, *, repair: bool = False) -> dict[str, Any]:
    """Read every object of a store; the document of `store check --json`.

    With `repair`, what can be made again is set aside, to `damaged/NAME`. Decisions of people stay,
    for what they said may be the opposite of what is left; one goes when a later one stands. What
    runs in progress hold stays as well. StoreError where the store refuses.
    """
    store = open_store(url)
    reporter.phase(f"reading every object of {store.url}")
    known, unknown = sort_objects(store.list())
    damages = [each for each in each_of(known, partial(_examine, store), reporter) if each]
    if repair:
        damages = _repair(store, known, damages, reporter)
    return {
        "store": store.url,
        "objects": len(known),
        "bytes": sum(stored.size_bytes for stored in known),
        "unknown": len(unknown),
        "good": all(damage.mended for damage in damages),
        "damaged": [
            {name: getattr(damage, name) for name in Damage.__slots__} for damage in damages
        ],
    }


def sort_objects(
    objects: Iterable[StoredObject],
) -> tuple[list[StoredObject], list[StoredObject]]:
    """What douga put and reads again, and what it does not know. What living processes say of
    themselves, and what was set aside, is neither."""
    known: list[StoredObject] = []
    unknown: list[StoredObject] = []
    for stored in objects:
        if not stored.name.startswith(LIVING) or stored.name.endswith("/names.json"):
            is_known = kind_of(stored.name) is not None and _is_name(stored.name)
            (known if is_known else unknown).append(stored)
    return known, unknown


def each_of(
    objects: Sequence[StoredObject], work: Callable[[StoredObject], T], reporter: Reporter
) -> list[T]:
    """What `work` gives for every object, some at once, with the bytes done as progress."""
    whole = sum(stored.size_bytes + 1 for stored in objects)
    results: list[T] = []
    done = 0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for stored, result in zip(objects, threads.map(work, objects), strict=True):
            results.append(result)
            done += stored.size_bytes + 1
            reporter.fraction(done / whole)
    return results


def fault_of(store: Store, stored: StoredObject, kind: Kind, data: bytes) -> str:
    """What is wrong with the bytes of an object, empty for nothing. NewerRecord for one that only
    a newer douga can tell."""
    try:
        kind.look(store, stored.name, data)
    except NewerRecord:
        raise
    except (DigestError, DamagedRecord, InputError) as error:
        return error.what
    except StoreError as error:  # frames that cannot be unpacked
        return error.what
    return ""


def _examine(store: Store, stored: StoredObject) -> Damage | None:
    """The damage of an object, None where there is none, or where it is gone."""
    kind = kind_of(stored.name)
    assert kind is not None
    damage = Damage(name=stored.name, what=kind.what, found="", costs=kind.costs)
    try:
        found = fault_of(store, stored, kind, store.get(stored.name))
    except NotStored:
        return None
    except NewerRecord as error:
        return replace(damage, found=error.what, costs="only a newer douga reads it", done=NEWER)
    except NoDigest as error:
        try:
            data = store.get_range(stored.name, start=0, length=stored.size_bytes)
            found = fault_of(store, stored, kind, data)
        except NewerRecord:
            found = ""
        if not found:
            costs = "it is not read until its digest is known"
            return replace(damage, found=error.what, costs=costs, done=ADOPT)
    except DigestError as error:
        if error.retryable:  # on the way, not in the store
            raise
        found = "its bytes are not those that were put"
    return replace(damage, found=found) if found else None


def _repair(
    store: Store, known: Sequence[StoredObject], damages: Sequence[Damage], reporter: Reporter
) -> list[Damage]:
    """The damages with what was done about each, and the segments that go with damaged chunks."""
    reporter.phase("setting aside what is damaged")
    whole = [stored for stored in known if stored.name not in {each.name for each in damages}]
    ours = [each for each in damages if not each.done]
    chunks = {each.name for each in ours if each.name.startswith("frames/")}
    done = {each.name: _mend(store, each, known, whole) for each in ours}
    also = [
        _put_aside(
            store,
            Damage(name=name, what=WITH_CHUNK, found="good", costs="made again with its chunk"),
        )
        for name in sorted(_segments_of(store, whole, chunks))
    ]
    return [done.get(each.name, each) for each in damages] + also


def _mend(
    store: Store, damage: Damage, known: Sequence[StoredObject], whole: Sequence[StoredObject]
) -> Damage:
    kind = kind_of(damage.name)
    assert kind is not None
    if not kind.set_aside and not _is_decided_since(damage.name, known, whole):
        return replace(damage, done=f"left as it is: {kind.costs}")
    return _put_aside(store, damage)


def _put_aside(store: Store, damage: Damage) -> Damage:
    try:
        return replace(damage, done=set_aside(store, damage.name), mended=True)
    except NotStored:
        return replace(damage, done="gone since", mended=True)
    except NotAllowed:
        return replace(damage, done=OTHER_KEY)
    except DougaError as error:  # one that cannot be moved must not keep the others from it
        return replace(damage, done=f"left as it is: {error}")


def _is_decided_since(
    name: str, known: Sequence[StoredObject], whole: Sequence[StoredObject]
) -> bool:
    """Whether a decision on the same shot was put after a damaged one."""
    if not name.startswith("reviews/"):
        return False
    folder = f"{name.rpartition('/')[0]}/"
    (at,) = (stored.modified for stored in known if stored.name == name)
    return any(each.name.startswith(folder) and each.modified > at for each in whole)


def _segments_of(store: Store, whole: Iterable[StoredObject], chunks: set[str]) -> set[str]:
    """The segments that manifests say are of some of these chunks: a shot whose segment is stored
    counts as done, and its chunk would not be made again."""
    found: set[str] = set()
    there = {stored.name for stored in whole}
    for name in there if chunks else ():
        if name.startswith("shots/"):
            try:
                manifest = read_record(store, name, manifest_of)
            except (NotStored, DamagedRecord):
                continue
            if chunks & manifest.chunks:
                found.add(manifest.segment)
    return found & there


def _is_name(name: str) -> bool:
    try:
        return bool(check_name(name))
    except UsageError:
        return False
