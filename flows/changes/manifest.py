"""A shot's manifest: the objects that it is made of, and what from, as one run left it. It is put
after all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cluster.errors import StoreError
from cluster.store.base import NotStored, Store
from flows.changes.compare import LastRender
from flows.changes.fingerprint import fingerprint, read_fingerprint
from flows.plan.plan import RenderPlan, ShotPlan
from tasks.worker.item import asset_name, chunk_name, segment_name, source_name

AT_ONCE = 16
"""Manifests read at once: most of the time of each is the way there and back."""


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
        try:
            manifest = json.loads(store.get(name))
        except NotStored:
            return None
        chunks = [chunk["name"] for run in manifest["runs"] for chunk in run["chunks"]]
        return manifest["shot"], LastRender(
            run=manifest["run"],
            objects=frozenset([*chunks, manifest["segment"]]),
            made_from=read_fingerprint(manifest.get("made_from")),
        )

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(found for found in threads.map(read, manifests) if found)


def _segment_of(store: Store, manifest: str | None) -> str:
    if manifest is None:
        return ""
    try:
        return str(json.loads(store.get(manifest))["segment"])
    except NotStored:
        return ""


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
        json.dumps(manifest, indent=1).encode(),
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
