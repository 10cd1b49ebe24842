"""A worker stopped past its time and continued after another did its work changes nothing."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from cluster.settings import settings
from cluster.store.base import Store
from flows.changes.manifest import write_manifest
from flows.farm.pins import needed_names
from flows.farm.upload import upload_inputs
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from tasks.models.device import Device
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.worker import Worker, WorkerConfig
from tests.conftest import ROOT
from tests.servers.swift import S3Server

STOPPED = """
import os, pickle, signal, sys
from importlib import import_module
from tasks.worker.worker import Worker

call, item, config, place = pickle.load(open(sys.argv[1], "rb"))
module, *path, name = place.split()
owner = import_module(module)
for part in path:
    owner = getattr(owner, part)
whole = getattr(owner, name)

def stopped(*given, **more):
    setattr(owner, name, whole)
    os.kill(os.getpid(), signal.SIGSTOP)
    return whole(*given, **more)

worker = Worker(config)
setattr(owner, name, stopped)
receipt = getattr(worker, call)(item)
assert getattr(owner, name) is whole, "it was never stopped"
print(receipt.reused)
"""
BEFORE = {
    "make_chunk": "tasks.worker.worker put_with_retry",
    "make_segment": "tasks.worker.segment_work encode_segment",
}
"""Stopped when it has looked, and not begun to compute or encode."""
FOLDER = {
    "about to put": "cluster.store.folder FolderStore _put",
    "written, not synced": "cluster.store.local_files os fsync",
    "about to give it its name": "cluster.store.local_files _link",
}
S3 = {"about to send": "cluster.store.s3 S3Store _put"}
CASES = [
    (kind, call, place)
    for call, before in BEFORE.items()
    for kind, places in (("folder", FOLDER), ("moto", S3))
    for place in (before, *places.values())
]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A store, and the plan of a film of which nothing is made yet."""

    prepared: Prepared
    config: WorkerConfig
    server: S3Server | None

    @property
    def store(self) -> Store:
        """The store."""
        return self.prepared.store

    def objects(self) -> dict[str, object]:
        """All that is there, with what changes when it is put again, even the same."""
        if self.server is None:
            root = Path(unquote(urlsplit(self.store.url).path))
            files = [path for path in root.rglob("*") if path.is_file()]
            return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in files}
        bucket, _, prefix = self.store.url.removeprefix("s3://").partition("/")
        listed = self.server.client().list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")
        return {it["Key"]: (it["ETag"], it["LastModified"]) for it in listed["Contents"]}


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_film: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    url, server = (tmp_path / "store").as_uri(), None
    if request.param == "moto":
        server = request.getfixturevalue("moto")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        url = f"s3://{server.bucket()}/{tmp_path.name}"
    settings.cache_clear()
    request_ = make_request(
        str(tiny_film), output=str(tmp_path / "f.mkv"), store=url, stages=["hold"], chunk=12
    )
    prepared = prepare(request_, Silent())
    upload_inputs(prepared, Silent())
    config = WorkerConfig(store_url=url, cache=str(tmp_path / "cache"), device=Device())
    yield Shop(prepared=prepared, config=config, server=server)
    monkeypatch.undo()
    settings.cache_clear()


def start_stopped(
    shop: Shop, folder: Path, call: str, item: WorkItem | SegmentItem, place: str
) -> subprocess.Popen[str]:
    """A worker in a process of its own, stopped when it first comes to `place`."""
    (folder / "told").write_bytes(pickle.dumps((call, item, shop.config, place)))
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(folder / "told")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it ended before it came there"
    return process


@pytest.mark.parametrize(("shop", "call", "place"), CASES, indirect=["shop"])
def test_a_worker_that_comes_too_late_changes_nothing(
    shop: Shop, call: str, place: str, tmp_path: Path
) -> None:
    plan = shop.prepared.plan
    shot = plan.shots[0]
    assert shot.segment is not None
    other = Worker(shop.config)
    item: Any = shot.runs[0].items[0]
    if call == "make_segment":
        item = shot.segment
        for each in shot.items():
            other.make_chunk(each)
    process = start_stopped(shop, tmp_path, call, item, place)
    try:
        for each in shot.items():
            other.make_chunk(each)
        made = other.make_segment(shot.segment)
        assert not made.reused
        write_manifest(shop.store, plan, shot)
        before = shop.objects()
        if shop.server is not None:
            time.sleep(1.1)  # S3 tells whole seconds
    finally:
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "False\n")
    after = shop.objects()
    assert {name: it for name, it in after.items() if before.get(name) != it} == {}
    assert {name for name in before if name not in after} <= unfinished(before)
    assert list(shop.store.leftovers()) == []
    assert set(shot.names()) <= needed_names(shop.prepared)
    for name in shot.names():
        shop.store.get(name)


def unfinished(objects: dict[str, object]) -> set[str]:
    """What the stopped worker had begun, which goes when it is continued."""
    return {name for name in objects if name.endswith(".partial")}


@pytest.mark.parametrize("shop", ["folder"], indirect=True)
def test_a_manifest_once_written_stays_as_it_is(shop: Shop) -> None:
    plan = shop.prepared.plan
    shot = plan.shots[0]
    worker = Worker(shop.config)
    for item in shot.items():
        worker.make_chunk(item)
    assert shot.segment is not None
    worker.make_segment(shot.segment)
    write_manifest(shop.store, plan, shot)
    before = shop.objects()
    time.sleep(1.1)  # a manifest says the second it was written
    write_manifest(shop.store, plan, shot)
    assert shop.objects() == before
