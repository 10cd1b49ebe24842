"""A farm of workers in this process: renders without Ray, every call of a worker on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.farm.farm import Farm
from flows.plan.plan import RenderPlan
from flows.plan.shot_plan import RunPlan
from flows.progress import Reporter
from flows.spec.request import RenderRequest
from tasks.models.device import Device
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.worker import Worker, WorkerConfig


class FarmHere(Farm):
    """Takes work items and gives futures of receipts, from `worker` or one that `opened` starts.
    `made` are all the items that were handed over, in order; `lose` is called before each chunk."""

    def __init__(
        self, worker: Worker | None = None, *, lose: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__({})
        self.lose = lose
        self.made: list[WorkItem | SegmentItem] = []
        self._worker = worker
        self._threads = ThreadPoolExecutor(1)

    @contextmanager
    def opened(
        self, request: RenderRequest, plan: RenderPlan, reporter: Reporter
    ) -> Iterator[FarmHere]:
        """For `render`, in place of `flows.farm.farm.open_farm`."""
        cache = Path(request.output).parent / "cache"
        self._worker = Worker(
            WorkerConfig(store_url=request.store, cache=str(cache), device=Device())
        )
        yield self

    def make_chunk(self, item: WorkItem, run: RunPlan, **_: object) -> Future[Any]:
        self.lose()
        assert self._worker is not None
        self.made.append(item)
        return self._threads.submit(self._worker.make_chunk, item)

    def make_segment(self, item: SegmentItem, **_: object) -> Future[Any]:
        assert self._worker is not None
        self.made.append(item)
        return self._threads.submit(self._worker.make_segment, item)

    def cancel(self, shot: str, run: RunPlan) -> None:
        """Nothing: what waits fails as well, or is made."""

    def close(self) -> None:
        """Nothing to end."""
