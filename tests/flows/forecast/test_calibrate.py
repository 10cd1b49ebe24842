"""Where no history tells, a few frames are tried, stored nowhere, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.ledger.history import read_history
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.settings import settings
from cluster.store.open import open_store
from flows.farm.shot import make_work, render_shot_now
from flows.farm.upload import upload_inputs
from flows.forecast import forecast
from flows.forecast.history import read_earlier_runs
from flows.forecast.work import todo_of, workers_for
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.render import render
from flows.spec.request import make_request
from tasks.models.device import Device
from tasks.stages.registry import STAGES
from tasks.worker.worker import Worker, WorkerConfig
from tests.chaos.fake import HERE
from tests.farm_here import FarmHere


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def phase(self, text: str) -> None:
        self.said.append(text)

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home in which nothing was tried yet, and the fake stage in the table."""
    monkeypatch.setitem(STAGES, "fake", HERE)
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    settings.cache_clear()


def planned(film: Path, folder: Path, steps: str) -> Prepared:
    episode = folder / "ep.yaml"
    episode.write_text(
        f"source: {film}\nname: ep\ncut: [24]\nstore: {folder / 'store'}\nrecipe: {steps}\n"
    )
    request = make_request(str(episode), output=str(folder / "f.mkv"), chunk=12, workers=1)
    return prepare(request, Silent())


def test_what_is_unknown_is_tried_once_and_not_stored(
    tiny_film: Path, tmp_path: Path, home: Path
) -> None:
    told = tmp_path / "told"
    steps = (
        f"[{{interpolate: {{factor: 2, engine: average, keep: true}}}}, {{fake: {{told: {told}}}}}]"
    )
    prepared = planned(tiny_film, tmp_path, steps)
    listening = Listening()
    said = forecast(prepared, reporter=listening)
    assert any("no history" in line and "trying" in line for line in listening.said)
    assert said.basis == "calibration"
    assert "calibration" in said.based_on
    assert said.chunks == 16
    assert 0 < said.finish_p50_s <= said.finish_p90_s
    assert said.bytes_put > 0
    assert said.cpu_hours > 0
    tried = told.read_text().count("\n")
    assert 0 < tried <= 4, "two tries of each of two shots"
    assert not (tmp_path / "store").exists()
    again = Listening()
    assert forecast(prepared, reporter=again) == said
    assert again.said == []
    assert told.read_text().count("\n") == tried


def test_a_film_that_begins_black_is_not_taken_for_an_empty_one(tmp_path: Path, home: Path) -> None:
    """Two shots of noise come after one of black, and are as long."""
    (tmp_path / "frames").mkdir()
    noise = np.random.default_rng(1)
    for number in range(36):
        pixels = noise.integers(0, 256, (48, 64, 3), np.uint8) * np.uint8(number >= 12)
        cv2.imwrite(str(tmp_path / "frames" / f"{number:04}.png"), pixels)
    (tmp_path / "ep.yaml").write_text(
        "source: {path: frames, fps: 24}\ncut: [12, 24]\nstore: store\nrecipe: [upscale]\n"
    )
    request = make_request(str(tmp_path / "ep.yaml"), output=str(tmp_path / "f.mkv"), workers=1)
    said = forecast(prepare(request, Silent()))
    result = render(request, Silent(), farm=FarmHere().opened, check=lambda _: None)
    assert result.film
    receipts = read_history(open_store(request.store))
    stored = sum(receipts["bytes_out"].to_pylist())
    assert stored / 2 < said.bytes_put < stored * 2


def test_history_of_another_resolution_is_no_history(
    tiny_film: Path, tmp_path: Path, home: Path
) -> None:
    """Chunks of sixteen times as many pixels took minutes; that says little of small ones."""
    prepared = planned(tiny_film, tmp_path, "[fake]")
    todo = todo_of(prepared, workers_for(prepared, 1))
    receipts = [
        Receipt(
            run="20260101T000000-0001",
            episode="large",
            shot="sh010",
            stage=work.stage,
            key=f"{number:040x}",
            start=0,
            end=work.frames,
            frames=work.frames,
            model=work.model,
            kind=work.kind,
            width=16 * work.pixels,
            height=1,
            device=work.device,
            compute_s=1600.0,
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        for number, work in enumerate([*todo.works, *todo.works])
    ]
    append_receipts(prepared.store, receipts[0].run, receipts)
    assert forecast(prepared, calibrate=False).finish_p50_s > 300
    listening = Listening()
    said = forecast(prepared, reporter=listening)
    assert any("no history" in line for line in listening.said)
    assert said.basis == "calibration"
    assert said.finish_p50_s < 100


def test_without_calibration_what_is_unknown_is_said_to_be(
    tiny_film: Path, tmp_path: Path, home: Path
) -> None:
    said = forecast(planned(tiny_film, tmp_path, "[fake]"), calibrate=False)
    assert (said.basis, said.chunks, said.finish_p50_s) == ("none", 4, 0)
    assert "fake" in said.based_on
    assert not list(home.glob("cache/calibration/*"))


def test_work_that_fails_when_tried_leaves_the_plan_standing(
    tiny_film: Path, tmp_path: Path, home: Path
) -> None:
    art = tmp_path / "art.png"
    art.write_bytes(b"no picture")
    steps = f"[{{colorize: {{references: [{{path: {art}}}]}}}}]"
    prepared = planned(tiny_film, tmp_path, steps)
    listening = Listening()
    said = forecast(prepared, reporter=listening)
    assert said.basis == "none"
    assert any("cannot be tried" in line for line in listening.said)


def test_receipts_of_a_render_are_of_the_work_that_was_planned(
    tiny_film: Path, tmp_path: Path, home: Path
) -> None:
    """Else no forecast would find them: stage, kind, model, device, size and length are the same
    on both sides."""
    steps = "[{interpolate: {factor: 2, engine: average, keep: true}}, {upscale: {scale: 2}}]"
    prepared = planned(tiny_film, tmp_path, steps)
    todo = todo_of(prepared, workers_for(prepared, 1))
    upload_inputs(prepared, Silent())
    config = WorkerConfig(
        store_url=prepared.store.url, cache=str(home / "cache"), device=Device(kind="cpu")
    )
    work = make_work(prepared, FarmHere(Worker(config)), Silent())
    for shot in prepared.plan.shots:
        render_shot_now(work, shot)
    history = read_earlier_runs(prepared.store, stages={each.stage for each in todo.works})
    assert {one.work for one in history.samples} == set(todo.works)
    assert len(history.samples) == len(todo.works) == read_history(prepared.store).num_rows
    assert sum(one.took.bytes_out for one in history.samples) > 0
