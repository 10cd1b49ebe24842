"""Prefect's API for one run: the one that is configured, or a server of our own on SQLite.

A one-off render starts a real server (the in-process one loses task states at exit) on a free
port of 127.0.0.1, keeps its database under douga's home, and stops it when the states are in.
Renders at the same time share one server, which ends when the last of them does.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cluster.errors import ClusterError
from cluster.settings import child_environment, home_folder, settings

POLL_S = 0.1
STOP_TIMEOUT_S = 15.0
RECORDER = {
    # Prefect's defaults lag minutes behind thousands of tasks (docs/architecture.md).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
}
CLIENT = {
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Errors reach the terminal as one line of ours; the server has them in full.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """Where Prefect's API is; `lasting`: it goes on when the run is over."""

    url: str
    lasting: bool


@contextmanager
def prefect_api(*, given_up: threading.Event | None = None) -> Iterator[PrefectApi]:
    """A Prefect API that answers, for the length of a `with`.

    Set in the environment too, for Prefect's own threads. ClusterError if none answers in time,
    or when `given_up` is set while one is starting.
    """
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    if url := configured_api():
        yield PrefectApi(url, lasting=True)
        return
    folder = home_folder("prefect")
    # What Prefect's client keeps goes there too, not into the user's home.
    os.environ.setdefault("PREFECT_HOME", str(folder))
    timeout_s = settings().server_start_timeout_s
    with _Embedded(folder, timeout_s, given_up or threading.Event()) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield PrefectApi(url, lasting=False)
        finally:
            os.environ.pop("PREFECT_API_URL", None)


def configured_api() -> str:
    """The API that PREFECT_API_URL names, empty if it names none. ClusterError if it is silent."""
    url = os.environ.get("PREFECT_API_URL", "")
    if url and not answers(url):
        raise ClusterError(
            f"no Prefect server answers at {url}",
            remedy="start it, or unset PREFECT_API_URL to let douga start one for the run",
        )
    return url


class _Embedded:
    """A server on a free port, shared; `server.json` beside its database names it.

    `lock` orders who comes and goes; a shared lock on `users` is held by every render that uses
    the server (see prefect_server.py).
    """

    def __init__(self, folder: Path, timeout_s: float, given_up: threading.Event) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._given_up = given_up
        self._process: subprocess.Popen[bytes] | None = None
        self._hold: BinaryIO | None = None

    def __enter__(self) -> str:
        with self._alone():
            self._hold = (self._folder / "users").open("ab")
            fcntl.flock(self._hold, fcntl.LOCK_SH)
            try:
                url = self._noted() or self._start()
            except BaseException:
                self._leave()
                raise
        return url

    def __exit__(self, *_: object) -> None:
        with self._alone():
            self._leave()

    def _leave(self) -> None:
        """Let go of the server, and wait for its end if nobody else holds it."""
        assert self._hold is not None
        self._hold.close()
        if self._is_held():
            return
        until = time.monotonic() + STOP_TIMEOUT_S
        while self._runs() and time.monotonic() < until:
            time.sleep(POLL_S)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        (self._folder / "server.json").unlink(missing_ok=True)

    def _runs(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._noted() is not None or self._is_ending()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_held(self) -> bool:
        """Whether a render holds the server; not where the server itself took the lock to end."""
        return not self._can_lock(fcntl.LOCK_EX) and not self._is_ending()

    def _is_ending(self) -> bool:
        """Whether a server took the lock to end, and has not ended yet."""
        return not self._can_lock(fcntl.LOCK_SH)

    def _can_lock(self, kind: int) -> bool:
        with (self._folder / "users").open("rb") as users:
            try:
                fcntl.flock(users, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def _noted(self) -> str | None:
        """The URL of a server that another render started, if it still answers."""
        try:
            url = str(json.loads((self._folder / "server.json").read_text())["url"])
        except (OSError, ValueError, KeyError):
            return None
        return url if answers(url) else None

    def _start(self) -> str:
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        environment = child_environment(
            {**RECORDER, "PREFECT_HOME": str(self._folder), "PREFECT_SERVER_UI_API_URL": url}
        )
        environment.pop("PREFECT_API_URL", None)
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                # -P: a fastapi.py in the folder where a person happens to be is not meant.
                [sys.executable, "-P", "-m", "flows.prefect_server", str(self._folder), str(port)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(url)
        (self._folder / "server.json").write_text(json.dumps({"url": url}))
        return url

    def _wait(self, url: str) -> None:
        process = self._process
        until = time.monotonic() + self._timeout_s
        while process is not None and process.poll() is None and time.monotonic() < until:
            if answers(url):
                return
            if self._given_up.wait(POLL_S):
                raise ClusterError("the run ended before Prefect's server was up")
        raise ClusterError(
            "Prefect's server did not start",
            remedy=f"see {self._folder / 'server.log'}, or set DOUGA_PREFECT=off",
        )


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
