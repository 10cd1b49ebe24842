"""Prefect's API for one run: the one that is configured, or a server of our own on SQLite.

A one-off render starts a real server (the in-process one loses task states at exit) on a free
port of 127.0.0.1, keeps its database under douga's home, and stops it when the states are in. Two
renders at once share the first one's server.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import ClusterError
from cluster.settings import Settings, child_environment

POLL_S = 0.1
RECORDER = {
    # Prefect's defaults lag minutes behind thousands of tasks (docs/architecture.md).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
}
CLIENT = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}


@contextmanager
def prefect_api(settings: Settings) -> Iterator[str]:
    """The URL of a Prefect API that answers, for the length of a `with`.

    Set in the environment too, so that Prefect, imported after this, uses it. ClusterError if
    none answers in time. Nothing, and an empty URL, where settings switch Prefect off.
    """
    if settings.prefect == "off":
        yield ""
        return
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    if url := os.environ.get("PREFECT_API_URL"):
        if not answers(url):
            raise ClusterError(
                f"no Prefect server answers at {url}",
                remedy="start it, or unset PREFECT_API_URL to let douga start one for the run",
            )
        yield url
        return
    folder = settings.home / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    with _Embedded(folder, settings.server_start_timeout_s) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield url
        finally:
            os.environ.pop("PREFECT_API_URL", None)


class _Embedded:
    """A server on a free port; `server.json` beside its database names it while it runs."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        note = self._folder / "server.json"
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (url := _noted(note)) is not None:
                return url
            port = _free_port()
            url = f"http://127.0.0.1:{port}/api"
            self._process = self._start(port)
            try:
                self._wait(url)
            except BaseException:
                self._stop()
                raise
            note.write_text(json.dumps({"url": url, "pid": self._process.pid}))
        return url

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            (self._folder / "server.json").unlink(missing_ok=True)
            self._stop()

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "uvicorn", "--factory"),
            *("prefect.server.api.server:create_app", "--log-level", "warning"),
            *("--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "3"),
        ]
        environment = child_environment(
            {**RECORDER, "PREFECT_HOME": str(self._folder), "PREFECT_API_URL": ""}
        )
        del environment["PREFECT_API_URL"]
        log = (self._folder / "server.log").open("wb")
        with log:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, url: str) -> None:
        process = self._process
        until = time.monotonic() + self._timeout_s
        while process is not None and process.poll() is None and time.monotonic() < until:
            if answers(url):
                return
            time.sleep(POLL_S)
        raise ClusterError(
            "Prefect's server did not start",
            remedy=f"see {self._folder / 'server.log'}, or set DOUGA_PREFECT=off",
        )

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _noted(note: Path) -> str | None:
    """The URL of a server that another render started, if it still answers."""
    try:
        url = str(json.loads(note.read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if answers(url) else None


def answers(url: str) -> bool:
    """Whether a Prefect API is up at this URL."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
