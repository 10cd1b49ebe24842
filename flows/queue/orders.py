"""What people ask of the queue: to take an episode in, pause it, go on, cancel it, move it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelling, Scheduled, Suspended

from cluster.errors import Exit, UsageError
from cluster.keys import make_key
from cluster.settings import user_name
from cluster.store.open import open_store
from flows.farm.shares import Queue, live_runs, put_order
from flows.queue.ask import Ask
from flows.queue.line import PRIORITIES, Place, Queued, Standing, in_line
from flows.queue.submission import Submission, SubmissionEnd, end_submission
from flows.queue.work_pool import FLOW, POOL, FarmNote, is_served, read_farm, read_limits
from flows.words import few_words

PAGE = 200
"""The most runs that Prefect gives at once."""
STANDINGS: dict[StateType, Standing] = {
    StateType.SCHEDULED: "waiting",
    StateType.PENDING: "starting",
    StateType.RUNNING: "running",
    StateType.PAUSED: "paused",
    StateType.CANCELLING: "cancelling",
}


async def take_in(submission: Submission, *, due: datetime | None = None, turn: str = "") -> UUID:
    """Queue a submission's run; one that is queued already is not queued again, unless `turn` is
    another."""
    async with get_client() as client:
        return (await _create(client, submission, submission.queue, due=due, turn=turn)).id


async def standing_runs() -> list[Queued]:
    """Every submission that has not ended, in the order of their times."""
    async with get_client() as client:
        return await _standing(client)


def check_key(job: str, store: str, everyone: Sequence[Queued]) -> None:
    """UsageError where a job's key names another one in the queue, of another store."""
    for each in everyone:
        if each.job == job and each.store != store:
            raise UsageError(
                f"the job {job!r} is another request: it renders {each.episode} in {each.store}",
                where="--job",
                remedy="take another key for this one",
            )


async def pause(names: Sequence[str], *, by: str = "") -> list[Queued]:
    """Have runs stop after the chunks in hand, and wait until somebody resumes them; `by`: who
    says so, by default this user."""
    async with get_client() as client:
        found = await _named(client, names)
        for each in found:
            going = each.standing == "running"
            state: State[Any] = Suspended(message=f"paused by {by or user_name()}")
            if each.standing != "paused":
                await client.set_flow_run_state(each.id, state, force=not going)
    return found


async def resume(names: Sequence[str]) -> list[Queued]:
    """Have runs that are paused wait for their turn again. UsageError for one that is not."""
    async with get_client() as client:
        found = await _named(client, names)
        for each in found:
            if each.standing != "paused":
                raise UsageError(
                    f"is not paused: it is {each.standing}", where=each.job, remedy="douga queue"
                )
        for each in found:
            await client.resume_flow_run(each.id)
    return found


async def cancel(names: Sequence[str], *, by: str = "") -> list[Queued]:
    """End runs for good; what they have finished is kept. `by` as for `pause`."""
    async with get_client() as client:
        found = await _named(client, names)
        for each in found:
            who = by or user_name()
            end = SubmissionEnd(
                state="cancelled",
                exit_code=Exit.INTERRUPTED,
                at=datetime.now(UTC).isoformat(),
                by=who,
                error=f"cancelled by {who}",
            )
            end_submission(open_store(each.store), each.submission, end)
            state: State[Any] = Cancelling(message=f"cancelled by {who}")
            await client.set_flow_run_state(each.id, state)
    return found


async def move(name: str, queue: Queue | None, *, first: bool, before: str = "") -> Queued:
    """Put one that waits into another queue, or to its head, or before another one; one that goes
    gets the other queue's share of the farm within seconds."""
    async with get_client() as client:
        everyone = await _standing(client)
        (found,) = _pick(everyone, [name])
        target = queue or found.queue
        due = found.due
        if before:
            (other,) = _pick(everyone, [before])
            target, due = queue or other.queue, other.due - timedelta(milliseconds=1)
        elif first:
            ahead = [each.due for each in everyone if each.queue == target and _waits(each)]
            due = min([due, *ahead]) - timedelta(milliseconds=1)
        if not _waits(found):
            put_order(open_store((await read_farm()).farm), found.job, target)
        elif (target, due) != (found.queue, found.due):
            run = await client.read_flow_run(found.id)
            turn = f"{target} {due.isoformat()} {datetime.now(UTC).isoformat()}"
            made = await _create_again(client, run, target, due=due, turn=turn)
            await client.delete_flow_run(found.id)
            return _queued(made) or found
        return found


