"""The Prefect server of a run: up while it is held, gone when nobody holds it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.settings import settings
from flows.server import answers, prefect_api

ROOT = Path(__file__).parents[2]
HOLD = """
import time
from flows.server import prefect_api
with prefect_api() as api:
    print(api.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for this test alone."""
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_server_outlives_its_starter_and_ends_with_its_last_user(home: Path) -> None:
    """However its users end: the first is killed where it stands."""
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    url = first.stdout.readline().strip()
    with prefect_api() as api:
        assert api.url == url, "there is one server for both"
        assert not api.lasting
        first.send_signal(signal.SIGKILL)
        first.wait()
        time.sleep(1)
        assert answers(url)
    assert not answers(url)
    assert not (home / "prefect" / "server.json").exists()


def test_a_server_whose_only_user_is_killed_ends_by_itself(home: Path) -> None:
    only = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert only.stdout is not None
    url = only.stdout.readline().strip()
    assert answers(url)
    only.send_signal(signal.SIGKILL)
    only.wait()
    while answers(url):
        time.sleep(0.1)


def test_a_start_can_be_given_up(home: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(ClusterError, match="ended before"), prefect_api(given_up=given_up):
        pass
    assert not (home / "prefect" / "server.json").exists()


def test_a_server_that_cannot_start_says_where_to_look(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "nonsense://")
    with pytest.raises(ClusterError, match=r"did not start; see .*server\.log"), prefect_api():
        pass


def test_a_configured_server_that_is_silent_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ClusterError, match="no Prefect server answers at"), prefect_api():
        pass
