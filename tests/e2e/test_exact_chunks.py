"""Chunks, workers, tiles and lost workers cannot be seen in the film, frame hash by frame hash."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.ledger.history import read_ledger
from cluster.pool.pool import Pool
from cluster.settings import settings
from cluster.store.open import open_store
from flows.progress import Silent
from tasks.models.shelf import read_card
from tasks.models.tiles import plan_tiles

RECIPE = ["hold", {"interpolate": {"factor": 2}}, "upscale"]
FRAMES = 2 * 19
TILE = 48


@pytest.fixture(scope="module")
def render(lab: Any, local_ray: None) -> Callable[..., Any]:
    """Renders the recipe into a folder with a store of its own; the film's frame hashes."""
    source = lab.source("twos.mkv")
    document = {
        "source": str(source.path),
        "cut": list(source.cuts),
        "delivery": {"encoder": "ffv1"},
    }

    def now(folder: Path, recipe: list[Any] = RECIPE, **options: Any) -> list[str]:
        film = folder / "film.mkv"
        result = lab.render(folder, {**document, "recipe": recipe}, output=str(film), **options)
        assert (result.findings, result.frames_out) == ((), FRAMES)
        if "reporter" not in options:  # a killed worker may have stored what it did not report
            assert result.chunks_reused == 0
        return [frame.digest for frame in lab.look(film)]

    return now


@pytest.fixture(scope="module")
def expected(render: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The frame hashes of an undisturbed render: one worker, whole chunks, whole frames."""
    hashes = render(tmp_path_factory.mktemp("plain"), chunk=24, workers=1)
    assert len(set(hashes)) > FRAMES / 3
    return hashes


@pytest.mark.parametrize(("chunk", "workers"), [(1, 3), (7, 1)])
def test_chunk_size_and_workers_change_no_frame(
    chunk: int, workers: int, render: Callable[..., Any], expected: list[str], tmp_path: Path
) -> None:
    assert render(tmp_path, chunk=chunk, workers=workers) == expected


def test_stages_fused_in_one_worker_give_the_frames_of_stored_ones(
    render: Callable[..., Any], expected: list[str], tmp_path: Path
) -> None:
    fused = ["hold", {"interpolate": {"factor": 2, "keep": False}}, "upscale"]
    assert render(tmp_path, fused, chunk=7, workers=1) == expected
    stages = {receipt.stage for receipt in read_ledger(open_store(str(tmp_path / "store")))}
    assert stages == {"hold+interpolate+upscale", "encode"}


def test_tiles_change_no_frame(
    render: Callable[..., Any],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = read_card("upscale2x", verb="upscale")
    assert len(plan_tiles(64, 96, tile=TILE, halo=card.halo).corners) > 1
    monkeypatch.setenv("DOUGA_TILE", str(TILE))
    settings.cache_clear()
    try:
        assert render(tmp_path, chunk=24, workers=1) == expected
    finally:
        monkeypatch.undo()
        settings.cache_clear()


class Killer(Silent):
    """Kills a worker the hard way when some chunks have come back and others are under way."""

    def __init__(self, after: int) -> None:
        self.pools: list[Pool] = []
        self.left = after
        self.killed = 0

    def advance(self, units: float) -> None:
        """One chunk or segment is done."""
        self.left -= 1
        if self.left == 0:
            (pool,) = self.pools
            self.killed = pool.pids()[0]
            os.kill(self.killed, signal.SIGKILL)


@pytest.mark.parametrize("after", [2, 11], ids=["interpolating", "upscaling"])
def test_a_killed_worker_changes_no_frame(
    after: int,
    render: Callable[..., Any],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killer = Killer(after)

    enter = Pool.__enter__

    def watched(pool: Pool) -> Pool:
        killer.pools.append(pool)
        return enter(pool)

    monkeypatch.setattr(Pool, "__enter__", watched)
    assert render(tmp_path, chunk=5, workers=1, reporter=killer) == expected
    workers = {receipt.worker for receipt in read_ledger(open_store(str(tmp_path / "store")))}
    assert str(killer.killed) in workers
    assert len(workers) == 2, "another worker finished what the killed one had begun"
