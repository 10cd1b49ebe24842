"""What Prefect is told of a render: on a server that is there, and on one started for the run."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tasks.encode.ffmpeg import run_ffmpeg
from tests.servers.prefect import PrefectServer
from tests.servers.ray_nodes import RayNodes

EPISODE = "source: {source}\ncut: [24]\nrecipe: [{{upscale: {{scale: 2}}}}]\n"


@pytest.fixture(scope="module")
def good(
    prefect: PrefectServer,
    ray_cluster: RayNodes,
    douga: Any,
    tiny_film: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A render that the server is told of."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "Ep 01.yaml").write_text(EPISODE.format(source=tiny_film))
    words = ("render", "Ep 01.yaml", "-o", "ep01.mkv", "--store", "store", "--json")
    ended = douga(*words, cwd=folder, **prefect.environment(), **ray_cluster.environment())
    assert ended.code == 0, ended.err
    return ended


def test_the_flow_run_has_a_task_per_shot_all_final(prefect: PrefectServer, good: Any) -> None:
    flow, tasks = prefect.runs("Ep 01")
    assert flow["state_type"] == "COMPLETED"
    assert [task["name"] for task in tasks] == ["sh010", "sh020"]
    assert [task["state_type"] for task in tasks] == ["COMPLETED"] * 2
    for task in tasks:
        assert task["tags"] == [], "Prefect would ask for a concurrency slot"
    assert good.document["prefect"].endswith(f"/runs/flow-run/{flow['id']}")


def test_the_artifacts_say_what_was_made(prefect: PrefectServer, good: Any) -> None:
    table = prefect.artifact("ep-01-shots")
    assert [(row["shot"], row["frames"], row["state"]) for row in table] == [
        ("sh010", 24, "rendered"),
        ("sh020", 24, "rendered"),
    ]
    words = prefect.artifact("ep-01-film")
    assert good.document["film"] in words
    assert good.document["run"] in words
    assert "48 frames in, 48 out, verified: yes" in words
    head, _, data = prefect.artifact("ep-01-sheet").partition(",")
    assert head == "data:image/png;base64"
    sheet = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert sheet is not None
    assert min(sheet.shape[:2]) > 40


def test_a_killed_render_is_marked_as_crashed_when_its_episode_starts_again(
    douga: Any, prefect: PrefectServer, ray_cluster: RayNodes, tiny_film: Path, tmp_path: Path
) -> None:
    film = tmp_path / "Killed.mkv"
    run_ffmpeg(["-stream_loop", "20", "-i", str(tiny_film), "-c", "copy", "-an", str(film)])
    words = ("render", film, "-o", "out.mkv", "--store", "store", "--chunk", "4", "--json")
    more = {**prefect.environment(), **ray_cluster.environment()}
    process = douga.start(*words, cwd=tmp_path, **more)

    def of_state(state: str) -> Any:
        return prefect.post(
            "flow_runs/filter",
            flow_runs={"name": {"any_": ["Killed"]}, "state": {"type": {"any_": [state]}}},
        )

    until = time.monotonic() + 120
    while not of_state("RUNNING") and time.monotonic() < until:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(of_state("RUNNING")) == 1
    ended = douga(*words, "--shots", "sh010", cwd=tmp_path, **more)
    assert ended.code == 0, ended.err
    assert not of_state("RUNNING")
    assert len(of_state("CRASHED")) == 1
    assert len(of_state("COMPLETED")) == 1


def test_two_renders_at_once_share_a_server_that_ends_with_them(
    douga: Any, tiny_film: Path, ray_cluster: RayNodes, prefect_home: Path, tmp_path: Path
) -> None:
    """Without PREFECT_API_URL; the database that stays behind holds both runs."""
    home = {"DOUGA_HOME": str(prefect_home), "DOUGA_PREFECT": "embedded"}
    more = {**home, **ray_cluster.environment(), "DOUGA_WORKERS": "1"}
    processes = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(EPISODE.format(source=tiny_film))
        words = ("render", f"{name}.yaml", "-o", f"{name}.mkv", "--store", name, "--json")
        processes.append(douga.start(*words, cwd=tmp_path, **more))
    folder = prefect_home / "prefect"
    servers = set()
    while any(process.poll() is None for process in processes):
        with suppress(FileNotFoundError):
            servers.add((folder / "server.json").read_text())
        time.sleep(0.05)
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    for out, _ in said:
        assert json.loads(out)["verified"]
        assert json.loads(out)["prefect"] is None, "no page is left to look at"
    assert len(servers - {""}) == 1
    assert not (folder / "server.json").exists()
    assert (
        shutil.which("pgrep") is None
        or not subprocess.run(
            ["pgrep", "-f", f"flows.prefect.server_process {folder}"], capture_output=True
        ).stdout
    )
    with sqlite3.connect(folder / "prefect.db") as database:
        found = database.execute(
            "select flow_run.name, flow_run.state_type, task_run.name, task_run.state_type "
            "from flow_run join task_run on task_run.flow_run_id = flow_run.id "
            "where flow_run.name in ('one', 'two') order by 1, 3"
        ).fetchall()
    final = "COMPLETED"
    assert found == [
        (run, final, shot, final) for run in ("one", "two") for shot in ("sh010", "sh020")
    ]
