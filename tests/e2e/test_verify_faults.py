"""Faults seeded into an episode: all are found, in their place, and nothing else.

The episode holds, fades and flashes. Faults of the store are seeded into one copy of it, in a shot
each, faults of the film into a copy of the film each.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.commands.tables.findings import show_findings
from flows.farm.film import finish_film
from flows.farm.upload import upload_inputs
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from flows.verify.check import check_document, remove_objects
from tasks.models.device import Device
from tasks.synthetic import write_sample
from tasks.worker.worker import Worker, WorkerConfig
from tests.seeded import film_faults, store_faults
from tests.seeded.film_faults import FILM_FAULTS
from tests.seeded.store_faults import STORE_FAULTS

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

    def given(self, store: Path | None) -> Prepared:
        """The episode prepared with another store."""
        url = str(store or self.folder / "store")
        request = make_request(str(self.folder / "ep.yaml"), output=str(self.film), store=url)
        return prepare(request, Silent())


def work_off(prepared: Prepared) -> None:
    """Make what is missing in this process, without Ray."""
    upload_inputs(prepared)
    worker = Worker(
        WorkerConfig(
            store_url=prepared.store.url,
            cache=str(Path(prepared.request.output).parent / "cache"),
            device=Device(),
        )
    )
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
