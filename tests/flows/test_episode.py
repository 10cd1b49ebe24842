"""The flow as a deployment runs it: on record, and once for a job, as from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cluster.settings import child_environment
from cluster.store.open import open_store
from flows.progress import Silent
from flows.render import render
from flows.runs.state import places, read_status
from flows.spec.request import make_request
from tests.farm_here import FarmHere
from tests.servers.prefect import PrefectServer

DEPLOYED = """
import json, sys
from flows.episode import render_episode
print(json.dumps(render_episode(json.loads(sys.argv[1]))))
"""


def test_a_deployment_puts_its_run_on_record_and_does_a_job_once(
    prefect: PrefectServer, tiny_film: Path, tmp_path: Path
) -> None:
    (tmp_path / "ep.yaml").write_text(f"source: {tiny_film}\nrecipe: [hold]\nstore: store\n")
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
    assert places(store) == [f"runs/ep/{run}" for run in (rendered.run, first["run"])]
    status = read_status(store, f"runs/ep/{first['run']}")
    assert status is not None
    assert (status.state, status.document["job"], status.document["command"]) == (
        "done",
        "build-7",
        "douga render ep",
    )
