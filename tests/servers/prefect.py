"""A Prefect server on a free port of 127.0.0.1, its database in a folder."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.network import free_port
from cluster.settings import child_environment

START_TIMEOUT_S = 90.0
BUSY_S = 60.0
"""How long a server whose database is busy is asked again."""


@dataclass(frozen=True)
class PrefectServer:
    """Where the server is: its API, which `post` asks with a filter."""

    api: str

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.api).port or 0

    def environment(self) -> dict[str, str]:
        """Variables with which douga tells this server of a render."""
        return {"PREFECT_API_URL": self.api, "DOUGA_PREFECT": "embedded"}

    def runs(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The one flow run of a name, and its task runs in the order of their names."""
        (flow,) = self.post("flow_runs/filter", flow_runs={"name": {"any_": [name]}})
        tasks = self.post("task_runs/filter", flow_runs={"id": {"any_": [flow["id"]]}})
        return flow, sorted(tasks, key=lambda task: str(task["name"]))

    def artifact(self, key: str) -> Any:
        """What the newest artifact of a key holds: a table's rows, or words."""
        (found,) = self.post("artifacts/latest/filter", artifacts={"key": {"any_": [key]}})
        return json.loads(found["data"]) if found["type"] == "table" else found["data"]

    def post(self, path: str, **body: Any) -> Any:
        """What the API answers, for example to `post("flow_runs/filter", limit=5)`; asked again
        while its database is busy, as Prefect's own client does."""
        request = urllib.request.Request(
            f"{self.api}/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        until = time.monotonic() + BUSY_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def delete(self, path: str) -> None:
        """Have the API forget something."""
        request = urllib.request.Request(f"{self.api}/{path}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def prefect_server(folder: Path, *, port: int = 0) -> Iterator[PrefectServer]:
    """A server with its database in `folder`, for the length of the block; 0 is any free port."""
    port = port or free_port("127.0.0.1")
    command = ["-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    environment = child_environment({"PREFECT_HOME": str(folder)})
    environment.pop("PREFECT_API_URL", None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/api/health", folder / "log")
        yield PrefectServer(f"http://127.0.0.1:{port}/api")
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Prefect's server did not start\n{log.read_text()[-2000:]}")
