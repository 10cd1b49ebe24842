"""Two runs of one episode at the same moment, and a run beside `douga gc`: both end right."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from cluster.ledger.history import read_ledger
from cluster.store.open import open_store
from tests.servers.ray_nodes import RayNodes

EPISODE = """\
source: {film}
name: ep
cut: [24]
recipe: [{{interpolate: {{factor: 2, engine: average, keep: true}}}}, {{upscale: {{scale: 2}}}}]
delivery: {{encoder: ffv1}}
"""
CHUNKS = 2 * 2 * 8
"""Two shots, two runs each, eight chunks of six frames."""
OPTIONS = ("--chunk", "6", "--workers", "1")
"""A worker each, for the Ray that they share has two CPUs."""
NO_GRACE = {"DOUGA_GC_GRACE_H": "0"}


@dataclass(frozen=True)
class Desk:
    """The episode, a Ray to render it on, and its film as an undisturbed run makes it."""

    douga: Any
    folder: Path
    environment: dict[str, str]
    frames: list[tuple[str, str]]

    def words(self, film: Path, store: Path, *more: str) -> tuple[str | Path, ...]:
        """The command that renders it."""
        episode = self.folder / "ep.yaml"
        return ("render", episode, "-o", film, "--store", store, "--json", *OPTIONS, *more)

    def start(self, film: Path, store: Path, *more: str) -> Any:
        """Begin to render it."""
        return self.douga.start(*self.words(film, store, *more), **self.environment)


@pytest.fixture(scope="module")
def desk(
    douga: Any, ray_cluster: RayNodes, tiny_film: Path, tmp_path_factory: pytest.TempPathFactory
) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "ep.yaml").write_text(EPISODE.format(film=tiny_film))
    desk = Desk(douga, folder, ray_cluster.environment(), [])
    alone = finish(desk.start(folder / "alone.mkv", folder / "alone"))
    assert (alone["chunks_computed"], alone["chunks_reused"]) == (CHUNKS, 0)
    desk.frames.extend(frames(folder / "alone.mkv"))
    assert len(desk.frames) == 96
    return desk


def finish(process: Any, *, whole: bool = True) -> dict[str, Any]:
    """The document of a render that was begun, verified if it is of the whole film."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out)
    assert document["verified"] is whole
    return document


def frames(film: Path) -> list[tuple[str, str]]:
    """When each frame of a film is shown, and a digest of its samples."""
    with av.open(str(film)) as file:
        return [
            (str(f.pts * f.time_base), hashlib.sha256(f.to_ndarray().tobytes()).hexdigest())
            for f in file.decode(video=0)
        ]


def absent(url: str) -> set[str]:
    """What manifests name and the store has not."""
    store = open_store(url)
    named: set[str] = set()
    for stored in store.list("shots/"):
        manifest = json.loads(store.get(stored.name))
        named |= {chunk["name"] for run in manifest["runs"] for chunk in run["chunks"]}
        named |= {manifest["segment"], *manifest["reads"]}
    return named - store.has(named)


def test_two_runs_at_once_end_right(desk: Desk, tmp_path: Path) -> None:
    """Both make the same film in the same place, and say truly what they computed and found."""
    film = tmp_path / "film.mkv"
    begun = [desk.start(film, tmp_path / "store") for _ in range(2)]
    ended = [finish(process) for process in begun]
    assert frames(film) == desk.frames
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mkv", "store"]
    store = open_store((tmp_path / "store").as_uri())
    assert absent(store.url) == set()
    for document in ended:
        receipts = [r for r in read_ledger(store, run=document["run"]) if r.stage != "encode"]
        computed = Counter(r.key for r in receipts if not r.reused)
        assert document["chunks_computed"] == len(computed) == sum(computed.values())
        assert document["chunks_computed"] + document["chunks_reused"] == CHUNKS
        assert {shot["state"] for shot in document["shots"]} <= {"rendered", "stored"}
    assert sum(document["chunks_computed"] for document in ended) >= CHUNKS
    assert not list(store.list("pins/"))
    again = finish(desk.start(film, tmp_path / "store"))
    assert (again["chunks_computed"], again["chunks_reused"]) == (0, CHUNKS)


def frames_removed(ended: Any) -> list[str]:
    """What gc took, but for the note of which chunks the first run had been asked for: that is of
    no use from the moment the shot is whole."""
    names = [each["name"] for each in ended.document["removed"]]
    return [name for name in names if not name.startswith("pieces/")]


def test_a_run_beside_gc_ends_right(desk: Desk, tmp_path: Path) -> None:
    """gc again and again, without grace, while a run counts on chunks that no manifest names."""
    store = tmp_path / "store"
    part = finish(desk.start(tmp_path / "film.mkv", store, "--frames", "sh010:0-47"), whole=False)
    assert part["chunks_computed"] == CHUNKS // 2
    process = desk.start(tmp_path / "film.mkv", store)
    while not list((store / "pins").rglob("beat")):
        assert process.poll() is None, "it has ended before it could be disturbed"
    runs: set[str] = set()
    while process.poll() is None:
        ended = desk.douga("gc", "--store", store, "--keep-days", "0", "--json", **NO_GRACE)
        assert ended.code == 0, ended.err
        assert frames_removed(ended) == []
        runs.update(ended.document["runs_in_progress"])
    document = finish(process)
    assert runs == {document["run"]}
    half = CHUNKS // 2
    assert (document["chunks_computed"], document["chunks_reused"]) == (half, half)
    assert frames(tmp_path / "film.mkv") == desk.frames
    assert absent(store.as_uri()) == set()
    last = desk.douga("gc", "--store", store, "--keep-days", "0", "--json", **NO_GRACE)
    assert frames_removed(last) == [], "and nothing is left over when it has ended"
    assert not list((store / "pieces").rglob("*.json")), "what was asked for first is whole since"