def places_now(ask: Ask, farm: FarmNote) -> list[Place]:
    """Everyone in the queue of a farm, in its order."""
    everyone, limits, served = ask(standing_runs()), ask(read_limits()), ask(is_served())
    live = live_runs(open_store(farm.farm))
    return in_line(everyone, live, limits, now=datetime.now(UTC), served=served)


def _waits(run: Queued) -> bool:
    return run.standing == "waiting"


async def _create(
    client: PrefectClient,
    submission: Submission,
    queue: Queue,
    *,
    due: datetime | None,
    turn: str,
) -> FlowRun:
    parameters = {
        "request": {
            "episode": {"name": submission.episode},
            "submitted": submission.name,
            "store": submission.store,
            "job": submission.job,
            "by": submission.by,
            "deadline": submission.deadline,
        }
    }
    variables = {"env": {"DOUGA_WEIGHT": str(submission.weight), "DOUGA_QUEUE": queue}}
    variables["env"]["DOUGA_JOB"] = submission.job
    return await _put(client, submission.episode, parameters, variables, queue, due=due, turn=turn)


async def _create_again(
    client: PrefectClient, run: FlowRun, queue: Queue, *, due: datetime, turn: str
) -> FlowRun:
    variables = dict(run.job_variables or {})
    variables["env"] = {**variables.get("env", {}), "DOUGA_QUEUE": queue}
    return await _put(client, run.name, run.parameters, variables, queue, due=due, turn=turn)


async def _put(
    client: PrefectClient,
    name: str,
    parameters: dict[str, Any],
    variables: dict[str, Any],
    queue: Queue,
    *,
    due: datetime | None,
    turn: str,
) -> FlowRun:
    deployment = await client.read_deployment_by_name(f"{FLOW}/{POOL}")
    request = parameters["request"]
    return await client.create_flow_run_from_deployment(
        deployment.id,
        parameters=parameters,
        state=Scheduled(scheduled_time=due),
        name=name,
        idempotency_key=make_key([request["store"], request["submitted"], turn]),
        work_queue_name=queue,
        job_variables=variables,
    )


async def _named(client: PrefectClient, names: Sequence[str]) -> list[Queued]:
    return _pick(await _standing(client), names)


def _pick(everyone: Sequence[Queued], names: Sequence[str]) -> list[Queued]:
    """Those meant by jobs or episodes. UsageError, with the nearest names, for one that is not
    there, and for an episode that is there twice."""
    found: list[Queued] = []
    for name in names:
        named = [each for each in everyone if name == each.job] or [
            each for each in everyone if name == each.episode
        ]
        if len(named) > 1:
            raise UsageError(
                f"{name} is in the queue {len(named)} times",
                remedy=f"name its job: {few_words([each.job for each in named])}",
            )
        if not named:
            known = sorted({word for each in everyone for word in (each.job, each.episode)})
            close = get_close_matches(name, known, n=3)
            remedy = f"did you mean {' or '.join(close)}?" if close else "see douga queue"
            raise UsageError(f"nothing called {name[:100]!r} is in the queue", remedy=remedy)
        found += named
    return found


async def _standing(client: PrefectClient) -> list[Queued]:
    runs: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[POOL])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(STANDINGS)))
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
            offset=len(runs),
        )
        runs += page
        if len(page) < PAGE:
            break
    # A page may repeat a run that moved meanwhile.
    found = {run.id: each for run in runs if (each := _queued(run))}
    return sorted(found.values(), key=lambda each: each.due)


def _queued(run: FlowRun) -> Queued | None:
    """A flow run as a submission that stands; None where it is none of ours."""
    asked = run.parameters.get("request", {})
    state = run.state
    if state is None or state.type not in STANDINGS or "submitted" not in asked:
        return None
    due = state.state_details.scheduled_time or run.expected_start_time or state.timestamp
    queue: Queue = next((each for each in PRIORITIES if each == run.work_queue_name), "day")
    return Queued(
        id=run.id,
        job=str(asked["job"]),
        episode=str(asked["episode"]["name"]),
        queue=queue,
        standing=STANDINGS[state.type],
        by=str(asked.get("by", "")),
        store=str(asked["store"]),
        submission=str(asked["submitted"]),
        due=due,
        since=state.timestamp,
        deadline=str(asked.get("deadline", "")),
        message=state.message or "",
    )
