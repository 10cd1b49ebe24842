"""Faults seeded into an episode: all are found, in their place, and nothing else.

The episode holds, fades and flashes. Faults of the store are seeded into one copy of it, in a shot
each, faults of the film into a copy of the film each.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cluster.errors import DougaError
from cluster.store.open import open_store
from flows.commands.tables.findings import show_findings
from flows.farm.film import finish_film
from flows.farm.upload import upload_inputs
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from flows.verify.check import check_document, check_film, remove_objects
from flows.verify.segments import read_evidence
from tasks.frames.codes import BLACK
from tasks.models.device import Device
from tasks.synthetic import write_sample
from tasks.worker.item import chunk_name, evidence_name
from tasks.worker.worker import Worker, WorkerConfig
from tests.seeded import film_faults, store_faults
from tests.seeded.film_faults import FILM_FAULTS
from tests.seeded.store_faults import STORE_FAULTS
from tests.stored_codes import stored_codes

SEED = int(os.environ.get("DOUGA_FAULT_SEED", "1"))


@dataclass(frozen=True)
class Episode:
    """The undamaged episode: its folder holds ep.yaml, the store and the film."""

    folder: Path
    prepared: Prepared
    film: Path

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.prepared.plan.times)

    def check(self, *, film: Path | None = None, store: Path | None = None, **how: Any) -> Any:
        """The document of `verify --json` for another film, or another store."""
        return check_document(self.given(store), film or self.film, Silent(), **how)

    def look_as_a_render(
        self, *, film: Path | None = None, store: Path | None = None
    ) -> list[dict[str, Any]]:
        """What a render finds of a film that it has assembled, by what its workers found."""
        prepared = self.given(store)
        evidence = read_evidence(prepared.store, prepared.plan)
        checked = check_film(
            prepared, prepared.plan, film or self.film, Silent(), evidence=evidence
        )
        return [asdict(finding) for finding in checked.findings]

    def given(self, store: Path | None) -> Prepared:
        """The episode prepared with another store."""
        url = str(store or self.folder / "store")
        request = make_request(str(self.folder / "ep.yaml"), output=str(self.film), store=url)
        return prepare(request, Silent())


def open_worker(prepared: Prepared) -> Worker:
    """A worker in this process."""
    cache = Path(prepared.request.output).parent / "cache"
    return Worker(WorkerConfig(store_url=prepared.store.url, cache=str(cache), device=Device()))


def work_off(prepared: Prepared) -> None:
    """Make what is missing in this process, without Ray."""
    upload_inputs(prepared, Silent())
    worker = open_worker(prepared)
    for shot in prepared.plan.shots:
        for item in shot.items():
            worker.make_chunk(item)
        if shot.segment:
            worker.make_segment(shot.segment)


@pytest.fixture(scope="module", params=[720, pytest.param(1000, marks=pytest.mark.nightly)])
def episode(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    folder = tmp_path_factory.mktemp("faults")
    seconds = float(request.param * Fraction(1001, 24000))
    write_sample(folder, seed=SEED, shots=40, seconds=seconds, size=(96, 64), truth=None)
    recipe = [{"hold": {"keep": True}}, "hold"]
    document = {"source": "episode.mkv", "store": "store", "recipe": recipe}
    (folder / "ep.yaml").write_text(yaml.safe_dump(document))
    film = folder / "ep.mkv"
    prepared = prepare(make_request(str(folder / "ep.yaml"), output=str(film)), Silent())
    assert len(prepared.plan.times) == request.param
    work_off(prepared)
    result = finish_film(prepared, [], Silent(), began=0.0)
    assert (result.findings, result.verified) == ((), True)
    return Episode(folder, prepared, film)


def test_an_undamaged_episode_with_holds_fades_and_flashes_raises_nothing(
    episode: Episode, capsys: pytest.CaptureFixture[str]
) -> None:
    document = episode.check()
    assert (document["good"], document["findings"]) == (True, [])
    assert document["frames"] == episode.frames
    show_findings(document, command="ep.yaml")
    assert f"{episode.frames} frames" in capsys.readouterr().out


def test_faults_of_the_store_are_found_each_in_its_shot(
    episode: Episode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    shutil.copytree(episode.folder / "store", store)
    prepared = episode.given(store)
    placed = store_faults.seed_all(prepared, random.Random(SEED))
    assert len({fault.name for fault in placed}) == len(STORE_FAULTS)
    document = episode.check(store=store)
    missed = [fault for fault in placed if not any(fault.is_told(f) for f in document["findings"])]
    assert not missed
    beside = [f for f in document["findings"] if not any(x.is_near(f) for x in placed)]
    assert not beside, "no undamaged shot is accused"
    show_findings(document, command="ep.yaml")
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 100
    # What is found wanting goes, and is made again: the episode is whole as before.
    remove_objects(prepared, document["objects"])
    work_off(episode.given(store))
    assert episode.check(store=store)["findings"] == []


def test_a_worker_vouches_for_no_shot_whose_chunks_are_wrong(
    episode: Episode, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(episode.folder / "store", store)
    prepared = episode.given(store)
    placed = store_faults.seed_all(prepared, random.Random(SEED))
    shutil.rmtree(store / "segments")
    shutil.rmtree(store / "evidence")
    refused = encode_segments(prepared)
    vouched = set(read_evidence(prepared.store, prepared.plan))
    # No earlier run's chunk is read, a segment is made anew, and of the picture that is wrong in a
    # chunk the segment is made: that the source shows another is looked for once in a chunk.
    apart = ("earlier", "segment", "frame of another shot")
    wrong = {
        shot
        for fault in placed
        if not any(word in fault.name for word in apart)
        for shot in fault.shots
    }
    assert vouched == {shot.shot.id for shot in prepared.plan.shots} - wrong
    assert refused <= wrong


def test_only_a_shot_that_nobody_vouches_for_is_looked_at_again(
    episode: Episode, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(episode.folder / "store", store)
    plan = episode.given(store).plan
    assert len(read_evidence(episode.given(store).store, plan)) == len(plan.shots)
    rng = random.Random(SEED)
    kept, lost = rng.sample([shot for shot in plan.shots if len(shot.track) > 20], 2)
    for shot in (kept, lost):
        darken_last_chunk(episode.given(store), shot)
    assert episode.look_as_a_render(store=store) == [], "what is vouched for is not read"
    for name in ("evidence of an older check", "none"):
        forget(store, lost, older=name != "none")
        found = episode.look_as_a_render(store=store)
        assert found, name
        assert all(lost.shot.id in finding["where"] for finding in found)


def darken_last_chunk(prepared: Prepared, shot: ShotPlan) -> None:
    """Let a shot's last chunk hold other pictures than were encoded."""
    name = chunk_name(shot.runs[-1].items[-1].key)
    frames = stored_codes(prepared.store, name, prepared.plan.picture)
    store_faults.put_frames(prepared.store, name, np.full_like(frames, BLACK))


