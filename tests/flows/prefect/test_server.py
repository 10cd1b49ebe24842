"""The Prefect server of a run: up while it is held, gone when nobody holds it any more."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.errors import ClusterError, Exit, RefusedError
from cluster.network import free_port
from cluster.settings import settings
from flows.prefect import embedded
from flows.prefect.api import configured_api, is_up
from flows.prefect.server import check_prefect, prefect_api
from tests.conftest import ROOT

pytestmark = pytest.mark.servers

HOLD = """
import time
from flows.prefect.server import prefect_api
with prefect_api() as api:
    print(api.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for this test alone."""
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path))
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def hold_server() -> tuple[subprocess.Popen[str], str]:
    """Another process that holds the server, and the server's address."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_server_outlives_its_starter_and_ends_with_its_last_user(home: Path) -> None:
    """However its users end: the first is killed where it stands."""
    first, url = hold_server()
    with prefect_api() as api:
        assert api.url == url, "there is one server for both"
        assert status_of(url) == 401
        password = os.environ["PREFECT_API_AUTH_STRING"]
        assert status_of(url, password) == 200, "the second has the password of the first's"
        note = home / "prefect" / "server.json"
        assert json.loads(note.read_text())["password"] == password
        assert stat.S_IMODE(note.stat().st_mode) == 0o600
        assert not api.lasting
        first.send_signal(signal.SIGKILL)
        first.wait()
        time.sleep(1)
        assert is_up(url)
    assert not is_up(url)
    assert not (home / "prefect" / "server.json").exists()
    assert "PREFECT_API_AUTH_STRING" not in os.environ


def status_of(url: str, password: str = "") -> int:
    """What the API answers to a question that only those let in may ask."""
    request = urllib.request.Request(f"{url}/admin/version")
    if password:
        request.add_header("Authorization", f"Basic {b64encode(password.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def test_a_server_whose_only_user_is_killed_ends_by_itself(home: Path) -> None:
    only, url = hold_server()
    assert is_up(url)
    only.send_signal(signal.SIGKILL)
    only.wait()
    while is_up(url):
        time.sleep(0.1)


def test_a_server_that_is_killed_is_begun_again_at_its_address(home: Path) -> None:
    with prefect_api(revived=True) as api:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            words = process.read_bytes().split(b"\0")
            if os.fsencode(home / "prefect") in words and b"flows.prefect.server_process" in words:
                os.kill(int(process.parent.name), signal.SIGKILL)
        until = time.monotonic() + 60
        while is_up(api.url) and time.monotonic() < until:
            time.sleep(0.05)
        assert not is_up(api.url)
        while not is_up(api.url) and time.monotonic() < until:
            time.sleep(0.2)
        assert is_up(api.url)
    assert not is_up(api.url)


def test_a_start_can_be_given_up(home: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(ClusterError, match="ended before"), prefect_api(cancelled=cancelled):
        pass
    assert not (home / "prefect" / "server.json").exists()


def test_a_server_that_cannot_start_says_where_to_look(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "nonsense://")
    with pytest.raises(ClusterError, match=r"did not start; see .*server\.log"), prefect_api():
        pass


def test_a_port_that_another_takes_first_is_not_the_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(embedded, "free_port", lambda host: next(ports, 0) or free_port(host))
        with prefect_api() as api:
            assert is_up(api.url)
        modes = [
            stat.S_IMODE((home / at).stat().st_mode) for at in ("prefect", "prefect/prefect.db")
        ]
        assert modes == [0o700, 0o600]


def test_a_configured_server_that_is_silent_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ClusterError, match="no Prefect server answers at"), prefect_api():
        pass


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_configured_server_that_restarts_stops_no_run(
    status: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But nothing can be shown there before it is up."""
    with answering(lambda _: status) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        check_prefect()
        with pytest.raises(ClusterError, match="no Prefect server answers at"), prefect_api():
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "farm.example"])
def test_a_server_for_everybody_is_refused_without_a_password(
    host: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUGA_PREFECT_HOST", host)
    settings.cache_clear()
    with pytest.raises(RefusedError) as refused, prefect_api():
        pass
    assert refused.value.exit_code == Exit.REFUSED
    assert "PREFECT_SERVER_API_AUTH_STRING" in str(refused.value)
    assert not (home / "prefect" / "server.json").exists()


def test_a_server_with_a_password_listens_where_it_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUGA_PREFECT_HOST", "0.0.0.0")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "farm:of our own")
    settings.cache_clear()
    with prefect_api() as api:
        assert api.url.startswith("http://127.0.0.1:")
        assert status_of(api.url) == 401
        assert status_of(api.url, "farm:of our own") == 200
        assert os.environ["PREFECT_API_AUTH_STRING"] == "farm:of our own"


@pytest.fixture
def guarded() -> Iterator[str]:
    """The API of a server that wants user:right, as Prefect's answers."""
    told = f"Basic {b64encode(b'user:right').decode()}"

    def status(asked: http.server.BaseHTTPRequestHandler) -> int:
        return 200 if told == asked.headers["Authorization"] or asked.path == "/api/health" else 401

    with answering(status) as url:
        yield url


@contextmanager
def answering(status: Callable[[http.server.BaseHTTPRequestHandler], int]) -> Iterator[str]:
    """The API of a server whose answers have no more than a status."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status(self))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_configured_server_is_joined_with_its_password_alone(
    guarded: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", guarded)
    with pytest.raises(ClusterError, match="wants a password; set PREFECT_API_AUTH_STRING"):
        configured_api()
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:wrong")
    with pytest.raises(ClusterError, match="refused the password") as refused:
        configured_api()
    assert "user:wrong" not in str(refused.value)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:right")
    assert configured_api() == guarded


def test_a_password_in_the_address_is_refused_and_not_repeated(
    guarded: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", guarded.replace("//", "//user:right@"))
    with pytest.raises(ClusterError, match="PREFECT_API_AUTH_STRING=user:password") as refused:
        configured_api()
    assert "right" not in str(refused.value)
