"""Prefect's server of our own, on SQLite: shared by all who hold it, gone when nobody does.

`server.json` beside its database names it and its password; `flows.prefect.server_process` is its
process.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.network import check_listening, free_port
from cluster.settings import child_environment, foreign, home_folder, settings
from flows.prefect.api import is_up

POLL_S = 0.1
REVIVE_EVERY_S = 1.0
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


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    password: str = field(repr=False)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 0


class Embedded:
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
        self._server: Server | None = None

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

    def __enter__(self) -> Server:
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

    @contextmanager
    def revived(self) -> Iterator[None]:
        """For the length of a `with`, the server that this started is begun again where it ends."""
        over = threading.Event()

        def revive() -> None:
            while not over.wait(REVIVE_EVERY_S):
                with self._locked():
                    dead = self._process is not None and self._process.poll() is not None
                    if dead and not over.is_set() and (server := self._server):
                        self._launch(settings().prefect_host, server.password, port=server.port)

        thread = threading.Thread(target=revive, name="prefect server", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

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

    def _running_server(self) -> Server | None:
        """The server that another render started, if it still answers."""
        try:
            note = json.loads((self._folder / "server.json").read_text())
            server = Server(str(note["url"]), str(note["password"]))
        except (OSError, ValueError, KeyError):
            return None
        return server if is_up(server.url) else None

    def _start(self) -> Server:
        host, given = settings().prefect_host, foreign("PREFECT_SERVER_API_AUTH_STRING")
        check_closed()
        for _ in range(PORT_TRIES):
            server = self._launch(host, given)
            if self._is_up_in_time(server.url):
                break
        else:
            raise self._did_not_start()
        self._server = server
        note = self._folder / "server.json"
        note.unlink(missing_ok=True)
        with os.fdopen(os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"url": server.url, "password": server.password}, file)
        return server

    def _launch(self, host: str, given: str, *, port: int = 0) -> Server:
        """Start the server's process on a port, 0: on one that is free now."""
        port = port or free_port(host)
        # What listens everywhere is spoken to here.
        named = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        server = Server(
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


def is_own(url: str) -> bool:
    """Whether the API at this URL is of a server that this user's processes on this machine hold:
    nobody else has its password."""
    try:
        note = json.loads((home_folder("prefect") / "server.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(note, dict) and note.get("url") == url


def check_closed() -> None:
    """RefusedError where a server of our own would listen to anybody."""
    check_listening(
        settings().prefect_host,
        authenticated=bool(foreign("PREFECT_SERVER_API_AUTH_STRING")),
        what="Prefect's server",
        remedy="set PREFECT_SERVER_API_AUTH_STRING=user:password, or DOUGA_PREFECT_HOST=127.0.0.1",
    )
