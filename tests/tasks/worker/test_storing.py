"""What a worker made is kept while its store is away, and not made again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import StoreError
from cluster.keys import make_key
from flows.plan.inputs import index_name
from tasks.decode import index_source
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.worker.item import SourceInput, WorkItem, chunk_name
from tasks.worker.storing import STORE_RETRIES
from tasks.worker.worker import Worker, WorkerConfig


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    url = (tmp_path / "store").as_uri()
    return Worker(WorkerConfig(store_url=url, cache=str(tmp_path), device=Device()))


@pytest.fixture
def item(worker: Worker, tiny_film: Path) -> WorkItem:
    index = index_source(str(tiny_film))
    worker._store.put(index_name(index), index.to_json().encode())
    return WorkItem(
        key=make_key("chunk"),
        run="r",
        episode="ep",
        shot="sh010",
        name="copy",
        calls=(),
        track=Track(picture=index.picture, times=index.times, end=index.end, rate=index.rate),
        out=Span(0, 4),
        source=SourceInput(
            path=str(tiny_film), digest=index.digest, index_name=index_name(index), first=0
        ),
    )


def away(worker: Worker, times: int, *, retryable: bool = True) -> list[str]:
    """The store refuses so many puts; the names that it was asked to put."""
    put, asked = worker._store.put, list[str]()

    def refuse(name: str, data: bytes, **how: Any) -> Any:
        asked.append(name)
        if len(asked) <= times:
            raise StoreError("nobody answers", retryable=retryable)
        return put(name, data, **how)

    worker._store.put = refuse  # type: ignore[method-assign, assignment]
    return asked


def counted(worker: Worker) -> list[int]:
    """Grows by one whenever frames are made."""
    make, made = worker._make_frames, list[int]()

    def count(item: WorkItem, out: Span, spent: Any) -> Any:
        made.extend([len(out)] if len(out) else [])
        return make(item, out, spent)

    worker._make_frames = count  # type: ignore[method-assign]
    return made


def test_a_chunk_outlives_an_absence_of_its_store(worker: Worker, item: WorkItem) -> None:
    asked, made = away(worker, STORE_RETRIES), counted(worker)
    assert not worker.make_chunk(item).reused
    assert made == [4]
    assert len(asked) == STORE_RETRIES + 1
    assert worker._store.has([chunk_name(item.key)])


def test_its_patience_ends(worker: Worker, item: WorkItem) -> None:
    asked = away(worker, 99)
    with pytest.raises(StoreError, match="nobody answers"):
        worker.make_chunk(item)
    assert len(asked) == STORE_RETRIES + 1


def test_what_will_not_pass_is_told_at_once(worker: Worker, item: WorkItem) -> None:
    asked = away(worker, 99, retryable=False)
    with pytest.raises(StoreError, match="nobody answers"):
        worker.make_chunk(item)
    assert len(asked) == 1
