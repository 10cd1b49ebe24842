"""`douga store adopt`: new digests for objects of a store that was copied without them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.open import open_store
from cluster.store.records import NewerRecord
from flows.damage.check import each_of, fault_of, sort_objects
from flows.damage.kinds import kind_of
from flows.progress import Reporter
from flows.words import count_words

Proof = Literal["known", "proven", "read", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """An object: its digest is `known`; without one it is `proven` whole by checks inside it, or
    only `read`, or `refused` for what was `found`."""

    name: str
    proof: Proof
    found: str = ""


def adopt_store(url: str, reporter: Reporter, *, dry_run: bool = True) -> dict[str, Any]:
    """Check what every object without a digest can prove by itself, and give new digests to those
    that are whole, unless `dry_run`; the document of `store adopt --json`. StoreError where the
    store refuses."""
    store = open_store(url)
    reporter.phase(f"looking for objects without digests in {store.url}")
    known, unknown = sort_objects(store.list())
    looked = each_of(known, partial(_look, store), reporter)
    taken = [each for each in looked if each.proof in ("proven", "read")]
    if not dry_run:
        reporter.phase(f"adopting {count_words(len(taken), 'object')}")
        for done, each in enumerate(taken):
            store.adopt(each.name)
            reporter.fraction((done + 1) / len(taken))
    count = {proof: sum(each.proof == proof for each in looked) for proof in ("proven", "read")}
    return {
        "store": store.url,
        "dry_run": dry_run,
        "objects": len(known),
        "unknown": len(unknown),
        "adopted": len(taken),
        "proven": count["proven"],
        "read": count["read"],
        "refused": [
            {"name": each.name, "found": each.found} for each in looked if each.proof == "refused"
        ],
    }


def _look(store: Store, stored: StoredObject) -> _Looked:
    kind = kind_of(stored.name)
    assert kind is not None
    try:
        if store.has_digest(stored.name):
            return _Looked(name=stored.name, proof="known")
        data = store.get_range(stored.name, start=0, length=stored.size_bytes)
        found = fault_of(store, stored, kind, data)
    except NotStored:
        return _Looked(name=stored.name, proof="known")
    except NewerRecord:
        found = ""
    if found:
        return _Looked(name=stored.name, proof="refused", found=found)
    return _Looked(name=stored.name, proof="proven" if kind.proves else "read")