def forget(store: Path, shot: ShotPlan, *, older: bool) -> None:
    """Have evidence of a shot's segment by an older check, or none."""
    assert shot.segment
    file = store / evidence_name(shot.segment.key)
    if not older:
        file.unlink()
        return
    document = json.loads(file.read_text()) | {"looked": 0}
    open_store(str(store)).put(evidence_name(shot.segment.key), json.dumps(document).encode())


def encode_segments(prepared: Prepared) -> set[str]:
    """Have a worker make every segment; the shots that it refuses."""
    refused: set[str] = set()
    worker = open_worker(prepared)
    for shot in prepared.plan.shots:
        assert shot.segment
        try:
            worker.make_segment(shot.segment)
        except DougaError:
            refused.add(shot.shot.id)
    return refused


@pytest.mark.parametrize("name", FILM_FAULTS)
def test_a_fault_of_the_film_is_found_in_its_place(
    name: str, episode: Episode, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"
    fault = film_faults.seed(name, episode.prepared, episode.film, film, random.Random(SEED))
    document = episode.check(film=film)
    assert any(fault.is_told(finding) for finding in document["findings"]), document["findings"]
    beside = [finding for finding in document["findings"] if not fault.is_near(finding)]
    assert not beside, f"{fault}: nothing undamaged is accused"
    assert episode.look_as_a_render(film=film) == document["findings"], "a render finds as much"
