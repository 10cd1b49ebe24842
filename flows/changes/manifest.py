"""A shot's manifest: the objects that it is made of, and what from, as one run left it. It is put
after all of them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster.errors import StoreError
from cluster.store.base import Store
from cluster.store.records import read_if_whole, record_text, shape
from flows.changes.compare import LastRender
from flows.changes.fingerprint import fingerprint, read_fingerprint
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.worker.item import asset_name, chunk_name, segment_name, source_name

AT_ONCE = 16
"""Manifests read at once: most of the time of each is the way there and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedChunk:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedRun:
    chunks: tuple[_NamedChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A shot as a run left it, by its record. `reads` are the inputs of its workers, None where an
    earlier version did not say; `made_from` is a fingerprint."""

    run: str
    segment: str
    runs: tuple[_NamedRun, ...]
    shot: str = ""
    made_from: Any = None
    reads: frozenset[str] | None = None

    @property
    def chunks(self) -> frozenset[str]:
        """The chunks that it names, of all its runs."""
        return frozenset(chunk.name for run in self.runs for chunk in run.chunks)


def read_manifest(store: Store, name: str) -> Manifest | None:
    """A manifest; None for one that is gone, or damaged, and then with a note."""
    then = "what its shot was made from is not known; douga render puts a new one"
    return read_if_whole(store, name, manifest_of, then=then)


def manifest_of(document: Any) -> Manifest:
    """The manifest that a record holds."""
    manifest = shape(Manifest)(document)
    read_fingerprint(manifest.made_from)
    return manifest


def write_missing_manifests(store: Store, plan: RenderPlan) -> None:
    """Manifests for the shots that are done and whose newest manifest is not of what they are now.

    A run may have ended after a shot's segment and before its manifest; or the recipe went back to
    one whose segments are all stored.
    """
    newest = newest_manifests(store, plan.episode)

    def write(shot: ShotPlan) -> None:
        if shot.segment is None or not plan.is_done(shot):
            return
        segment = segment_name(shot.segment.key)
        if _segment_of(store, newest.get(shot.shot.id)) != segment:
            write_manifest(store, plan, shot)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(write, plan.shots))


def newest_manifests(store: Store, episode: str) -> dict[str, str]:
    """The name of every shot's newest manifest, by shot, from one listing."""
    names = (stored.name for stored in store.list(f"shots/{episode}/"))
    return {name.split("/")[2]: name for name in names}  # runs are named in order of time


def read_last_renders(store: Store, manifests: Iterable[str]) -> dict[str, LastRender]:
    """What these manifests say of their shots, by shot. One that gc took meanwhile is left out."""

    def read(name: str) -> tuple[str, LastRender] | None:
        manifest = read_manifest(store, name)
        if manifest is None:
            return None
        return manifest.shot, LastRender(
            run=manifest.run,
            objects=manifest.chunks | {manifest.segment},
            made_from=read_fingerprint(manifest.made_from),
        )

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(found for found in threads.map(read, manifests) if found)


def _segment_of(store: Store, manifest: str | None) -> str:
    found = read_manifest(store, manifest) if manifest else None
    return found.segment if found else ""


def write_manifest(store: Store, plan: RenderPlan, shot: ShotPlan) -> None:
    """The shot's manifest, put once, when all it names is stored.

    It names the segment, and those chunks and inputs that are stored.
    StoreError where the segment has vanished.
    """
    assert shot.segment is not None
    segment = segment_name(shot.segment.key)
    reads = _read_names(shot)
    there = store.has([*shot.names(), *reads])
    if segment not in there:
        raise StoreError(
            f"its segment vanished before it was recorded ({segment})",
            where=f"{plan.episode}/{shot.shot.id}",
            remedy="run again to make it",
            retryable=True,
        )
    manifest = {
        "episode": plan.episode,
        "shot": shot.shot.id,
        "run": plan.run,
        "source": shot.shot.source,
        "range": [shot.shot.start, shot.shot.end],
        "frames": shot.segment.frames,
        "runs": [
            {
                "stages": run.name,
                "chunks": [
                    {"name": chunk_name(item.key), "span": [item.out.start, item.out.end]}
                    for item in run.items
                    if chunk_name(item.key) in there
                ],
            }
            for run in shot.runs
        ],
        "segment": segment,
        "made_from": fingerprint(shot).to_json(),
        "reads": [name for name in reads if name in there],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    store.put(
        f"shots/{plan.episode}/{shot.shot.id}/{plan.run}.json",
        record_text(manifest, indent=1).encode(),
        if_absent=True,
    )


def _read_names(shot: ShotPlan) -> list[str]:
    """What the shot's workers read from the store besides frames."""
    names = {
        name
        for item in shot.items()
        if item.source
        for name in (item.source.index_name, source_name(item.source.digest))
    }
    calls = (call for item in shot.items() for call in item.calls)
    return sorted(names | {asset_name(digest) for call in calls for _, digest in call.assets})
