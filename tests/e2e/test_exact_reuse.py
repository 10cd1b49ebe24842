"""What is stored is not made again, and what is changed makes again only what it touches."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import opentimelineio as otio
import pytest

from cluster.ledger.history import read_ledger
from cluster.store.open import open_store
from flows.farm.farm import OpenFarm
from flows.plan.plan import RenderPlan
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.runs.result import EpisodeResult
from tasks.worker.item import chunk_name

CHUNK = 8
APART_S = 0.001 + 1 / 48_000
FIRST = {"interpolate": {"factor": 2, "engine": "average", "keep": True}}
LAST = {"interpolate": {"rate": 60, "engine": "average"}}


@dataclass
class Bench:
    """One source, one store: renders of changing recipes and cuts into it."""

    lab: Any
    folder: Path
    document: dict[str, Any]

    def __call__(self, *, farm: OpenFarm | None = None, **changes: Any) -> EpisodeResult:
        result: EpisodeResult = self.lab.render(
            self.folder, {**self.document, **changes}, farm=farm, output=str(self.film), chunk=CHUNK
        )
        assert (result.findings, result.verified) == ((), True)
        return result

    def plan(self, **changes: Any) -> RenderPlan:
        """The plan of the same, given what is stored now."""
        request = self.lab.request(
            self.folder, {**self.document, **changes}, output=str(self.film), chunk=CHUNK
        )
        return prepare(request, Silent()).plan

    @property
    def film(self) -> Path:
        return self.folder / "film.mkv"

    def objects(self) -> dict[str, tuple[bytes, int]]:
        """Every stored chunk: bytes, and when they were written."""
        frames = self.folder / "store" / "frames"
        return {
            str(path.relative_to(frames)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in frames.rglob("*.arrow")
        }

    def stages_of(self, run: str) -> set[tuple[str, str]]:
        """(shot, stage) of everything that a run did."""
        receipts = read_ledger(open_store(str(self.folder / "store")), run=run)
        return {(r.shot, r.stage) for r in receipts if not r.reused}


@pytest.fixture
def bench(lab: Any, local_ray: None, tmp_path: Path) -> Bench:
    source = lab.source("23.976.mkv")
    document = {
        "source": str(source.path),
        "cut": list(source.cuts),
        "recipe": [FIRST, "hold"],
        "delivery": {"encoder": "ffv1"},
    }
    return Bench(lab, tmp_path, document)


def no_farm(*_: Any) -> Any:
    """In place of `open_farm`, without which neither Ray nor Prefect is started."""
    raise AssertionError("a run with nothing to do started something")


def test_a_second_run_computes_nothing_and_starts_nothing(bench: Bench) -> None:
    first = bench()
    assert first.chunks_computed > 0
    assert first.chunks_reused == 0
    before, film = bench.objects(), bench.film.read_bytes()
    frames = [frame.digest for frame in bench.lab.look(bench.film)]
    second = bench(farm=no_farm)
    assert (second.chunks_computed, second.chunks_reused) == (0, first.chunks_computed)
    assert bench.film.read_bytes() == film
    bench.film.unlink()
    third = bench(farm=no_farm)
    assert third.chunks_computed == 0
    assert [frame.digest for frame in bench.lab.look(bench.film)] == frames
    assert bench.objects() == before


def test_a_damaged_film_is_assembled_again_from_what_is_stored(bench: Bench) -> None:
    bench()
    frames = [frame.digest for frame in bench.lab.look(bench.film)]
    data = bytearray(bench.film.read_bytes())
    data[len(data) // 2] ^= 255
    bench.film.write_bytes(data)
    bench(farm=no_farm)
    assert [frame.digest for frame in bench.lab.look(bench.film)] == frames


def test_another_last_stage_leaves_the_stages_before_it(bench: Bench) -> None:
    bench()
    before = bench.objects()
    changed = bench(recipe=[FIRST, LAST])
    plan = bench.plan(recipe=[FIRST, LAST])
    kept = {chunk_name(item.key) for shot in plan.shots for item in shot.runs[0].items}
    made = {chunk_name(item.key) for shot in plan.shots for item in shot.runs[1].items}
    after = bench.objects()
    assert {name: after[name] for name in before} == before, "not a byte was written again"
    assert {f"frames/{name}" for name in after.keys() - before.keys()} == made
    assert kept <= {f"frames/{name}" for name in before}
    assert (changed.chunks_computed, changed.chunks_reused) == (len(made), len(kept))


def test_a_moved_cut_makes_again_only_the_shots_beside_it(bench: Bench) -> None:
    cut = list(bench.document["cut"])
    bench()
    before = bench.objects()
    moved = bench(cut=[*cut[:-1], cut[-1] - CHUNK // 2])
    done = {shot.id: shot.computed for shot in moved.shots}
    assert (done["sh010"], done["sh020"]) == (0, 0)
    # sh030 loses its last frames: of each of its two runs only the last chunks are new.
    assert 0 < done["sh030"] < {shot.id: shot.chunks for shot in moved.shots}["sh030"]
    assert done["sh040"] > 0
    assert {shot for shot, _ in bench.stages_of(moved.run)} == {"sh030", "sh040"}
    after = bench.objects()
    assert {name: after[name] for name in before} == before


def test_an_edit_that_moves_and_trims_shots_keeps_them_and_their_sound(bench: Bench) -> None:
    source = bench.lab.source("23.976.mkv")
    bench(recipe=[FIRST])
    before = bench.objects()
    first, _, last = source.cuts
    picked = [range(last, 48), range(first), range(first + 1, last - 6)]
    write_edit(bench.folder / "edit.otio", source, picked)
    edited = bench(recipe=[FIRST], cut=str(bench.folder / "edit.otio"))
    shown = [frame for part in picked for frame in part]
    assert (edited.frames_in, edited.frames_out) == (len(shown), 2 * len(shown))
    # Moved shots are not made again; of the trimmed one only the chunk that its new end is in.
    assert [shot.computed for shot in edited.shots] == [0, 0, 1]
    after = bench.objects()
    assert {name: after[name] for name in before} == before
    seen = bench.lab.look(bench.film)
    assert [frame.number for frame in seen[::2]] == shown
    marked = [2 * place for place, frame in enumerate(shown) if frame in source.beeps]
    assert len(marked) == 2
    assert bench.lab.beeps(bench.film) == pytest.approx(
        [float(seen[place].time) for place in marked], abs=APART_S
    )


def write_edit(path: Path, source: Any, picked: list[range]) -> None:
    """A timeline of ranges of the source's frames."""
    rate = float(source.rate)
    track = otio.schema.Track(kind=otio.schema.TrackKind.Video)
    for part in picked:
        shown = otio.opentime.TimeRange(
            otio.opentime.RationalTime(part.start, rate),
            otio.opentime.RationalTime(len(part), rate),
        )
        media = otio.schema.ExternalReference(target_url=str(source.path))
        track.append(otio.schema.Clip(name="", media_reference=media, source_range=shown))
    timeline = otio.schema.Timeline(tracks=[track])
    otio.adapters.write_to_file(timeline, str(path), "otio_json")


