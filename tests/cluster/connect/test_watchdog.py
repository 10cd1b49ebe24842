"""However a run ends, or hangs, its Ray ends with it and nothing of it is left."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.connect.connect import join_cluster
from cluster.connect.watch import SOCKET_BYTES, ray_folder
from cluster.connect.watchdog import CONNECTED, CONNECTING, LEAVING, LEFT
from cluster.errors import ClusterError

ROOT = Path(__file__).parents[3]
WATCHDOG = """
import cluster.connect.watchdog as w
w.LIMITS_S = {step: min(limit, 0.2) if limit < 1e9 else limit for step, limit in w.LIMITS_S.items()}
w.STOPS_WITHIN_S = w.GRACE_S = w.STOP_GRACE_S = 0.2
w.main()
"""
SECONDS = 60
"""More than enough for what takes .4."""


@contextmanager
def watched(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """A run that does nothing, and its watchdog, which is quick to lose patience."""
    with (
        subprocess.Popen(["sleep", "600"]) as run,
        subprocess.Popen(
            [sys.executable, "-c", WATCHDOG, str(run.pid), str(folder), "0"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as watchdog,
    ):
        try:
            yield run, watchdog
        finally:
            run.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder, with something in it."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "token").touch()
    return folder


@pytest.mark.parametrize(
    "told",
    [CONNECTING, CONNECTED + bytes([signal.SIGHUP]), CONNECTED + bytes([signal.SIGTERM]), LEAVING],
    ids=["connecting", "after the terminal closed", "after SIGTERM", "leaving"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Ray's own reaper does it")
def test_a_run_that_hangs_in_ray_is_ended(told: bytes, folder: Path) -> None:
    with watched(folder) as (run, watchdog):
        watchdog.stdin.write(told)
        assert run.wait(SECONDS) == -signal.SIGKILL
        _, said = watchdog.communicate(timeout=SECONDS)
    assert said.startswith(b"douga: ")
    assert said.count(b"\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    "told", [CONNECTING + CONNECTED, CONNECTED + bytes([signal.SIGALRM])], ids=["up", "an alarm"]
)
def test_a_run_that_goes_on_is_left_alone(told: bytes, folder: Path) -> None:
    with watched(folder) as (run, watchdog):
        watchdog.stdin.write(told)
        time.sleep(1.0)  # five times its patience
        assert run.poll() is None
        watchdog.stdin.write(LEFT)
        assert watchdog.wait(SECONDS) == 0
        assert run.poll() is None
    assert not folder.exists()


def test_what_a_killed_run_had_is_gone(folder: Path) -> None:
    with watched(folder) as (run, watchdog):
        run.kill()
        watchdog.stdin.close()  # as the kernel does
        assert watchdog.wait(SECONDS) == 0
    assert not folder.exists()


RUN = """
import os, signal, sys
from cluster.connect.connect import join_cluster
with join_cluster(workers=1):
    print(os.environ["RAY_AUTH_TOKEN_PATH"], flush=True)
    sys.stdin.readline()
print("ended", flush=True)
"""


@contextmanager
def run_with_ray(**more: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run that has a Ray of its own, and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env={**os.environ, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        yield run, Path(run.stdout.readline().strip()).parent


def of_ray(folder: Path) -> dict[int, str]:
    """The processes of a run's Ray, by id: every one has the folder in its environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if f"RAY_AUTH_TOKEN_PATH={folder}/token".encode() in variables:
                found[int(entry.name)] = (entry / "comm").read_text().strip()
        except OSError:
            continue  # ended, or another user's
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rays_processes_carry_no_secrets_and_end_with_a_killed_run() -> None:
    secrets = {"DOUGA_S3_SECRET_KEY": "planted-1", "SOME_API_KEY": "planted-2"}
    with run_with_ray(**secrets) as (run, folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        theirs = of_ray(folder)
        assert {"gcs_server", "raylet"} <= set(theirs.values())
        for pid in set(theirs) - {run.pid}:
            assert b"planted" not in Path(f"/proc/{pid}/environ").read_bytes(), theirs[pid]
        run.kill()
        run.wait()
    until = time.monotonic() + SECONDS
    while (of_ray(folder) or folder.exists()) and time.monotonic() < until:
        time.sleep(0.1)
    assert of_ray(folder) == {}
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_ray_that_hangs_does_not_keep_a_run_from_its_end() -> None:
    with run_with_ray() as (run, folder):
        for pid, name in of_ray(folder).items():
            if name in ("raylet", "gcs_server"):
                os.kill(pid, signal.SIGSTOP)
        out, _ = run.communicate("\n", timeout=120)
    assert (run.returncode, out.strip()) == (0, "ended")
    assert of_ray(folder) == {}
    assert not folder.exists()


def test_too_little_address_space_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 << 30, 2 << 30))
    with pytest.raises(ClusterError, match=r"memory.*2 GiB.*ulimit -v"), join_cluster():
        pass


@pytest.mark.parametrize("length", [5, 30, 90, 150])
def test_rays_sockets_fit_however_long_the_temporary_folder_is(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        place = Path(short, *["x" * 30] * (length // 30), "y" * (length % 30 or 1))
        place.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with ray_folder() as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            sockets = folder / "r/session_2026-11-30_07-54-56_849123_1234567/sockets"
            assert len(str(sockets / "plasma_store")) <= SOCKET_BYTES
            sockets.mkdir(parents=True)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(sockets / "plasma_store"))
