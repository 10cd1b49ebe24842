"""What a worker finds on its own machine: a cache that can be written, the run's store or not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.pool.actor import ActorLocation
from cluster.pool.spec import PoolSpec, other_build
from cluster.store.open import open_store
from flows.farm.upload import is_distant
from tasks.models.device import Device
from tasks.worker.item import SourceInput, source_name
from tasks.worker.node import DISK, ENOUGH, MEMORY, SPARE_BYTES, STORE, THE_RUNS, node_cache
from tasks.worker.worker import Worker, WorkerConfig

PIN = "pins/run/names.json"


def location(url: str, **needs: Any) -> ActorLocation:
    """Where a worker says it is that was sent to look for the run's pin in this store."""
    config = WorkerConfig(store_url=url, cache="", device=Device(), sees=PIN, **needs)
    return ActorLocation(node="n1", host="node7", pid=1, build=Worker(config).build())


def refused(url: str, **needs: Any) -> str:
    build = {STORE: THE_RUNS, DISK: ENOUGH, MEMORY: ENOUGH}
    spec = PoolSpec(handler="", config=None, workers=1, build=build)
    return other_build(spec, location(url, **needs))


def test_a_worker_that_sees_the_runs_store_is_taken(tmp_path: Path) -> None:
    url = (tmp_path / "store").as_uri()
    open_store(url).put(PIN, b"{}")
    assert refused(url) == ""


def test_a_folder_of_the_same_name_on_another_machine_is_not_the_runs_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    url = (tmp_path / "store").as_uri()
    assert refused(url).startswith("node7 ")
    assert url in refused(url)


def test_a_store_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "node7" in refused((tmp_path / "file" / "store").as_uri())


@pytest.mark.parametrize(
    ("free_disk", "needs_memory", "word"),
    [(8 << 30, 1 << 20, ""), (1 << 20, 1 << 20, DISK), (8 << 30, 1 << 60, MEMORY)],
)
def test_a_machine_without_room_for_the_work_is_told(
    free_disk: int, needs_memory: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (tmp_path / "store").as_uri()
    open_store(url).put(PIN, b"{}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_disk))
    why = refused(url, memory_bytes=needs_memory)
    assert word in why
    assert bool(why) is bool(word)


def test_copies_of_sources_that_are_still_to_be_fetched_need_disk(
    tmp_path: Path, set_variables: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(DOUGA_HOME=str(tmp_path / "home"))
    store = open_store((tmp_path / "store").as_uri())
    store.put(PIN, b"{}")
    store.put(source_name("d1"), bytes(4 << 20))
    free = SPARE_BYTES + (2 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    elsewhere = SourceInput(path="/elsewhere/a.mkv", digest="d1", index_name="i", first=0)
    assert DISK in refused(store.url, sources=(elsewhere,))
    copy = node_cache() / "sources" / "d1.mkv"
    copy.parent.mkdir()
    copy.write_bytes(b"fetched by an earlier run")
    assert refused(store.url, sources=(elsewhere,)) == ""


@pytest.mark.parametrize("writable", [True, False])
def test_the_cache_is_the_machines_own(
    writable: bool,
    tmp_path: Path,
    set_variables: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    set_variables(DOUGA_HOME=str(tmp_path / ("home" if writable else "file/home")))
    expected = tmp_path / ("home" if writable else "tmp")
    assert node_cache().is_relative_to(expected)


@pytest.mark.parametrize(
    ("ray", "store", "copied"),
    [
        ("", "file:///x", False),
        ("127.0.0.1:6379", "file:///x", False),
        ("10.0.0.5:6379", "file:///x", True),
        ("ray://farm:10001", "file:///x", True),
        ("127.0.0.1:6379", "s3://farm/ep", True),
    ],
)
def test_sources_go_through_the_store_where_workers_may_not_see_them(
    ray: str, store: str, copied: bool
) -> None:
    assert is_distant(ray, store) is copied
