"""A nightly as a Prefect deployment: put there, served by this process, taken away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from cluster.errors import ClusterError, Exit
from flows.nightly.flow import STATE_NAMES, nightly, remember_file
from flows.nightly.spec import NightlySpec
from flows.progress import Reporter
from flows.queue.serve import ServedQueue
from flows.queue.work_pool import POOL

FLOW = nightly.name
POLL_S = 1.0
ANSWER_TIMEOUT_S = 120.0
"""So long Prefect's server may give no answer before serving ends with an error."""
EXITS = {name: code for code, name in STATE_NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A nightly's deployment on a server."""

    name: str
    id: UUID


async def deploy(spec: NightlySpec) -> Deployed:
    """Put a nightly's deployment on the server, or bring the one of its name up to date."""
    remember_file(spec)
    identity = await (await _deployment(spec)).aapply()
    await _drop_old_schedules(spec, identity)
    return Deployed(name=f"{FLOW}/{spec.name}", id=identity)


async def undeploy(name: str = "") -> list[str]:
    """Delete the deployment of a nightly, or of all; the names of those that were there."""
    async with get_client() as client:
        found = await client.read_deployments(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW]))
        )
        chosen = [each for each in found if not name or each.name == name]
        for each in chosen:
            await client.delete_deployment(each.id)
    return sorted(f"{FLOW}/{each.name}" for each in chosen)


async def serve(
    spec: NightlySpec,
    queue: ServedQueue,
    reporter: Reporter,
    *,
    once: bool,
    tell: Callable[[Deployed], None],
) -> Exit:
    """Put the deployment there, whose nights `queue` starts when they are due, until the queue ends
    or it is taken away; with `once` until one night has ended, whose exit code it is.

    `tell` is called when it is there. A night that runs when the queue ends is stopped, and kept as
    far as it went; none is due until somebody serves it again. ClusterError when the server does
    not answer for long.
    """
    deployed = await deploy(spec)
    known = {run.id for run in await _runs(deployed.id)}
    tell(deployed)
    watch = _Watch(deployed.id, queue=queue, known=known, reporter=reporter)
    try:
        return await (watch.one_night() if once else watch.all_nights())
    finally:
        if not watch.gone:
            with contextlib.suppress(httpx.TransportError, ObjectNotFound):
                async with get_client() as client:
                    await client.pause_deployment(deployed.id)


class _Watch:
    """Looks at a deployment until it is time to stop serving it."""

    def __init__(
        self,
        identity: UUID,
        *,
        queue: ServedQueue,
        known: set[UUID],
        reporter: Reporter,
    ) -> None:
        self.gone = False
        self._identity = identity
        self._queue = queue
        self._ended = queue.ended
        self._known = known
        self._reporter = reporter
        self._answered_s = time.monotonic()

    async def all_nights(self) -> Exit:
        """Until a signal comes or the deployment is taken away."""
        while not self._ended.is_set() and await self._is_there():
            await self._pause()
        return Exit.GOOD

    async def one_night(self) -> Exit:
        """The same, or until a night that was not known has ended."""
        while not self._ended.is_set() and await self._is_there():
            for run in await self._new_runs():
                if run.state is not None and run.state.is_final():
                    await self._queue.idle()
                    return _exit_of(run.state)
            await self._pause()
        return Exit.INTERRUPTED if self._ended.is_set() else Exit.FAILED

    async def _new_runs(self) -> list[FlowRun]:
        try:
            return [run for run in await _runs(self._identity) if run.id not in self._known]
        except httpx.TransportError:
            return []

    async def _is_there(self) -> bool:
        try:
            async with get_client() as client:
                await client.read_deployment(self._identity)
        except ObjectNotFound:
            self.gone = True
            self._reporter.note("the deployment was taken away; serving ends")
            return False
        except httpx.TransportError as error:
            if time.monotonic() - self._answered_s > ANSWER_TIMEOUT_S:
                raise ClusterError(
                    f"Prefect's server has given no answer for {ANSWER_TIMEOUT_S:g} s ({error})",
                    remedy="start it again, then douga up",
                ) from error
        else:
            self._answered_s = time.monotonic()
        return True

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout=POLL_S)


async def _deployment(spec: NightlySpec) -> RunnerDeployment:
    cron = spec.schedule
    return await nightly.ato_deployment(
        name=spec.name,
        work_pool_name=POOL,
        work_queue_name="night",
        concurrency_limit=1,
        schedule=Cron(cron.cron, timezone=cron.timezone or spec.timezone) if cron else None,
        paused=False,
        parameters={"name": spec.name},
        description=f"The nightly of {spec.file}.",
        tags=["douga"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


async def _drop_old_schedules(spec: NightlySpec, identity: UUID) -> None:
    """Where the file has no schedule any more: Prefect leaves the earlier one otherwise."""
    if spec.schedule is not None:
        return
    async with get_client() as client:
        for schedule in await client.read_deployment_schedules(identity):
            await client.delete_deployment_schedule(identity, schedule.id)


async def _runs(identity: UUID) -> list[FlowRun]:
    """The deployment's newest runs, those that have ended first."""
    async with get_client() as client:
        return await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[identity])),
            sort=FlowRunSort.END_TIME_DESC,
        )


def _exit_of(state: State[Any]) -> Exit:
    if state.name in EXITS:
        return EXITS[state.name]
    if state.is_completed():
        return Exit.GOOD
    return Exit.INTERRUPTED if state.is_cancelled() else Exit.FAILED
