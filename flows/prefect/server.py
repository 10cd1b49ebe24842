"""Prefect's API for one run: the one that is configured, or a server of our own on SQLite.

A one-off render starts a real server (the in-process one loses task states at exit) on a free
port of 127.0.0.1, keeps its database under douga's home, and stops it when the states are in.
Renders at the same time share one server, which ends when the last of them does. It lets in whoever
has its password: PREFECT_SERVER_API_AUTH_STRING, or one made for it, in a file of its owner's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from cluster.errors import ClusterError
from cluster.settings import foreign, home_folder, quiet_environment, settings
from flows.prefect.api import PrefectApi, configured_api
from flows.prefect.embedded import Embedded, check_closed

CLIENT = {
    "PREFECT_LOGGING_LEVEL": "ERROR",
    # What a run says of its shots and of what it waits for is kept with it.
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",
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

PATIENT = ("PREFECT_CLIENT_MAX_RETRIES", "8")
"""For who needs an answer: a server on SQLite says 503 while many ask at once."""


@contextmanager
def prefect_api(
    *, cancelled: threading.Event | None = None, revived: bool = False
) -> Iterator[PrefectApi]:
    """A Prefect API that answers, for the length of a `with`; one of our own that ends before is
    begun again at its address, where `revived`.

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
    embedded = Embedded(folder, timeout_s, cancelled or threading.Event())
    with embedded as server, embedded.revived() if revived else nullcontext():
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
    if not configured_api() and not Embedded(home_folder("prefect"), 0.0, threading.Event()).runs:
        raise ClusterError(
            "no farm is up on this machine",
            remedy="douga up here, or set PREFECT_API_URL to the farm's server",
        )
    os.environ.setdefault(*PATIENT)
    with prefect_api() as api:
        yield api


@contextmanager
def kept_server() -> Iterator[None]:
    """A server of our own that is started in the block ends with the block, not before."""
    if foreign("PREFECT_API_URL"):
        yield
        return
    with Embedded(home_folder("prefect"), 0.0, threading.Event()).held():
        yield


def check_prefect() -> None:
    """ClusterError where there is no server that is configured, or it lets nobody in; RefusedError
    where our own would listen to anybody."""
    if not configured_api(may_be_busy=True):
        check_closed()
