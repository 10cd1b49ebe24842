"""What a folder store does when the disk, other writers or the end of the process interfere."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import DigestError, StoreError, UsageError
from cluster.keys import digest_bytes
from cluster.store.base import NotStored
from cluster.store.folder import DIGESTS, FolderStore
from cluster.store.open import open_store

NAME = "frames/ab/x.arrow"


def plain_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_objects_are_plain_files_with_nothing_else_in_their_folders(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    digest = store.put("films/ep01.mkv", b"a film")
    assert (tmp_path / "films" / "ep01.mkv").read_bytes() == b"a film"
    assert plain_files(tmp_path) == {"films/ep01.mkv", f".digests/films/ep01.mkv.{digest}"}
    store.delete("films/ep01.mkv")
    assert plain_files(tmp_path) == set()


@pytest.mark.parametrize("url", ["/x/y z", "file:///x/y%20z", "file://localhost/x/y%20z"])
def test_folder_is_named_by_path_or_url(url: str) -> None:
    assert open_store(url).url == "file:///x/y%20z"


@pytest.mark.parametrize(
    "url", ["", "http://host/x", "file://host/x", "s3://", "s3:///prefix", "s3://key:secret@bucket"]
)
def test_url_that_is_no_store_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value).replace("SECRET", "").replace("secret key", "")


@pytest.mark.parametrize("kind", ["file", "below a file", "proc"])
def test_folder_that_cannot_be_written_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "store"}
    store = open_store(str(folder.get(kind, Path("/proc/douga-store"))))
    with pytest.raises(StoreError) as caught:
        store.probe()
    line = str(caught.value)
    assert line.startswith(store.url)
    assert "choose another folder with --store" in line
    assert "\n" not in line
    assert store.has([NAME]) == set()


STEPS = [
    "Path.mkdir",
    "Path.open",
    "write",
    "os.fsync of the file",
    "Path.touch",
    "os.fsync of a folder",
    "Path.replace",
]


@pytest.mark.parametrize(
    ("step", "number"),
    [*((step, errno.ENOSPC) for step in STEPS), ("Path.mkdir", errno.EDQUOT)],
)
def test_full_disk_at_any_step_is_named_and_leaves_nothing_half_done(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "store")
    with monkeypatch.context() as patch:
        fill_disk(patch, step, number)
        words = "disk is full: free some" if number == errno.ENOSPC else "quota is used up: free"
        with pytest.raises(StoreError, match=words) as caught:
            store.put(NAME, b"data" * 1000)
        assert str(caught.value).startswith(f"{store.url}: put {NAME}: ")
        assert not caught.value.retryable
    assert not [name for name in plain_files(tmp_path) if name.endswith(".partial")]
    if store.has([NAME]):  # the name was given and only then the disk refused: it is whole
        assert store.get(NAME) == b"data" * 1000
    store.put(NAME, b"data" * 1000)
    assert store.get(NAME) == b"data" * 1000


def fill_disk(patch: pytest.MonkeyPatch, step: str, number: int) -> None:
    """Let a step of every write fail; /dev/full does it for the writing itself."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    def fsync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        if folder == (step == "os.fsync of a folder"):
            refuse()

    real = Path.open

    def open_full(path: Path, mode: str = "r", *more: Any) -> Any:
        file = real(path, mode, *more)
        if "x" in mode:
            file.close()
            return open("/dev/full", "wb")
        return file

    if step.startswith("os.fsync"):
        patch.setattr(os, "fsync", fsync)
    elif step == "write":
        patch.setattr(Path, "open", open_full)
    else:
        patch.setattr(Path, step.removeprefix("Path."), refuse)


def test_disk_that_is_full_where_a_file_is_fetched_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, target = FolderStore(tmp_path / "store"), tmp_path / "x.mkv"
    store.put(NAME, b"data" * 1000)
    fill_disk(monkeypatch, "write", errno.ENOSPC)
    with pytest.raises(StoreError, match=rf"get {NAME} to {target}: .*the disk is full"):
        store.get_file(NAME, target)
    assert not target.exists()


def test_reader_never_sees_half_an_object(tmp_path: Path) -> None:
    store, large = FolderStore(tmp_path), [bytes([i]) * 3_000_000 for i in range(2)]
    store.put(NAME, large[0])

    def write_all() -> None:
        for turn in range(20):
            store.put(NAME, large[turn % 2])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_all)
        while not writing.done():
            assert store.get(NAME) in large
        writing.result()


def test_only_the_first_of_many_writers_wins(tmp_path: Path) -> None:
    store, entries = FolderStore(tmp_path), [bytes([i]) * 100 for i in range(16)]
    with ThreadPoolExecutor(16) as pool:
        told = set(pool.map(lambda entry: store.put(NAME, entry, if_absent=True), entries))
    assert told == {digest_bytes(store.get(NAME))}


def test_file_systems_without_hard_links_do_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, "link", no_links)
    first = store.put(NAME, b"first", if_absent=True)
    assert store.put(NAME, b"second", if_absent=True) == first
    assert store.get(NAME) == b"first"


def test_writer_killed_in_the_middle_leaves_no_object(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from cluster.store.folder import FolderStore;"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL);"
        f"FolderStore(Path(sys.argv[1])).put({NAME!r}, b'x' * 10_000_000)"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], check=False, timeout=60)
    assert ended.returncode == -9
    store = FolderStore(tmp_path)
    assert store.has([NAME]) == set()
    assert list(store.list()) == []
    store.put(NAME, b"whole")
    assert store.get(NAME) == b"whole"


def test_put_and_delete_at_once_never_lose_a_digest(tmp_path: Path) -> None:
    """Whatever the order, the object is there and reads well, or it is not there."""
    store = FolderStore(tmp_path)

    def work(turn: int) -> None:
        if turn % 2:
            store.put(NAME, b"data")
        else:
            store.delete(NAME)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    if store.has([NAME]):
        assert store.get(NAME) == b"data"


@pytest.mark.parametrize("step", [1, 5])
def test_reader_in_the_middle_of_a_delete_is_told_that_nothing_is_stored(
    tmp_path: Path, step: int
) -> None:
    """A delete takes the digest first; the object is still there when the reader looks."""
    looks: list[float] = []

    def look_away(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == step:
            (tmp_path / NAME).unlink()

    store = FolderStore(tmp_path, sleep=look_away)
    digest = store.put(NAME, b"data")
    (tmp_path / DIGESTS / f"{NAME}.{digest}").unlink()
    with pytest.raises(NotStored):
        store.get(NAME)
    assert len(looks) == step


def test_object_that_never_had_a_digest_is_damaged(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, vanishing_s=0.01)
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).write_bytes(b"from nowhere")
    with pytest.raises(DigestError):
        store.get(NAME)


def test_source_that_vanishes_is_not_blamed_on_the_store(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot be read") as caught:
        FolderStore(tmp_path / "store").put_file(NAME, tmp_path / "gone")
    assert not isinstance(caught.value, StoreError)
