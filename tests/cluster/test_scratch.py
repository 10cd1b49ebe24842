"""Folders of processes that were killed are swept; those of the living never are."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import scratch
from cluster.scratch import scratch_folder, sweep_scratch

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from cluster.scratch import scratch_folder
with scratch_folder("test", beside=Path(sys.argv[1])) as folder:
    (folder / "film.mkv").write_bytes(b"film")
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a folder in `place`, and the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, Path(process.stdout.readline().strip())


def left(place: Path) -> Path:
    """A folder whose owner was killed."""
    with holder(place) as (process, folder):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (folder / "film.mkv").exists()
    return folder


def test_a_folder_is_private_and_gone_with_its_block(tmp_path: Path) -> None:
    with scratch_folder("test", beside=tmp_path) as folder:
        (folder / "file").touch()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_room_none_is_made_and_the_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "ROOM_BYTES", 1 << 62)
    with (
        pytest.raises(OSError, match=str(tmp_path)) as refused,
        scratch_folder("test", temporary=tmp_path),
    ):
        pass
    assert refused.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    folder = left(tmp_path)
    with scratch_folder("test", beside=tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert not folder.exists()


def test_a_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, folder):
        assert sweep_scratch(tmp_path) == []
        assert (folder / "film.mkv").exists()
        process.stdin.close()


def test_ones_own_folder_stays(tmp_path: Path) -> None:
    with scratch_folder("one", beside=tmp_path) as one, scratch_folder("two", beside=tmp_path):
        assert one.exists()


def test_a_folder_of_another_machine_stays(tmp_path: Path) -> None:
    """Its locks may not be seen here."""
    folder = left(tmp_path)
    mark = folder / ".owner"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "host": "node7", "boot": "b"}))
    assert sweep_scratch(tmp_path) == []


def test_a_folder_of_this_machine_before_it_was_started_anew_goes(tmp_path: Path) -> None:
    folder = left(tmp_path)
    mark = folder / ".owner"
    kept = json.loads(mark.read_text())
    if not kept["machine"]:
        pytest.skip("needs /etc/machine-id")
    mark.write_text(json.dumps({**kept, "boot": "b"}))
    assert sweep_scratch(tmp_path) == [folder]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_a_folder_of_another_user_stays(tmp_path: Path) -> None:
    os.chown(left(tmp_path), 65534, 65534)
    assert sweep_scratch(tmp_path) == []


@pytest.mark.parametrize("mark", [None, "", "[]", "{}", "1"])
def test_what_bears_no_mark_stays(mark: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "douga-mine"
    folder.mkdir()
    if mark is not None:
        (folder / ".owner").write_text(mark)
    assert sweep_scratch(tmp_path) == []
    assert sweep_scratch(tmp_path / "nowhere") == []
