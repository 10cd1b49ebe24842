"""Prefect's API for one run: the one that is configured, or a server of our own on SQLite.

A one-off render starts a real server (the in-process one loses task states at exit) on a free
port of 127.0.0.1, keeps its database under douga's home, and stops it when the states are in.
Renders at the same time share one server, which ends when the last of them does. It lets in whoever
has its password: PREFECT_SERVER_API_AUTH_STRING, or one made for it, in a file of its owner's.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cluster.errors import ClusterError
from cluster.network import check_listening, free_port
from cluster.settings import child_environment, foreign, home_folder, quiet_environment, settings
from flows.prefect.api import PrefectApi, configured_api, is_up

POLL_S = 0.1
STOP_TIMEOUT_S = 4.0
"""How long a server may take to end; one that is starting still is ended by then."""
PORT_TRIES = 3
"""How often a server is started that ends at once: another process may take its port first."""
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
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # What it shows is worth no minutes of waiting (its default: 5 tries again, a minute a request).
    "PREFECT_CLIENT_MAX_RETRIES": "2",
    # Signs of life: of a run that gives none any more the server knows that it was killed.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Between two looks of `douga up` for runs that are due.
    "PREFECT_WORKER_QUERY_SECONDS": "3",
    "PREFECT_WORKER_PREFETCH_SECONDS": "0",
}


@contextmanager
def prefect_api(*, cancelled: threading.Event | None = None) -> Iterator[PrefectApi]:
    """A Prefect API that answers, for the length of a `with`.

    Set in the environment too, for Prefect's own threads. ClusterError if none answers in time,
    or when `cancelled` is set while one is starting.
    """
    os.environ.update(quiet_environment())
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    if url := configured_api():
        yield PrefectApi(url, lasting=True)
        return
    folder = home_folder("prefect")
    with suppress(OSError):  # an earlier version made it, and its database, readable for all
        folder.chmod(0o700)
        (folder / "prefect.db").chmod(0o600)
    # What Prefect's client keeps goes there too, not into the user's home.
    os.environ.setdefault("PREFECT_HOME", str(folder))
    timeout_s = settings().server_start_timeout_s
    with _Embedded(folder, timeout_s, cancelled or threading.Event()) as server:
        kept = foreign("PREFECT_API_AUTH_STRING")
        os.environ["PREFECT_API_URL"] = server.url
        os.environ["PREFECT_API_AUTH_STRING"] = server.password
        try:
            yield PrefectApi(server.url, lasting=False)
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            os.environ.pop("PREFECT_API_AUTH_STRING", None)
            if kept:
                os.environ["PREFECT_API_AUTH_STRING"] = kept


@contextmanager
def known_api() -> Iterator[PrefectApi]:
    """The same of a server that is there already: the one that is configured, or one that a `douga
    up` of this machine holds. ClusterError where there is none."""
    if not configured_api() and not _Embedded(home_folder("prefect"), 0.0, threading.Event()).runs:
        raise ClusterError(
            "no farm is up on this machine",
            remedy="douga up here, or set PREFECT_API_URL to the farm's server",
        )
    with prefect_api() as api:
        yield api


@contextmanager
def kept_server() -> Iterator[None]:
    """A server of our own that is started in the block ends with the block, not before."""
    if foreign("PREFECT_API_URL"):
        yield
        return
    with _Embedded(home_folder("prefect"), 0.0, threading.Event()).held():
        yield


def check_prefect() -> None:
    """ClusterError where there is no server that is configured, or it lets nobody in; RefusedError
    where our own would listen to anybody."""
    if not configured_api(may_be_busy=True):
        _check_closed()


def _check_closed() -> None:
    check_listening(
        settings().prefect_host,
        authenticated=bool(foreign("PREFECT_SERVER_API_AUTH_STRING")),
        what="Prefect's server",
        remedy="set PREFECT_SERVER_API_AUTH_STRING=user:password, or DOUGA_PREFECT_HOST=127.0.0.1",
    )


@dataclass(frozen=True, slots=True)
class _Server:
    url: str
    password: str = field(repr=False)


class _Embedded:
    """A server on a free port, shared; `server.json` beside its database names it.

    `lock` orders who comes and goes; a shared lock on `users` is held by every render that uses
    the server (see prefect_server.py).
    """

    def __init__(self, folder: Path, timeout_s: float, cancelled: threading.Event) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._cancelled = cancelled
        self._process: subprocess.Popen[bytes] | None = None
        self._hold: BinaryIO | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whatever server runs or is started here stays until the block ends."""
        with self._locked():
            self._use()
        try:
            yield
        finally:
            with self._locked():
                self._release()

    @property
    def runs(self) -> bool:
        """Whether a server runs already."""
        return self._running_server() is not None

    def __enter__(self) -> _Server:
        with self._locked():
            self._use()
            try:
                server = self._running_server() or self._start()
            except BaseException:
                self._release()
                raise
        return server

    def __exit__(self, *_: object) -> None:
        with self._locked():
            self._release()

    def _use(self) -> None:
        self._hold = (self._folder / "users").open("ab")
        fcntl.flock(self._hold, fcntl.LOCK_SH)

    def _release(self) -> None:
        """Let go of the server, and wait for its end if nobody else holds it."""
        assert self._hold is not None
        self._hold.close()
        if self._is_used():
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
        return self._running_server() is not None or self._is_ending()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_used(self) -> bool:
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

    def _running_server(self) -> _Server | None:
        """The server that another render started, if it still answers."""
        try:
            note = json.loads((self._folder / "server.json").read_text())
            server = _Server(str(note["url"]), str(note["password"]))
        except (OSError, ValueError, KeyError):
            return None
        return server if is_up(server.url) else None

    def _start(self) -> _Server:
        host, given = settings().prefect_host, foreign("PREFECT_SERVER_API_AUTH_STRING")
        _check_closed()
        for _ in range(PORT_TRIES):
            server = self._launch(host, given)
            if self._is_up_in_time(server.url):
                break
        else:
            raise self._did_not_start()
        note = self._folder / "server.json"
        note.unlink(missing_ok=True)
        with os.fdopen(os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"url": server.url, "password": server.password}, file)
        return server

    def _launch(self, host: str, given: str) -> _Server:
        """Start the server's process on a port that is free now."""
        port = free_port(host)
        # What listens everywhere is spoken to here.
        named = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        server = _Server(
            f"http://{f'[{named}]' if ':' in named else named}:{port}/api",
            given or f"douga:{secrets.token_urlsafe(24)}",
        )
        environment = child_environment(
            {
                **RECORDER,
                "PREFECT_HOME": str(self._folder),
                "PREFECT_SERVER_UI_API_URL": server.url,
                "PREFECT_SERVER_API_AUTH_STRING": server.password,
                # Its own services ask it too.
                "PREFECT_API_AUTH_STRING": server.password,
            },
            secrets=("PREFECT_",),
        )
        environment.pop("PREFECT_API_URL", None)
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                # -P: a fastapi.py in the folder where a person happens to be is not meant.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "flows.prefect.server_process",
                    str(self._folder),
                    host,
                    str(port),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )
        return server

    def _is_up_in_time(self, url: str) -> bool:
        """Whether the server answers; not where its process ended, as when another took its port.
        ClusterError when the time is up."""
        process = self._process
        until = time.monotonic() + self._timeout_s
        while process is not None and process.poll() is None:
            if is_up(url):
                return True
            if time.monotonic() > until:
                raise self._did_not_start()
            if self._cancelled.wait(POLL_S):
                raise ClusterError("the run ended before Prefect's server was up")
        return False

    def _did_not_start(self) -> ClusterError:
        return ClusterError(
            "Prefect's server did not start",
            remedy=f"see {self._folder / 'server.log'}, or set DOUGA_PREFECT=off",
        )
