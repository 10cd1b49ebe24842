"""Nights by the real command: rendered, compared, and started by a Prefect server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.servers.prefect import PrefectServer
from tests.servers.ray_nodes import RayNodes

EPISODE = """source: {film}
cut: [24]
recipe: [{{upscale: {{scale: 2}}}}]
delivery: {{output: {name}.mkv}}
"""
NIGHTLY = "store: store\nschedule: {{cron: '{cron}', timezone: Asia/Tokyo}}\nepisodes:\n{episodes}"
SOON_S = 120.0
"""Nothing here takes a quarter of it on an idle machine."""


@pytest.fixture(scope="module")
def nights(
    douga: Any, ray_cluster: RayNodes, tiny_film: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A folder with two nights of two episodes, the second with one of them spoilt by its
    encoder; what both commands said."""
    folder = tmp_path_factory.mktemp("nights")
    for name in ("ep1", "ep2"):
        (folder / f"{name}.yaml").write_text(EPISODE.format(film=tiny_film, name=name))
    more = {**ray_cluster.environment(), "DOUGA_WORKERS": "1"}
    words = ("nightly", "nightly.yaml", "--report", "report", "--json")
    said = []
    for quality in ("", ", quality: 34"):
        episodes = f"  - {{path: ep1.yaml{quality}, priority: 1}}\n  - ep2.yaml\n"
        text = NIGHTLY.format(cron="0 22 * * *", episodes=episodes)
        (folder / "nightly.yaml").write_text(text)
        said.append(douga(*words, cwd=folder, **more))
    return folder, *said


def test_a_first_night_is_good(nights: Any) -> None:
    _, first, _ = nights
    assert first.code == 0, first.err
    episodes = first.document["episodes"]
    assert [(each["episode"], each["state"]) for each in episodes] == [
        ("ep1", "done"),
        ("ep2", "done"),
    ]
    assert all(Path(each["film"]).is_file() for each in episodes)
    assert [(each["computed"], each["reused"]) for each in episodes] == [(2, 0), (0, 2)]
    assert episodes[0]["cpu_hours"] > 0


def test_a_worse_film_fails_the_night_and_shows_the_frame_before_and_after(nights: Any) -> None:
    folder, first, second = nights
    assert second.code == 2, second.err
    assert "regressed: ep1 sh010" in second.err
    spoilt, same = second.document["episodes"]
    assert spoilt["compared"] == first.document["night"]
    assert not any(shot["regressions"] for shot in same["shots"])
    assert all(shot["psnr"] == 99 for shot in same["shots"])
    found = spoilt["shots"][0]["regressions"][0]
    assert (found["measure"], found["limit"]) == ("psnr", 36)
    before, after = (
        cv2.imread(str(folder / "store" / found[name])) for name in ("before", "after")
    )
    assert before is not None
    assert after is not None
    assert before.shape == after.shape == (96, 128, 3)
    assert cv2.PSNR(before, after) == pytest.approx(found["now"], abs=0.01)
    for name in ("report.html", "report.json", "junit.xml"):
        assert (folder / "report" / name).stat().st_size > 500


def test_the_dry_run_says_what_a_night_would_take(nights: Any, douga: Any) -> None:
    folder, *_ = nights
    ended = douga("nightly", "nightly.yaml", "--dry-run", "--json", cwd=folder)
    assert ended.code == 0, ended.err
    assert [each["episode"] for each in ended.document["taken"]] == ["ep1", "ep2"]
    assert ended.document["chunks"] == 0
    nights_kept = list((folder / "store/nights/nightly").glob("*.json"))
    assert len(nights_kept) == 2, "a dry run is no night"


@contextmanager
def served(douga: Any, folder: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`douga up`, ended with the block however that ends."""
    process = douga.start(
        "up", "--nightly", "nightly.yaml", "--json", "--no-desk", *words, cwd=folder, **more
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=SOON_S)
            except subprocess.TimeoutExpired:
                process.kill()


def awaited(what: Any, said: str) -> Any:
    """What `what` gives once that is something. AssertionError if it is not in time."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not in {SOON_S:g} s: {said}")


def deployments(server: PrefectServer, name: str) -> list[dict[str, Any]]:
    return server.post("deployments/filter", deployments={"name": {"any_": [name]}})


def start_by_hand(server: PrefectServer, deployment: str) -> str:
    """What `prefect deployment run` asks the server for; the flow run's name."""
    run = server.post(f"deployments/{deployment}/create_flow_run", state={"type": "SCHEDULED"})
    return str(run["id"])


def test_a_deployment_is_put_there_once_runs_nights_and_is_taken_away(
    nights: Any, douga: Any, prefect: PrefectServer, ray_cluster: RayNodes
) -> None:
    folder, *_ = nights
    more = {"PREFECT_API_URL": prefect.api, "DOUGA_PREFECT": "off", **ray_cluster.environment()}
    kept = folder / "store/nights/nightly"
    with served(douga, folder, **more) as process:
        (deployed,) = awaited(lambda: deployments(prefect, "nightly"), "the deployment")
        (schedule,) = deployed["schedules"]
        assert schedule["schedule"]["cron"] == "0 22 * * *"
        assert schedule["schedule"]["timezone"] == "Asia/Tokyo"
        before = set(kept.iterdir())
        run = start_by_hand(prefect, deployed["id"])

        def ended() -> Any:
            (found,) = prefect.post("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
            final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
            return found if found["state_type"] in final else None

        state = awaited(ended, "the end of the night")
        assert state["state_name"] == "Wanting", state["state"]["message"]
        assert "regressed: ep1 sh010" in state["state"]["message"]
        (night,) = set(kept.iterdir()) - before
        assert json.loads(night.read_text())["exit_code"] == 2
        assert [row["episode"] for row in prefect.artifact("nightly-night")] == ["ep1", "ep2"]

        file = folder / "nightly.yaml"
        file.write_text(file.read_text().replace("0 22 * * *", "30 23 * * *"))
        again = douga("up", "--nightly", "nightly.yaml", "--json", cwd=folder, **more)
        assert again.code == 0, again.err
        assert not again.document["served"]
        (updated,) = deployments(prefect, "nightly")
        assert updated["id"] == deployed["id"]
        crons = [each["schedule"]["cron"] for each in updated["schedules"]]
        assert crons == ["30 23 * * *"]

        gone = douga("down", "--nightly", "nightly.yaml", "--json", cwd=folder, **more)
        assert gone.document == {"schema": "douga/down-1", "taken_away": ["nightly/nightly"]}
        assert deployments(prefect, "nightly") == []
        out, err = process.communicate(timeout=SOON_S)
        assert process.returncode == 0, err
        assert json.loads(out)["deployment"] == "nightly/nightly"
