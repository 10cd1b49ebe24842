"""The flow, as a deployment runs it and as a run shows itself: nothing that Prefect's server does
stops the run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import child_environment
from cluster.store.open import open_store
from flows.prefect import show
from flows.progress import Silent
from flows.render import render
from flows.runs.result import EpisodeResult
from flows.runs.state import places, read_status
from flows.spec.request import make_request
from tests.conftest import ROOT
from tests.farm_here import FarmHere
from tests.servers.prefect import PrefectServer, prefect_server

DEPLOYED = """
import json, sys
from flows.episode import render_episode
print(json.dumps(render_episode(json.loads(sys.argv[1]))))
"""


def test_a_deployment_puts_its_run_on_record_and_does_a_job_once(
    prefect: PrefectServer, tiny_film: Path, tmp_path: Path
) -> None:
    (tmp_path / "ep.yaml").write_text(
        f"name: deployed\nsource: {tiny_film}\nrecipe: [hold]\nstore: store\n"
    )
    film = tmp_path / "ep.mkv"
    request = make_request(str(tmp_path / "ep.yaml"), output=str(film), command="douga render ep")
    rendered = render(request, Silent(), farm=FarmHere().opened)
    film.unlink()

    def deployed() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", DEPLOYED, request.model_dump_json()],
            env=child_environment({**prefect.environment(), "DOUGA_JOB": "build-7"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return document

    first, again = deployed(), deployed()
    assert film.is_file()
    assert first["chunks_computed"] == 0
    assert again["run"] == first["run"] != rendered.run
    store = open_store(request.store)
    assert places(store) == [f"runs/deployed/{run}" for run in (rendered.run, first["run"])]
    status = read_status(store, f"runs/deployed/{first['run']}")
    assert status is not None
    assert (status.state, status.document["job"], status.document["command"]) == (
        "done",
        "build-7",
        "douga render ep",
    )


SHOWN = """
import sys
from pathlib import Path
from flows.progress import Plain
from flows.render import render
from flows.spec.request import make_request
from tests.farm_here import FarmHere

here = Path(sys.argv[1])
def wait():
    number = len(farm.made)
    (here / f"begun{number}").touch()
    while not (here / f"go{number}").exists():
        pass
farm = FarmHere(lose=wait)
request = make_request(str(here / "ep.yaml"), output=str(here / "ep.mkv"), chunk=24)
result = render(request, Plain(), farm=farm.opened, check=lambda _: None)
print(result.verified, result.prefect)
"""


@pytest.fixture
def shown(
    prefect_home: Path, tiny_film: Path, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a run of two shots, told where Prefect's server is; it waits before each chunk."""
    (tmp_path / "ep.yaml").write_text(
        f"source: {tiny_film}\ncut: [24]\nrecipe: [upscale]\nstore: store\n"
    )
    with ExitStack() as stack:

        def start(**more: str) -> subprocess.Popen[str]:
            home = {"DOUGA_HOME": str(prefect_home), "PYTHONPATH": str(ROOT)}
            process = subprocess.Popen(
                [sys.executable, "-c", SHOWN, str(tmp_path)],
                env=child_environment({**home, "DOUGA_SHOTS_AT_ONCE": "1", **more}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            return process

        yield start


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_server_that_goes_and_comes_back_is_told_everything_once(
    shown: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """It dies when the first shot is begun and is there again when the second one is made."""
    (tmp_path / "server").mkdir()
    with prefect_server(tmp_path / "server") as server:
        process = shown(**server.environment())
        wait_for(tmp_path / "begun0", process)
        while not server.post("flow_runs/filter"):
            time.sleep(0.1)
    (tmp_path / "go0").touch()
    wait_for(tmp_path / "begun2", process)
    with prefect_server(tmp_path / "server", port=server.port):
        (tmp_path / "go2").touch()
        out, err = process.communicate()
        assert process.returncode == 0, err
        flow, tasks = server.runs("ep")
    assert flow["state_type"] == "COMPLETED"
    found = [(task["name"], task["state_type"]) for task in tasks]
    assert found == [("sh010", "COMPLETED"), ("sh020", "COMPLETED")]
    assert out.split() == ["True", f"{server.api.removesuffix('/api')}/runs/flow-run/{flow['id']}"]


def test_a_run_that_waits_for_people_is_not_shown_as_done_and_says_why(
    prefect: PrefectServer, shown: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """It was green, and held no logs."""
    with (tmp_path / "ep.yaml").open("a") as episode:
        episode.write("name: waits\nreview: {gate: true}\n")
    for number in (0, 2):
        (tmp_path / f"go{number}").touch()
    process = shown(**prefect.environment())
    _, err = process.communicate()
    assert process.returncode == 0, err
    flow, _ = prefect.runs("waits")
    assert (flow["state_type"], flow["state_name"]) == ("PAUSED", "Waiting for review")
    logs = prefect.post("logs/filter", logs={"flow_run_id": {"any_": [flow["id"]]}})
    said = " ".join(line["message"] for line in logs)
    assert all(word in said for word in ("sh010: rendered", "sh020", "douga approve"))


class Listening(Silent):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def note(self, text: str) -> None:
        self.noted.append(text)


def render_here(film: Path, folder: Path) -> tuple[EpisodeResult, list[str]]:
    """What came of a run in this process, and its notes."""
    (folder / "ep.yaml").write_text(f"source: {film}\nrecipe: [hold]\nstore: store\n")
    request = make_request(str(folder / "ep.yaml"), output=str(folder / "ep.mkv"))
    said = Listening()
    result = render(request, said, farm=FarmHere().opened, check=lambda _: None)
    return result, said.noted


def test_a_server_that_never_comes_is_a_note(
    tiny_film: Path,
    tmp_path: Path,
    set_variables: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(show, "SETTLES_WITHIN_S", 1)
    set_variables(DOUGA_PREFECT="auto", PREFECT_API_URL="http://127.0.0.1:9/api")
    result, noted = render_here(tiny_film, tmp_path)
    assert (result.verified, result.prefect) == (True, None)
    (note,) = (line for line in noted if "Prefect" in line)
    assert note.startswith("Prefect does not know the end of this run: ")
    assert "127.0.0.1:9" in note


def test_a_short_run_starts_no_server(
    tiny_film: Path, tmp_path: Path, set_variables: Callable[..., None]
) -> None:
    home = tmp_path / "home"
    set_variables(DOUGA_PREFECT="auto", DOUGA_HOME=str(home))
    result, noted = render_here(tiny_film, tmp_path)
    assert (result.verified, result.prefect) == (True, None)
    assert not any("Prefect" in line for line in noted)
    assert not (home / "prefect").exists()
