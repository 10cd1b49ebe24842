"""Pickup: the plan names the frames, exactly these are made, and no object is touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cluster.settings import settings
from cluster.store.open import open_store
from flows.commands.tables.plan import plan_document, show_plan
from flows.gc.sweep import collect
from flows.plan.partial import frame_words, missing_spans
from flows.plan.plan import RenderPlan
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.render import render
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest, make_request
from tasks.worker.item import SegmentItem, WorkItem, chunk_name
from tests.farm_here import FarmHere
from tests.servers.swift import S3Server

EPISODE = """
name: ep
source: {{path: {frames}, fps: 24}}
cut: [12, 26]
store: {store}
recipe:
  - interpolate: {{factor: 2, engine: average, keep: true}}
  - interpolate: {{rate: 60, engine: average}}
delivery: {{encoder: ffv1}}
"""
"""Three shots of 30, 35 and 25 frames in the film; a frame needs one or two of the run before."""
PICK = {"shots": "sh010", "frames": "sh020:7,12-14"}
State = dict[str, tuple[Any, ...]]


def paint(folder: Path, numbers: Any, seed: int = 0) -> None:
    """Numbered frames, all different."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (4, 6, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}.png"), cv2.resize(pixels, (48, 32)))


@dataclass
class Desk:
    """An episode whose renders run on a farm in this process."""

    folder: Path
    farm: FarmHere
    store: str
    server: S3Server | None = None

    def ask(self, **options: Any) -> RenderRequest:
        frames = self.folder.parent / "frames"
        frames = frames if frames.exists() else self.folder / "frames"
        episode = self.folder / "ep.yaml"
        episode.write_text(EPISODE.format(frames=frames, store=self.store))
        output = str(self.folder / "film.mkv")
        return make_request(str(episode), **{"output": output, "chunk": 8, **options})

    def plan(self, **options: Any) -> RenderPlan:
        return prepare(self.ask(**options), Silent()).plan

    def render(self, **options: Any) -> EpisodeResult:
        result = render(self.ask(**options), Silent(), farm=self.farm.opened)
        assert (result.failed, result.findings) == ((), ())
        return result

    def state(self) -> State:
        """Every object as its server tells: ETag, size and time; or bytes and time of files."""
        if self.server is None:
            root = self.folder / "store"
            files = (path for path in root.glob("[!.]*/**/*") if path.is_file())
            return {
                str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
                for path in files
            }
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket="pickup")
        return {
            item["Key"]: (item["ETag"], item["Size"], item["LastModified"])
            for page in pages
            for item in page.get("Contents", ())
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With a store in a folder."""
    paint(tmp_path / "frames", range(36))
    return Desk(tmp_path, FarmHere(), "store")


@pytest.fixture(params=["folder", "moto"])
def any_desk(
    request: pytest.FixtureRequest, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """With either store."""
    if request.param == "moto":
        server: S3Server = request.getfixturevalue("moto")
        server.bucket("pickup")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        desk.store, desk.server = f"s3://pickup/{desk.folder.name}", server
    yield desk
    monkeypatch.undo()
    settings.cache_clear()


def planned(plan: RenderPlan) -> list[tuple[str, int, int]]:
    """(shot, run, frame) of every frame that a plan will have computed."""
    return sorted(
        (shot.shot.id, number, frame)
        for shot in plan.shots
        for number, items in enumerate(plan.todo_by_run(shot))
        for item in items
        for span in missing_spans(item)
        for frame in span
    )


def made(items: list[Any], plan: RenderPlan) -> list[tuple[str, int, int]]:
    """(shot, run, frame) of every frame that was computed, in order of frames."""
    runs = {shot.shot.id: shot.runs for shot in plan.shots}
    return sorted(
        (item.shot, [run.makes(item) for run in runs[item.shot]].index(True), frame)
        for item in items
        if isinstance(item, WorkItem)
        for span in missing_spans(item)
        for frame in span
    )


def frames_of(film: Path) -> list[bytes]:
    with av.open(str(film)) as file:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in file.decode(video=0)]


def test_exactly_the_planned_frames_are_made_and_nothing_else_changes(any_desk: Desk) -> None:
    desk = any_desk
    desk.render(shots="sh030")
    before, since = desk.state(), len(desk.farm.made)
    plan = desk.plan(**PICK)
    words = {
        shot.shot.id: [frame_words(items) for items in plan.todo_by_run(shot)]
        for shot in plan.shots
    }
    # 60 frames a second of 48: frame 7 is between 5 and 6, frame 12 between 9 and 10.
    assert words == {
        "sh010": ["0-23", "0-29"],
        "sh020": ["5-6,9-12", "7,12-14"],
        "sh030": ["", ""],
    }
    result = desk.render(**PICK)
    assert made(desk.farm.made[since:], plan) == planned(plan)
    segments = [item.shot for item in desk.farm.made[since:] if isinstance(item, SegmentItem)]
    assert segments == ["sh010"]
    assert (result.film, result.state) == (None, "in part")
    assert [shot.state for shot in result.shots] == ["rendered", "frames rendered", "stored"]
    after = desk.state()
    assert {name: after[name] for name in before} == before
    assert planned(desk.plan(**PICK)) == []


def test_a_pickup_that_is_stored_makes_and_writes_nothing_again(desk: Desk) -> None:
    desk.render(**PICK)
    before, since = desk.state(), len(desk.farm.made)
    result = desk.render(**PICK)
    assert desk.farm.made[since:] == []
    assert result.chunks_computed == 0
    after = desk.state()
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} <= {"runs"}


def test_the_render_after_a_pickup_takes_its_frames_and_equals_one_from_scratch(
    desk: Desk, tmp_path: Path
) -> None:
    desk.render(**PICK)
    desk.render(frames="sh030:0,24 sh020:13-18", chunk=5)
    plan = desk.plan()
    done = set(made(desk.farm.made, plan))
    result = desk.render()
    assert result.state == "done"
    # Every frame, and none twice.
    assert made(desk.farm.made, plan) == sorted(
        (shot.shot.id, number, frame)
        for shot in plan.shots
        for number, run in enumerate(shot.runs)
        for frame in range(len(run.track))
    )
    last = len({(shot, at) for shot, run, at in done if run == 1 and shot != "sh010"})
    first = len({(shot, at) for shot, run, at in done if run == 0 and shot != "sh010"})
    assert (result.frames_reused, last, first) == (last + first, 10, first)

    (tmp_path / "scratch").mkdir()
    scratch = Desk(tmp_path / "scratch", desk.farm, "store")
    assert scratch.render().frames_reused == 0
    here, there = (open_store(str(one.folder / "store")) for one in (desk, scratch))
    for name in plan.names():
        assert here.get(name) == there.get(name), name
    assert frames_of(desk.folder / "film.mkv") == frames_of(scratch.folder / "film.mkv")


def test_a_partial_chunk_of_a_changed_frame_is_made_again_and_the_others_stay(desk: Desk) -> None:
    desk.render(frames="sh020:0,34")
    paint(desk.folder / "frames", [12], seed=1)  # the first of the shot
    assert {frame for _, run, frame in planned(desk.plan(frames="sh020:0,34")) if run} == {0}
    since = len(desk.farm.made)
    result = desk.render()
    anew = made(desk.farm.made[since:], desk.plan())
    last_run = {frame for shot, run, frame in anew if shot == "sh020" and run == 1}
    assert last_run == set(range(35)) - {34}
    assert result.state == "done"


def test_what_is_lost_or_damaged_of_a_pickup_is_made_again(desk: Desk) -> None:
    """Lost before it is planned with, or only then."""
    pick = "sh020:3,5,20"
    desk.render(frames=pick)
    gone, later, damaged = (
        desk.folder / "store" / chunk_name(item.key) for item in desk.plan().shots[1].partials[1]
    )
    gone.unlink()
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 255
    damaged.write_bytes(data)
    desk.farm.lose = lambda: later.unlink(missing_ok=True)
    assert desk.render(shots="sh020").chunks_computed > 0
    made = stored_chunks(desk)
    shutil.rmtree(desk.folder / "store")
    desk.render(shots="sh020")
    assert stored_chunks(desk) == made


def stored_chunks(desk: Desk) -> dict[str, bytes]:
    """The second shot's chunks."""
    store = open_store(str(desk.folder / "store"))
    return {chunk_name(i.key): store.get(chunk_name(i.key)) for i in desk.plan().shots[1].items()}


def test_partial_chunks_stay_until_their_shots_are_rendered_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUGA_GC_GRACE_H", "0")
    settings.cache_clear()
    url = (desk.folder / "store").as_uri()
    desk.render(**PICK)
    partials = {name for name in desk.state() if name.startswith(("frames/", "pieces/"))}
    collect(url, Silent())
    assert partials <= set(desk.state())
    assert planned(desk.plan(**PICK)) == []
    desk.render()
    whole = {chunk_name(item.key) for shot in desk.plan().shots for item in shot.items()}
    collect(url, Silent())
    left = {name for name in desk.state() if name.startswith(("frames/", "pieces/"))}
    assert left == whole
    assert desk.render().chunks_computed == 0


def test_the_plan_says_which_frames_it_will_make(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    document = plan_document(prepare(desk.ask(**PICK), Silent()))
    assert [shot["whole"] for shot in document["shots"]] == [True, False, False]
    assert [(run["frames"], run["pieces"]) for run in document["shots"][1]["to_make"]] == [
        ("5-6,9-12", 2),
        ("7,12-14", 2),
    ]
    assert document["shots"][2]["to_make"] == []
    assert document["shots"][2]["reason"] == "not asked for"
    show_plan(document)
    assert "7,12-14" in capsys.readouterr().out
    desk.render(**PICK)
    assert plan_document(prepare(desk.ask(), Silent()))["frames_reused"] == 10
