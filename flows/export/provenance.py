"""What a timeline says of each shot under douga's key: plain values that OTIO can hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cluster.store.base import Store
from flows.changes.manifest import newest_manifests, read_manifest
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from tasks.decode import SourceIndex
from tasks.worker.item import StageCall, segment_name

AT_ONCE = 16
"""Manifests read at once: most of the time of each is the way there and back."""


def about_timeline(prepared: Prepared) -> dict[str, Any]:
    """The episode, what it is made of and by which douga."""
    rate = prepared.plan.shots[0].track.rate
    return {
        "episode": prepared.name,
        "film": Path(prepared.request.output).name,
        "version": douga_version(),
        "rate": str(rate) if rate else "",
        "sources": [Path(index.path).name for index in _named_sources(prepared)],
    }


def about_shot(prepared: Prepared, shot: ShotPlan, *, run: str) -> dict[str, Any]:
    """A shot's frames, segment and stages; `run` is the one that rendered it, "" if none has."""
    entry = shot.shot
    index = prepared.indices[entry.source]
    about: dict[str, Any] = {
        "episode": prepared.name,
        "shot": entry.id,
        "run": run,
        "version": douga_version(),
    }
    if index.kind == "black":
        return {**about, "black": True}
    picks = index.picks
    about |= {
        "source": Path(index.path).name,
        "source_digest": next(
            one.digest for one in _named_sources(prepared) if one.path == index.path
        ),
        "frames": [min(picks), max(picks) + 1] if picks else [entry.start, entry.end],
        "segment": shot.segment.key if shot.segment else "",
        "stages": [_stage(call) for part in shot.runs for call in _calls(part.items)],
    }
    return about | ({"picks": list(picks)} if picks else {})


def rendered_by(store: Store, episode: str, shots: Sequence[ShotPlan]) -> dict[str, str]:
    """The newest run whose manifest names a shot's segment as it is now, by shot; "" if none."""
    newest = newest_manifests(store, episode)

    def run_of(shot: ShotPlan) -> str:
        name = newest.get(shot.shot.id)
        manifest = read_manifest(store, name) if name else None
        own = segment_name(shot.segment.key) if shot.segment else ""
        return manifest.run if manifest and manifest.segment == own else ""

    with ThreadPoolExecutor(AT_ONCE) as threads:
        runs = list(threads.map(run_of, shots))
    return {shot.shot.id: run for shot, run in zip(shots, runs, strict=True)}


def douga_version() -> str:
    """The version that is installed, "" where none is."""
    try:
        return version("douga")
    except PackageNotFoundError:
        return ""


def _named_sources(prepared: Prepared) -> Sequence[SourceIndex]:
    """The sources that the episode names, without those that its timeline makes."""
    return prepared.indices[: len(prepared.request.episode.sources)]


def _calls(items: Sequence[Any]) -> tuple[StageCall, ...]:
    return items[0].calls if items else ()


def _stage(call: StageCall) -> dict[str, Any]:
    stage = call.make()
    card = stage.card()
    return {
        "stage": stage.name,
        "version": stage.version,
        "params": json.loads(json.dumps(stage.key_params(), default=str)),
        "model": card.model,
        "engine": card.engine,
        "assets": [digest for _, digest in call.assets],
    }
