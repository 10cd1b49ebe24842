"""A forecast says how long renders take that are like those before it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.settings import settings
from flows.forecast import forecast
from flows.forecast.durations import Timing, Work
from flows.forecast.startup import startup_s
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from tasks.stages.registry import STAGES
from tests.chaos.fake import HERE
from tests.flows.forecast.virtual_farm import Fate, Render

BEFORE, RENDERS = 4, 20


@pytest.fixture(autouse=True)
def fake_stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake stage is in the table; prices are set."""
    monkeypatch.setitem(STAGES, "fake", HERE)
    monkeypatch.setenv("DOUGA_CPU_HOUR_PRICE", "0.5")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def planned(
    film: Path, folder: Path, *, chunk: int, workers: int = 3, name: str = "ep"
) -> Prepared:
    """Six shots of eight frames, all to do."""
    episode = folder / f"{name}.yaml"
    episode.write_text(
        f"source: {film}\nname: {name}\ncut: [8, 16, 24, 32, 40]\nstore: {folder / 'store'}\n"
        "recipe: [fake]\n"
    )
    request = make_request(str(episode), output=str(folder / "f.mkv"), chunk=chunk, workers=workers)
    return prepare(request, Silent())


def lognormal(median_s: float, scatter: float) -> Fate:
    """Chunks that take so long, whatever they are, and scatter so much (log); quick encoding."""

    def took(chance: random.Random, work: Work) -> Timing:
        if work.stage == "encode":
            return Timing(load_s=0, compute_s=0.02 * work.frames, store_s=0.01, bytes_out=4000)
        compute = median_s * chance.lognormvariate(0, scatter)
        return Timing(load_s=0.05, compute_s=compute, store_s=0.02, bytes_out=1000 * work.frames)

    return Fate(took=took)


@pytest.mark.parametrize(
    ("median_s", "scatter", "chunk", "seed"),
    [(12.0, 0.5, 3, 1), (0.2, 0.6, 4, 3)],
    ids=["long, odd chunks", "mostly start-up"],
)
def test_renders_end_when_they_are_said_to(
    tiny_film: Path, tmp_path: Path, median_s: float, scatter: float, chunk: int, seed: int
) -> None:
    """Of twenty, seventeen under p90 and fourteen within a fifth of p50; each forecast knows the
    renders before it only."""
    prepared = planned(tiny_film, tmp_path, chunk=chunk)
    fate = lognormal(median_s, scatter)
    for number in range(BEFORE):
        Render(prepared, fate, number=number, seed=seed).run()
    under = near = 0
    for number in range(BEFORE, BEFORE + RENDERS):
        said = forecast(prepared, calibrate=False)
        took = Render(prepared, fate, number=number, seed=seed).run() + startup_s()
        assert said.basis == "history"
        under += took <= said.finish_p90_s
        near += abs(took / said.finish_p50_s - 1) <= 0.2
    assert under >= 17
    assert near >= 14
