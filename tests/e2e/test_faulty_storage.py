"""Storage that lies, stalls, fills up or refuses: the same film, or one clear line and a next run
that uses all that is stored.

The command runs in this process, its workers as threads: what Ray adds is proven elsewhere, and
nothing but the store's own tries stands between a fault and the film.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

import flows.render
from cluster.retry import Backoff
from cluster.settings import settings
from cluster.store import local_files as store_files
from cluster.store import s3_retries
from flows.cli import main
from tasks.models.device import Device
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.worker import Worker, WorkerConfig
from tests.servers.faults import Fault, Plan, faulty_proxy, seeded_plan
from tests.servers.swift import S3Server

CHUNKS = 6
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(3, 23))]
RATE = 0.3
EPISODE = "source: {source}\ncut: [24]\nrecipe: [hold]\n"


class Threads:
    """A farm of two threads with a worker each."""

    quarantined = ()
    workers = 2

    def __init__(self, config: WorkerConfig, pool: ThreadPoolExecutor) -> None:
        self._workers, self._pool = [Worker(config), Worker(config)], pool

    def make_chunk(self, item: WorkItem, run: object, **_: object) -> Future[Any]:
        return self._pool.submit(self._workers[item.out.start % 2].make_chunk, item)

    def make_segment(self, item: SegmentItem, **_: object) -> Future[Any]:
        return self._pool.submit(self._workers[0].make_segment, item)

    def cancel(self, shot: str, run: object) -> None:
        pass

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def threads_farm(request: Any, plan: object, reporter: object) -> Iterator[Threads]:
    cache = str(settings().home / "cache")
    device = Device(kind="cpu", tile=0)
    with ThreadPoolExecutor(2) as pool:
        yield Threads(WorkerConfig(store_url=request.store, cache=cache, device=device), pool)


@dataclass(frozen=True)
class Ended:
    """How the command ended: its code, the document it wrote, its last line on stderr."""

    code: int
    document: dict[str, Any]
    line: str
    film: Path


Render = Callable[..., Ended]


@pytest.fixture
def render(
    tmp_path: Path,
    tiny_film: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Render]:
    """`douga render` of the tiny film in chunks of 8 frames; keywords go into the environment."""
    monkeypatch.setattr(flows.render, "open_farm", threads_farm)
    for name in ("PLAIN", "BUSY"):
        monkeypatch.setattr(s3_retries, name, Backoff(first_s=0.01, longest_s=0.01))
    monkeypatch.setattr(s3_retries, "LONGEST_ASKED_S", 0.01)
    (tmp_path / "tiny.yaml").write_text(EPISODE.format(source=tiny_film))
    film = tmp_path / "out" / "tiny.mkv"
    film.parent.mkdir()
    before = signal.getsignal(signal.SIGTERM)

    def run(store: str | Path, **environment: str) -> Ended:
        for name, value in {"DOUGA_HOME": str(tmp_path / "home"), **environment}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        words = ["render", tmp_path / "tiny.yaml", "-o", film, "--store", store, "--chunk", "8"]
        monkeypatch.setattr(sys, "argv", ["douga", *map(str, words), "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = int(ended.value.code or 0)
        lines = said.err.splitlines()
        return Ended(code, json.loads(said.out) if said.out else {}, lines[-1], film)

    yield run
    signal.signal(signal.SIGTERM, before)
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="module")
def clean_frames() -> dict[str, list[str]]:
    """The frames of the film from a sound store, once they are known."""
    return {}


@pytest.fixture
def clean(clean_frames: dict[str, list[str]], render: Render, tmp_path: Path) -> list[str]:
    """The frames of the film from a sound store; no film lies under its name afterwards."""
    if not clean_frames:
        ended = render(tmp_path / "sound store")
        assert ended.code == 0, ended.line
        clean_frames["film"] = frame_hashes(ended.film)
        ended.film.unlink()
    return clean_frames["film"]


def frame_hashes(film: Path) -> list[str]:
    """Every decoded frame with its time, and every packet of sound."""
    with av.open(str(film)) as file:
        frames = [
            f"{f.pts * f.time_base} {hashlib.sha256(f.to_ndarray().tobytes()).hexdigest()}"
            for f in file.decode(video=0)
        ]
    with av.open(str(film)) as file:
        sound = [f"{p.pts} {hashlib.sha256(bytes(p)).hexdigest()}" for p in file.demux(audio=0)]
    return frames + sound


@contextmanager
def behind(server: S3Server, plan: Plan, *, per_path: bool = False) -> Iterator[Any]:
    """A store behind a faulty proxy: its URL, the environment to reach it, the proxy."""
    url = f"s3://{server.bucket('faulty')}/{secrets.token_hex(4)}"
    with faulty_proxy(server.endpoint, plan, per_path=per_path) as proxy:
        yield url, {**server.environment(), "DOUGA_S3_ENDPOINT": proxy.endpoint}, proxy


def stored(server: S3Server, url: str) -> dict[str, bool]:
    """Every object under a store's URL, and whether its bytes are those of its digest."""
    client, prefix = server.client(), url.removeprefix("s3://faulty/")
    found = {}
    for item in client.list_objects_v2(Bucket="faulty", Prefix=prefix).get("Contents", ()):
        got = client.get_object(Bucket="faulty", Key=item["Key"])
        digest = hashlib.sha256(got["Body"].read()).hexdigest()
        found[item["Key"].removeprefix(f"{prefix}/")] = got["Metadata"]["digest"] == digest
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_film_from_a_faulty_store_equals_the_clean_one(
    seed: int, moto: S3Server, render: Render, clean: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with behind(moto, seeded_plan(seed, rate=RATE), per_path=True) as (url, environment, proxy):
        ended = render(url, **environment)
        faults = sum(count for fault, count in proxy.made.items() if fault != "none")
        print(f"seed {seed}: {proxy.made}")
    assert ended.code == 0, ended.line
    assert ended.document["verified"]
    # Of two that read one object at once, one may get the good answers and the other all faults:
    # its shot is tried again, and what it could not read is made again.
    assert ended.document["chunks_computed"] >= CHUNKS
    assert frame_hashes(ended.film) == clean
    assert faults > sum(proxy.made.values()) * RATE / 3
    lines = [r.getMessage() for r in caplog.records if r.name == "cluster.store.s3_retries"]
    assert lines
    assert all(line.startswith(f"{url}: ") and "; try " in line for line in lines)
    wrong = [name for name, right in stored(moto, url).items() if not right]
    assert not wrong, "what is stored is what was put, however often it was put"


@pytest.mark.chaos
def test_film_by_the_command_and_its_workers_equals_the_clean_one(
    moto: S3Server, douga: Any, tiny_film: Path, clean: list[str], tmp_path: Path
) -> None:
    """As above, with Ray; workers' retries are told to the person too."""
    (tmp_path / "ep.yaml").write_text(EPISODE.format(source=tiny_film))
    with behind(moto, seeded_plan(77, rate=RATE), per_path=True) as (url, environment, _):
        words = ("render", "ep.yaml", "-o", "ep.mkv", "--store", url, "--chunk", "8")
        ended = douga(*words, cwd=tmp_path, DOUGA_WORKERS="2", **environment)
    assert ended.code == 0, ended.err
    assert frame_hashes(tmp_path / "ep.mkv") == clean
    assert f"douga: note: {url}: " in ended.err
    assert "; try 2 of 5 in " in ended.err


REFUSALS = [
    ("expired token", "run the same again: what is stored is used"),
    pytest.param("unknown key", "DOUGA_S3_ACCESS_KEY", marks=pytest.mark.chaos),
    pytest.param("bad signature", "DOUGA_S3_SECRET_KEY", marks=pytest.mark.chaos),
]


@pytest.mark.parametrize(("fault", "remedy"), REFUSALS)
def test_key_refused_in_the_middle_is_one_line_and_what_is_stored_is_used(
    fault: Fault, remedy: str, moto: S3Server, render: Render, clean: list[str]
) -> None:
    chunks: list[str] = []

    def plan(request: str, count: int) -> Fault:
        if request.startswith("PUT") and "/frames/" in request:
            chunks.append(request)
        return fault if len(chunks) > 3 else "none"

    with behind(moto, plan, per_path=True) as (url, environment, _):
        failed = render(url, **environment)
    assert failed.code == 1
    assert "refused the key" in failed.line
    assert failed.line.startswith("douga: ")
    assert url in failed.line
    assert remedy in failed.line
    assert not failed.film.exists()
    there = stored(moto, url)
    assert all(there.values())
    assert not [name for name in there if name.startswith(("shots/", "films/"))]
    mended = render(url, **moto.environment())
    assert mended.code == 0, mended.line
    kept = sum(name.startswith("frames/") for name in there)
    assert mended.document["chunks_reused"] == kept == 3
    assert mended.document["chunks_computed"] == CHUNKS - kept
    assert frame_hashes(mended.film) == clean


def test_missing_bucket_is_one_line_before_anything_starts(
    moto: S3Server, render: Render, tmp_path: Path
) -> None:
    ended = render("s3://never-made/x", **moto.environment())
    assert ended.code == 1
    assert ended.line.startswith("douga: s3://never-made/x: ")
    assert "no bucket 'never-made' there; make it (aws s3 mb s3://never-made)" in ended.line
    assert list(ended.film.parent.iterdir()) == []


def assert_no_partials(folder: Path) -> None:
    assert not list(folder.rglob("*.partial"))


BROKEN_DISKS = [
    (errno.EDQUOT, "the disk quota is used up: free some"),
    pytest.param(errno.ENOSPC, "the disk is full: free some space", marks=pytest.mark.chaos),
    pytest.param(errno.EROFS, "the disk is read-only; choose another", marks=pytest.mark.chaos),
    pytest.param(errno.EIO, "check the disk", marks=pytest.mark.chaos),
]


@pytest.mark.parametrize(("number", "words"), BROKEN_DISKS)
def test_disk_that_fails_in_the_middle_is_one_line_and_what_is_stored_is_used(
    number: int,
    words: str,
    render: Render,
    clean: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, real = tmp_path / "store", store_files.new_file

    def fail(path: Path, **more: bool) -> Any:
        frames = [found for found in store.glob("frames/*/*") if found.suffix == ".arrow"]
        if store in path.parents and len(frames) >= 2:
            raise OSError(number, os.strerror(number))
        return real(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr("cluster.store.folder.new_file", fail)
        failed = render(store)
    assert failed.code == 1
    assert failed.line.startswith("douga: ")
    assert f"{store.as_uri()}: put " in failed.line
    assert words in failed.line
    assert not failed.film.exists()
    assert_no_partials(tmp_path)
    mended = render(store)
    assert mended.code == 0, mended.line
    assert mended.document["chunks_reused"] >= 2
    assert mended.document["chunks_computed"] == CHUNKS - mended.document["chunks_reused"]
    assert frame_hashes(mended.film) == clean


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """A file system of 104 KiB at `disk`, and a way to mount it anew with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
        subprocess.run(words, check=True, capture_output=True)

    try:
        mount("size=104k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets us mount no small disk")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_disk_that_fills_up_is_one_line_and_what_is_stored_is_used(
    small_disk: Callable[[str], None], render: Render, clean: list[str], tmp_path: Path
) -> None:
    store = tmp_path / "disk" / "store"
    failed = render(store)
    assert failed.code == 1
    assert store.as_uri() in failed.line
    assert "the disk is full: free some space or choose another disk" in failed.line
    assert not failed.film.exists()
    assert_no_partials(tmp_path)
    kept = len(list(store.glob("frames/*/*.arrow")))
    assert 0 < kept < CHUNKS
    small_disk("size=64m")
    mended = render(store)
    assert mended.code == 0, mended.line
    assert mended.document["chunks_reused"] == kept
    assert frame_hashes(mended.film) == clean


def test_read_only_disk_is_one_line_before_anything_starts(
    small_disk: Callable[[str], None], render: Render, tmp_path: Path
) -> None:
    small_disk("ro")
    store = tmp_path / "disk" / "store"
    ended = render(store)
    assert ended.code == 1
    assert ended.line.startswith(f"douga: {store.as_uri()}: ")
    assert "the disk is read-only; choose another folder with --store" in ended.line
    assert list(ended.film.parent.iterdir()) == []