def test_one_painted_over_frame_makes_again_only_the_chunks_that_read_it(
    bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    paint(folder, range(36))
    source: dict[str, Any] = {"source": {"path": str(folder), "fps": 24}, "cut": [20], "recipe": []}
    bench(**source)
    before = bench.objects()
    paint(folder, [10], seed=9)
    changed = bench(**source)
    assert changed.chunks_computed == 1
    assert bench.stages_of(changed.run) == {("sh010", "decode"), ("sh010", "encode")}
    after = bench.objects()
    assert {name: after[name] for name in before} == before
    # The last shot loses 4 frames: its first chunk stays, its last one is another.
    for number in range(32, 36):
        (folder / f"{number:04d}.png").unlink()
    trimmed = bench(**source)
    assert bench.stages_of(trimmed.run) == {("sh020", "decode"), ("sh020", "encode")}
    assert trimmed.chunks_computed == 1
    assert trimmed.frames_out == 32


def test_what_is_lost_from_the_store_is_made_again_and_nothing_else(bench: Bench) -> None:
    bench()
    frames = [frame.digest for frame in bench.lab.look(bench.film)]
    before = bench.objects()
    shot = bench.plan().shots[2]
    assert shot.segment is not None
    lost = chunk_name(shot.runs[1].items[0].key)
    store = bench.folder / "store"
    (store / lost).unlink()
    shutil.rmtree(store / "segments")
    bench.film.unlink()
    again = bench()
    assert again.chunks_computed == 1
    assert bench.objects().keys() == before.keys()
    assert {name: data for name, (data, _) in bench.objects().items()} == {
        name: data for name, (data, _) in before.items()
    }, "the same key has the same bytes"
    assert [frame.digest for frame in bench.lab.look(bench.film)] == frames


def paint(folder: Path, numbers: Any, seed: int = 0) -> None:
    """Numbered PNGs, all different."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        pixels = cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (48, 32))
        cv2.imwrite(str(folder / f"{number:04d}.png"), pixels)
