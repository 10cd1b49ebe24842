"""A farm of workers in this process: renders without Ray, every call of a worker on record."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.plan.plan import RenderPlan
from flows.plan.shot_plan import RunPlan
from flows.progress import Reporter
from flows.spec.request import RenderRequest
from tasks.models.device import Device
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.worker import Worker, WorkerConfig


class FarmHere:
    """Takes work items and gives futures of receipts, as `flows.farm.farm.Farm` does. `made` are
    all the items that were handed over, in order."""

    quarantined: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.made: list[WorkItem | SegmentItem] = []
        self._worker: Worker | None = None
        self._threads = ThreadPoolExecutor(1)

    @contextmanager
    def opened(
        self, request: RenderRequest, plan: RenderPlan, reporter: Reporter
    ) -> Iterator[FarmHere]:
        """In place of `flows.farm.farm.open_farm`."""
        cache = Path(request.output).parent / "cache"
        self._worker = Worker(
            WorkerConfig(store_url=request.store, cache=str(cache), device=Device())
        )
        yield self

    def make_chunk(self, item: WorkItem, run: RunPlan) -> Future[Any]:
        assert self._worker is not None
        self.made.append(item)
        return self._threads.submit(self._worker.make_chunk, item)

    def make_segment(self, item: SegmentItem) -> Future[Any]:
        assert self._worker is not None
        self.made.append(item)
        return self._threads.submit(self._worker.make_segment, item)

    def cancel(self, shot: str, run: RunPlan) -> None:
        """Nothing: what waits fails as well, or is made."""

    def close(self) -> None:
        """Nothing to end."""


def use_farm_here(monkeypatch: pytest.MonkeyPatch) -> FarmHere:
    """Renders of this process use a farm in it from now on."""
    farm = FarmHere()
    monkeypatch.setattr("flows.render.open_farm", farm.opened)
    return farm
