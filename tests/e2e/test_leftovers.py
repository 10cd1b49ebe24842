"""However a render ends, no process, port, temporary folder or shared memory of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
APART = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /dev/shm && exec "$@"')
EPISODE = """\
source: {path: frames, fps: 24}
cut: [2]
recipe: [{upscale: {scale: 2}}]
delivery: {encoder: ffv1}
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where all temporary files of a render go; a short name, since Ray's sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What the render sees as /dev/shm, where the machine lets it have its own."""
    folder = tmp_path / "shm"
    folder.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*APART, folder, "true"]).returncode:
        pytest.skip("needs mounts of its own (root on Linux)")
    return folder


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("success", 0),
        pytest.param("failure", 1, marks=pytest.mark.nightly),
        ("ctrl-c", 130),
        pytest.param("hangup", 130, marks=pytest.mark.nightly),
    ],
)
def test_a_render_leaves_nothing_behind(
    ending: str, code: int, shared: Path, temporary: Path, prefect_home: Path, tmp_path: Path
) -> None:
    """With a Ray and a Prefect server of its own."""
    episode = tmp_path / "episode"
    signals = {"ctrl-c": signal.SIGINT, "hangup": signal.SIGHUP}
    frames = 60 if ending in signals else 4
    write_episode(episode, frames=frames, damaged=ending == "failure")
    words = ("render", "ep.yaml", "-o", "ep.mkv", "--store", "store", "--chunk", "1")
    more = {
        "DOUGA_HOME": str(prefect_home),
        "DOUGA_PREFECT": "embedded",
        "DOUGA_WORKERS": "1",
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [*APART, shared, sys.executable, "-m", "flows.cli", *words],
        cwd=episode,
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    seen = set[str]()
    while process.poll() is None and not any(episode.glob("store/frames/*/*.arrow")):
        seen |= {path.name for path in temporary.iterdir()}
        time.sleep(0.01)
    if ending in signals:
        os.killpg(process.pid, signals[ending])
    else:
        assert listening(str(prefect_home)), "it was to listen"
    out, err = process.communicate(timeout=200)
    assert process.returncode == code, out + err
    assert seen, "it was to have temporary folders"
    assert processes(str(prefect_home)) == {}
    assert listening(str(prefect_home)) == []
    assert list(temporary.rglob("*")) == []
    assert list(shared.iterdir()) == []
    made = {path.name for path in episode.iterdir()} - {"ep.yaml", "frames", "store"}
    assert made == ({"ep.mkv"} if ending == "success" else set())
    if ending in signals:
        last = err.splitlines()[-1]
        assert last == "douga: stopped; what was finished is kept, run the same again"


def write_episode(folder: Path, *, frames: int, damaged: bool) -> None:
    """So many frames in two shots, the fourth one damaged if asked for."""
    (folder / "frames").mkdir(parents=True)
    (folder / "ep.yaml").write_text(EPISODE)
    for number in range(frames):
        frame = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(folder / "frames" / f"frame_{number:04}.png"), frame)
    if damaged:
        last = folder / "frames/frame_0003.png"
        data = bytearray(last.read_bytes())
        data[len(data) // 2] ^= 0x10
        last.write_bytes(data)


def processes(home: str) -> dict[str, str]:
    """Processes that live in a home, by id: every child inherits the variable that names it."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"DOUGA_HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[entry.name] = words
        except OSError:
            continue  # ended, or another user's
    return found


def listening(home: str) -> list[str]:
    """Sockets on which processes of a home listen (proc(5), net/tcp: state 0A is LISTEN)."""
    listen = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            listen |= {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    held = set()
    for pid in processes(home):
        for number in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                held.add(os.readlink(number))
            except OSError:
                continue  # closed since
    return sorted(listen & held)
