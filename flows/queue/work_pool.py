"""Prefect's side of the queue: a work pool, a queue of it for each priority, one deployment.

Prefect decides when a run begins: queues have priorities and limits, and within one who was
scheduled first goes first. How many workers a run then gets is decided by shares
(`flows.farm.shares`), which machine they are on by Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

from prefect import get_client
from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from prefect.client.schemas.filters import WorkQueueFilter, WorkQueueFilterName
from prefect.client.schemas.objects import StateType, WorkQueue
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from cluster.errors import ClusterError
from cluster.store.records import shape
from flows.farm.shares import Queue
from flows.queue.line import LEAST, LIMITS, PRIORITIES

POOL = "douga"
POOL_TYPE = "douga"
FLOW = "render_episode"
ENTRYPOINT = "flows.episode.render_episode"
FARM = "douga_farm"
"""The variable in which Prefect keeps what whoever submits must know of the farm."""
DEAD_AFTER = timedelta(seconds=120)
"""A run gives a sign of life every 30 s (PREFECT_FLOWS_HEARTBEAT_FREQUENCY, the least there is)."""
CRASHED = "douga: a run without a sign of life has crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmNote:
    """What whoever submits must know: the farm's own store, the folders that it and its people
    share, which machine serves the queue, and with which douga."""

    farm: str
    shared: tuple[str, ...]
    host: str
    version: str


async def lay_out(farm: FarmNote, limits: Mapping[Queue, int]) -> UUID:
    """Put pool, queues, deployment and what watches over them on the server, or bring them up to
    date; the deployment's number."""
    async with get_client() as client:
        await _put_pool(client)
        for queue, priority in PRIORITIES.items():
            await _put_queue(client, queue, priority, max(LEAST, limits[queue]))
        flow = await client.create_flow_from_name(FLOW)
        deployment = await client.create_deployment(
            flow,
            POOL,
            entrypoint=ENTRYPOINT,
            path=".",
            work_pool_name=POOL,
            work_queue_name="day",
            description="Episodes that were submitted to the farm: douga submit, douga queue.",
            tags=["douga"],
            enforce_parameter_schema=False,
            paused=False,
        )
        await _put_note(client, farm)
        await _put_automation(client)
        return deployment


async def read_farm() -> FarmNote:
    """What is to be known of the farm. ClusterError where the server has none."""
    async with get_client() as client:
        found = await client.read_variable_by_name(FARM)
    if found is None:
        raise ClusterError(
            "no farm takes submissions on this Prefect server",
            remedy="run douga up where the farm's head is, or douga render here",
        )
    return shape(FarmNote)(found.value)


async def read_limits() -> dict[Queue, int]:
    """How many runs of each queue go at once."""
    async with get_client() as client:
        found = {each.name: each for each in await _queues(client)}
    return {
        queue: found[queue].concurrency_limit or LIMITS[queue]
        for queue in PRIORITIES
        if queue in found
    }


async def is_served() -> bool:
    """Whether a process takes runs from the queue."""
    async with get_client() as client:
        workers = await client.read_workers_for_work_pool(POOL)
    return any(each.status == "ONLINE" for each in workers)


async def _put_pool(client: PrefectClient) -> None:
    from prefect.workers.process import ProcessWorker

    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        try:
            await client.create_work_pool(
                WorkPoolCreate(name=POOL, type=POOL_TYPE, base_job_template=template)
            )
        except ObjectAlreadyExists:
            return


async def _put_queue(client: PrefectClient, name: Queue, priority: int, limit: int) -> None:
    known = {each.name: each for each in await _queues(client)}
    if name not in known:
        try:
            await client.create_work_queue(
                name, concurrency_limit=limit, priority=priority, work_pool_name=POOL
            )
        except ObjectAlreadyExists:
            return
    else:
        await client.update_work_queue(known[name].id, concurrency_limit=limit, priority=priority)


async def _queues(client: PrefectClient) -> list[WorkQueue]:
    names = WorkQueueFilter(name=WorkQueueFilterName(any_=list(get_args(Queue))))
    return await client.read_work_queues(work_pool_name=POOL, work_queue_filter=names)


async def _put_note(client: PrefectClient, farm: FarmNote) -> None:
    value: dict[str, Any] = {**asdict(farm), "shared": list(farm.shared)}
    try:
        await client.create_variable(VariableCreate(name=FARM, value=value))
    except ObjectAlreadyExists:
        await client.update_variable(VariableUpdate(name=FARM, value=value))


async def _put_automation(client: PrefectClient) -> None:
    """Have the server mark runs as crashed that give no sign of life any more."""
    beat, over = "prefect.flow-run.heartbeat", ("Completed", "Failed", "Cancelled", "Crashed")
    wanted = AutomationCore(
        name=CRASHED,
        description="Its process was killed, or its machine went away.",
        trigger=EventTrigger(
            after={beat},
            expect={beat, *(f"prefect.flow-run.{state}" for state in (*over, "Suspended"))},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=DEAD_AFTER,
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                state=StateType.CRASHED,
                message="no sign of life: its process was killed",
                force=False,
            )
        ],
    )
    known: list[Automation] = await client.read_automations_by_name(CRASHED)
    if known:
        await client.update_automation(known[0].id, wanted)
    else:
        await client.create_automation(wanted)
