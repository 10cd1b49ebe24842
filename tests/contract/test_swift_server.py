"""The tests' S3 server comes up anywhere and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.swift import ROOT, SWIFT_PYTHON, swift_server

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        not SWIFT_PYTHON.exists(), reason="no Swift here: run `make .venv-swift/.installed`"
    ),
]
PROC = Path("/proc")


def descendants(parent: int) -> set[int]:
    """Processes below one, from /proc."""
    parents = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended since
        parents[int(folder.name)] = int(stat[1])
    found, layer = set[int](), {parent}
    while layer:
        layer = {pid for pid, above in parents.items() if above in layer}
        found |= layer
    return found


def wait_until_gone(pids: set[int]) -> set[int]:
    """Those of the processes that are still there after a while."""
    deadline = time.monotonic() + 20
    left = pids
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if alive(pid)}
        time.sleep(0.05)
    return left


def alive(pid: int) -> bool:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_objects_keep_their_metadata_without_extended_attributes() -> None:
    with swift_server("memory") as server:
        client, bucket = server.client(), server.bucket()
        for turn in range(3):
            client.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"turn": str(turn)})
        assert client.head_object(Bucket=bucket, Key="a")["Metadata"] == {"turn": "2"}
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


@pytest.mark.skipif(not PROC.exists(), reason="looks at /proc")
def test_no_process_outlives_the_block() -> None:
    before = descendants(os.getpid())
    with swift_server():
        started = descendants(os.getpid()) - before
        assert len(started) == 5
    assert not wait_until_gone(started)


@pytest.mark.skipif(not PROC.exists(), reason="looks at /proc")
def test_neither_process_nor_file_outlives_a_killed_owner(tmp_path: Path) -> None:
    program = (
        "import time; from tests.servers.swift import swift_server\n"
        "with swift_server(): print('up', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    started = descendants(owner.pid)
    assert len(started) == 5
    owner.kill()
    owner.wait()
    assert not wait_until_gone(started)
    assert list(tmp_path.iterdir()) == []
