"""`douga up`: a process for each run that is due, those that were killed begun again, and what runs
beside."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.abc
import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Scheduled
from prefect.types import DateTime
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from cluster.errors import DougaError, Exit
from cluster.retry import Backoff
from cluster.store.open import open_store
from flows.progress import Reporter
from flows.queue.submission import SubmissionEnd, end_submission, read_end
from flows.queue.work_pool import POOL, POOL_TYPE

AGAIN_S = 3.0
AGAIN = Backoff(first_s=2.0, longest_s=60.0, jitter=0.0)
"""Between two starts of what breaks off."""
HOUSEKEEPING_S = 5.0
ENDS_WITHIN_S = 40.0
"""How long runs may take to keep what they have when the farm is shut down."""
TRIES = 3
"""A run whose process was killed is begun so often."""


class RenderWorker(ProcessWorker):
    """Prefect's worker of processes, which knows its runs and can tell them to stop."""

    type = POOL_TYPE

    def __init__(self, name: str) -> None:
        super().__init__(work_pool_name=POOL, name=name, create_pool_if_not_found=False)
        self.processes: set[int] = set()
        self._is_ending = False

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """One run in a process of its own, to its end."""
        started = _Started(task_status, self.processes)
        try:
            return await super().run(flow_run, configuration, task_status=started)
        finally:
            self.processes.discard(started.process)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take what is due, unless the farm is being shut down."""
        return [] if self._is_ending else await super().get_and_submit_flow_runs()

    async def end(self) -> None:
        """Take no more runs, and have those that go keep what they have and wait for a farm."""
        self._is_ending = True
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        await self.idle()

    async def idle(self) -> None:
        """Wait, for a while, until no process of a run is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ENDS_WITHIN_S
        while self.processes and loop.time() < until:
            await asyncio.sleep(0.2)


class _Started:
    """Prefect's word for "the process is there", and its number."""

    def __init__(self, told: anyio.abc.TaskStatus[int] | None, processes: set[int]) -> None:
        self._told = told
        self._processes = processes
        self.process = 0

    def started(self, value: Any = None) -> None:
        """The process runs; `value` is its number."""
        self.process = int(value or 0)
        self._processes.add(self.process)
        if self._told is not None:
            self._told.started(self.process)


class ServedQueue:
    """A queue whose runs are begun here when they are due, until `ended` is set."""

    def __init__(self, name: str, reporter: Reporter) -> None:
        self.ended = asyncio.Event()
        self._worker = RenderWorker(name)
        self._reporter = reporter

    async def serve(self) -> None:
        """Begin the runs that are due, and begin again those whose process was killed. A server
        that is away is waited for."""
        house = asyncio.create_task(_keep_house(self._reporter, self.ended))
        try:
            while not self.ended.is_set():
                serving = asyncio.create_task(self._worker.start(printer=_silent))
                stopped = asyncio.create_task(self.ended.wait())
                await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if self.ended.is_set():
                    await self._worker.end()
                serving.cancel()
                stopped.cancel()
                answer, _ = await asyncio.gather(serving, stopped, return_exceptions=True)
                if not self.ended.is_set():
                    self._reporter.note(f"serving the queue broke off ({answer}); begun again")
                    await asyncio.sleep(AGAIN_S)
        finally:
            house.cancel()
            await asyncio.gather(house, return_exceptions=True)

    async def idle(self) -> None:
        """Wait, for a while, until no process of a run is left: to stop one that is about to end
        would count as cancelling it."""
        await self._worker.idle()


def _silent(*_: object, **__: object) -> None:
    """What Prefect's worker says of itself is no news."""


async def _keep_house(reporter: Reporter, ended: asyncio.Event) -> None:
    while not ended.is_set():
        with suppress(httpx.HTTPError, DougaError, OSError):
            async with get_client() as client:
                for run in await _ended_unheard(client):
                    await _see_to(client, run, reporter)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout=HOUSEKEEPING_S)


async def _ended_unheard(client: PrefectClient) -> list[FlowRun]:
    """The submissions' runs of the last day that ended without telling it: their process was
    killed, broke off, or somebody cancelled them on Prefect's page."""
    since = DateTime.now("UTC") - timedelta(days=1)
    ends = [StateType.CRASHED, StateType.FAILED, StateType.CANCELLED]
    found = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[POOL])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ends)),
            end_time=FlowRunFilterEndTime(after_=since),
        ),
    )
    return [run for run in found if "submitted" in run.parameters.get("request", {})]


async def _see_to(client: PrefectClient, run: FlowRun, reporter: Reporter) -> None:
    """Queue a run again whose process was killed; put the end of another on record, and of one that
    was killed TRIES times."""
    asked, state = run.parameters["request"], run.state
    store, name = open_store(str(asked["store"])), str(asked["submitted"])
    if state is None or read_end(store, name) is not None:
        return
    if state.type == StateType.CRASHED and run.run_count < TRIES:
        again: State[Any] = Scheduled(message="its process was killed; it goes on from there")
        await client.set_flow_run_state(run.id, again, force=True)
        reporter.note(f"{run.name}: its process was killed; it is queued again")
        return
    cancelled = state.type == StateType.CANCELLED
    error = state.message or (state.name or "").lower()
    if state.type == StateType.CRASHED:
        error = f"its process was killed {TRIES} times"
    end = SubmissionEnd(
        state="cancelled" if cancelled else "failed",
        exit_code=Exit.INTERRUPTED if cancelled else Exit.FAILED,
        at=datetime.now(UTC).isoformat(),
        error=error,
    )
    end_submission(store, name, end)
    reporter.note(f"{run.name}: {end.state} ({error})")


async def keep_running(
    words: Sequence[str],
    ended: asyncio.Event,
    reporter: Reporter,
    *,
    name: str,
    said: Callable[[str], None],
) -> None:
    """Have a `douga` command run beside until `ended` is set, begun again where it breaks off;
    `said` hears each line of its output."""
    for broke in itertools.count(1):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "flows.cli", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is told to this process, which ends it
        )
        listening = asyncio.create_task(_listen(process, said))
        stopped = asyncio.create_task(ended.wait())
        await asyncio.wait({listening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.is_set():
            code = await process.wait()
            pause_s = AGAIN.wait_s(broke)
            reporter.note(
                f"{name} ended with exit code {code}; it is begun again in {pause_s:.0f} s"
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), timeout=pause_s)
        stopped.cancel()
        if ended.is_set():
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.gather(listening, stopped, return_exceptions=True)
            await process.wait()
            return


async def _listen(process: asyncio.subprocess.Process, said: Callable[[str], None]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        said(line.decode(errors="replace").strip())
