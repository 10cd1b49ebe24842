"""The contract with CI by the real command: job keys, `douga wait`, its files and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from cluster.store.open import open_store
from flows.runs.find import find_place
from flows.runs.job import take_job
from flows.runs.state import read_status
from tests.servers.ray_nodes import RayNodes
from tests.servers.swift import S3Server

EPISODE = """\
source: {path: frames, fps: 24}
cut: [2]
recipe: [{upscale: {scale: 2}}]
delivery: {encoder: ffv1}
"""
DAMAGED = "frames/frame_0003.png"


@dataclass(frozen=True)
class Desk:
    """An episode of two shots in a folder, and the command that renders it there."""

    folder: Path
    douga: Any
    environment: dict[str, str]

    def words(self, *more: str) -> tuple[str, ...]:
        return ("render", "ep.yaml", "-o", "ep.mkv", "--store", "store", "--json", *more)

    def render(self, *more: str, **environment: str) -> Any:
        """Render it to its end."""
        return self(*self.words(*more), **environment)

    def start(self, *more: str) -> Any:
        """Begin to render it."""
        return self.douga.start(*self.words(*more), cwd=self.folder, **self.environment)

    def __call__(self, *words: str, **environment: str) -> Any:
        return self.douga(*words, cwd=self.folder, **self.environment, **environment)

    def wait(self, *words: str) -> Any:
        """`douga wait` in its store."""
        return self("wait", *words, "--store", "store")

    def runs(self) -> list[str]:
        """The runs that ended."""
        return sorted(path.stem for path in (self.folder / "store/runs/ep").glob("*.json"))


@pytest.fixture
def desk(douga: Any, ray_cluster: RayNodes, tmp_path: Path) -> Desk:
    write_frames(tmp_path, 4)
    (tmp_path / "ep.yaml").write_text(EPISODE)
    return Desk(tmp_path, douga, ray_cluster.environment())


def write_frames(folder: Path, count: int) -> None:
    (folder / "frames").mkdir()
    for number in range(count):
        frame = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(folder / f"frames/frame_{number:04}.png"), frame)


def test_a_job_submitted_twice_at_once_and_again_is_one(desk: Desk) -> None:
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: desk.render("--job", "build-7"), range(2)))
    assert [ended.code for ended in both] == [0, 0], [ended.err for ended in both]
    assert both[0].document == both[1].document
    assert both[0].document["chunks_computed"] == 2
    assert sum("rendering 2 of 2 shots" in ended.err for ended in both) == 1
    assert desk.runs() == [both[0].document["run"]]
    again = desk.render(DOUGA_JOB="build-7")
    assert (again.code, again.document) == (0, both[0].document)
    assert "probing" not in again.err
    other = desk.render("--job", "build-7", "--chunk", "1")
    assert other.code == 64
    (line,) = other.err.splitlines()
    assert line.startswith("douga: --job: the job 'build-7' is another request")

    waited = desk.wait("build-7", "--json", "--report", "out", "--junit", "ci/junit.xml")
    assert waited.code == 0, waited.err
    result = {**both[0].document, "schema": waited.document["schema"]}
    assert {**waited.document, **result} == waited.document
    assert (waited.document["state"], waited.document["exit_code"]) == ("done", 0)
    assert all(line.startswith("douga: wrote ") for line in waited.err.splitlines())
    for path in ("out/junit.xml", "ci/junit.xml"):
        cases = ET.parse(desk.folder / path).getroot().iter("testcase")
        assert [(each.get("classname"), each.get("name"), len(each)) for each in cases] == [
            *(("ep", "sh010", 0), ("ep", "sh020", 0), ("ep", "film", 0))
        ]
    page = (desk.folder / "out/report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2, "a picture of each shot"
    assert "http://" not in page
    report = json.loads((desk.folder / "out/report.json").read_text())
    assert {**report, "schema": waited.document["schema"]} == waited.document


def test_a_failed_job_is_told_as_such_and_made_good_under_its_key(desk: Desk) -> None:
    damaged = desk.folder / DAMAGED
    good = damaged.read_bytes()
    data = bytearray(good)
    data[len(data) // 2] ^= 0x10
    damaged.write_bytes(data)
    failed = desk.render("--job", "k")
    assert failed.code == 1
    waited = desk.wait("ep", "--junit", "junit.xml")
    assert waited.code == 1
    assert "sh020" in waited.out
    assert waited.err.splitlines()[-1] == failed.err.splitlines()[-1]
    cases = {
        each.get("name"): each for each in ET.parse(desk.folder / "junit.xml").iter("testcase")
    }
    assert [child.tag for child in cases["sh020"]] == ["failure", "system-out"]
    assert "frame_0003.png" in cases["sh020"][0].attrib["message"]
    link = cases["sh020"].findtext("system-out")
    assert link == "[[ATTACHMENT|logs/ep/sh020.txt]]"
    assert "attempt 1, worker" in (desk.folder / "logs/ep/sh020.txt").read_text()

    damaged.write_bytes(good)
    mended = desk.render("--job", "k")
    assert mended.code == 0, mended.err
    assert desk.runs() == [failed.document["run"], mended.document["run"]]


def test_a_killed_run_is_told_dead_and_its_job_taken_over(desk: Desk) -> None:
    shutil.rmtree(desk.folder / "frames")
    write_frames(desk.folder, 16)
    process = desk.start("--job", "k", "--chunk", "1")
    begun = desk.folder / "store/begun/runs/ep"
    while process.poll() is None and not any(desk.folder.glob("store/frames/*/*.arrow")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGSTOP)
    running = desk.wait("ep", "--timeout", "0", "--json")
    assert running.code == 124
    assert (running.document["state"], running.document["exit_code"]) == ("running", None)
    assert "running still after 0 s; it goes on" in running.err
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    (left,) = begun.glob("*.json")
    died = desk.wait(left.stem, "--junit", "junit.xml")
    assert died.code == 1
    assert "gives no sign of life; what was finished is kept; run the same again" in died.err
    assert ET.parse(desk.folder / "junit.xml").getroot().attrib["errors"] == "1"
    again = desk.render("--job", "k", "--chunk", "1")
    assert again.code == 0, again.err
    assert again.document["chunks_reused"] > 0
    shown = desk("status", "--store", "store", "--json").document["runs"]
    assert [run["state"] for run in shown] == ["done", "died"]


def test_what_stops_a_run_before_its_first_shot_is_on_record(desk: Desk) -> None:
    ended = desk.douga(*desk.words("--ray", "127.0.0.1:1"), cwd=desk.folder)
    assert ended.code == 1
    waited = desk.wait("ep", "--json")
    assert (waited.code, waited.document["state"]) == (1, "failed")
    assert waited.err.splitlines()[-1] == ended.err.splitlines()[-1]


def test_a_name_that_nothing_has_is_a_usage_error(desk: Desk) -> None:
    store = open_store(str(desk.folder / "store"))
    store.put("runs/ep01/20260301T220000-ab12.json", b"{}")
    ended = desk.wait("ep0l")
    assert ended.code == 64
    assert ended.out == ""
    assert "did you mean ep01?" in ended.err


@pytest.mark.parametrize("service", ["moto", "swift"])
def test_jobs_and_records_rest_in_s3(
    service: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: S3Server = request.getfixturevalue(service)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    from cluster.settings import settings

    settings.cache_clear()
    try:
        store = open_store(f"s3://{server.bucket('jobs')}/x")
        given = {"asked": "q", "command": "c"}
        claim, mine = take_job(store, "k", place="runs/ep/a", **given)
        assert mine
        assert take_job(store, "k", place="runs/ep/b", **given) == (claim, False)
        assert find_place(store, "k") == ("runs/ep/a", claim.name)
        seen = read_status(store, "runs/ep/a", claim=claim.name)
        assert seen is not None
        assert seen.state == "running"
    finally:
        monkeypatch.undo()
        settings.cache_clear()
