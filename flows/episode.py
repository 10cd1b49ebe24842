"""The Prefect flow: the story of an episode on one page.

probe → cut → plan → render shots → review → assemble → verify. Prefect schedules and shows; what is
true is in the store.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.urls import url_for

from cluster.settings import foreign, settings
from flows.farm.run import run_episode
from flows.farm.shot import ShotResult, can_retry
from flows.farm.shots import ActiveRun, Shots, render_missing
from flows.notify.on_exit import notify_on_exit
from flows.plan.prepare import Prepared, new_run_id
from flows.prefect.api import PrefectApi, is_up
from flows.prefect.artifacts import publish_artifacts, wait_for_states
from flows.progress import Plain, Reporter
from flows.runs.result import EpisodeResult, shots_failed, waits_for_review
from flows.runs.state import living_runs
from flows.spec.request import RenderRequest, read_request

ACTIVE: ContextVar[ActiveRun | None] = ContextVar("active_run", default=None)
"""The run of this process that the flow only shows."""


@flow(name="render_episode", flow_run_name="{request[episode][name]}", validate_parameters=False)
def render_episode(request: dict[str, Any]) -> State[Any] | dict[str, Any]:
    """Render an episode; `request` is a RenderRequest as plain data, or names a submission of one.
    Returns the result's JSON."""
    if run := ACTIVE.get():
        return _show(run)
    if "submitted" in request:
        from flows.queue.render import render_submitted

        return render_submitted(request, _render)
    asked = read_request(request)
    return _state(_render(asked, Plain(), settings().job), asked)


def _render(asked: RenderRequest, reporter: Reporter, job: str) -> EpisodeResult:
    """Render an episode in this flow's process, and show it here."""
    name = new_run_id()

    def render(prepared: Prepared, began: float) -> EpisodeResult:
        shown: list[PrefectFuture[Any]] = []
        result = render_missing(
            prepared, reporter, began=began, tell=lambda shots: shown.extend(_show_shots(shots))
        )
        _end_show(prepared, result, shown, reporter)
        return replace(result, prefect=url_for("flow-run", flow_run.get_id()))

    with notify_on_exit(asked, reporter) as notice:
        result = run_episode(asked, reporter, render, job=job, run=name)
        if result.run == name:  # who only waited for it has nothing to tell
            notice.result(result)
    return result


def _show(run: ActiveRun) -> State[Any] | dict[str, Any]:
    """Show a run of this process to its end. Raises what stopped it."""
    shown = _show_shots(run.shots.result())
    result = run.result.result()
    wait(shown)
    publish_artifacts(run.prepared, result)
    for shot in result.shots:
        get_run_logger().info("%s: %s, %s made", shot.id, shot.state, shot.computed)
    if result.waiting and not result.failed:
        error = waits_for_review(result, run.prepared.request.command)
        get_run_logger().warning(str(error))
        return State(type=StateType.PAUSED, name="Waiting for review", message=str(error))
    return _state(result, run.prepared.request)


def _show_shots(shots: Shots) -> list[PrefectFuture[Any]]:
    """A task for every shot, named as it."""
    return [
        render_shot.with_options(task_run_name=shot.shot.id, retries=shots.attempts - 1).submit(
            shot.shot.id, shots
        )
        for shot in shots.planned
    ]


def _can_retry(_task: Any, _run: Any, state: State[Any]) -> bool:
    return can_retry(state.result(raise_on_failure=False))


# Without tags: for a task with one, Prefect asks its server for a concurrency slot first.
@task(
    name="render-shot",
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_condition_fn=_can_retry,
)
def render_shot(shot_id: str, shots: Shots) -> ShotResult:
    """Wait for an attempt at a shot, which the run makes by itself; pixels never come here."""
    return shots.attempt(shot_id, task_run.run_count or 1).result()


def _end_show(
    prepared: Prepared,
    result: EpisodeResult,
    shown: list[PrefectFuture[Any]],
    reporter: Reporter,
) -> None:
    wait(shown)
    try:
        publish_artifacts(prepared, result)
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        reporter.note(f"Prefect does not know the end of this run: {error}")


def _state(result: EpisodeResult, request: RenderRequest) -> State[Any] | dict[str, Any]:
    """How the flow ends: failed where shots did."""
    if result.failed:
        error = shots_failed(result, request.command)
        get_run_logger().error(str(error))
        return Failed(message=str(error))
    return result.to_json()


def show_run(run: ActiveRun, api: PrefectApi) -> None:
    """Show a run of this process as a flow run: all of it so far, then what comes, to its end.

    Raises what Prefect's client raises where the server does not answer.
    """
    try:
        shots = run.shots.result()
    except CancelledError:
        return  # it ended before a shot was begun
    runner: Any = ThreadPoolTaskRunner(max_workers=shots.at_once)
    here = render_episode.with_options(task_runner=runner)
    password = foreign("PREFECT_API_AUTH_STRING") or None
    token = ACTIVE.set(run)
    try:
        with temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: password}):
            parameters = {"request": run.prepared.request.model_dump(mode="json")}
            flow_run = _new_flow_run(here, run, parameters)
            try:
                run_flow(here, flow_run=flow_run, parameters=parameters, return_type="state")
            finally:
                if is_up(api.url):
                    wait_for_states(run.flow_run)
                    run.link = url_for("flow-run", run.flow_run) if api.lasting else None
    except BaseException as error:
        if not run.ended_with(error):  # which is shown by now
            raise
    finally:
        ACTIVE.reset(token)


def _new_flow_run(here: Any, run: ActiveRun, parameters: dict[str, Any]) -> FlowRun:
    """A flow run for a run; one that its server has in part, since it went away, is deleted."""
    with get_client(sync_client=True) as client:
        if run.flow_run:
            with suppress(ObjectNotFound):
                client.delete_flow_run(UUID(run.flow_run))
        else:
            _mark_killed(client, run.prepared)
        made = client.create_flow_run(here, name=run.prepared.name, parameters=parameters)
    run.flow_run = str(made.id)
    return made


def _mark_killed(client: SyncPrefectClient, prepared: Prepared) -> None:
    """Mark the flow runs of earlier renders of this episode as crashed that were killed, and told
    nobody: where none but this one lives, all that seem to run are."""
    if set(living_runs(prepared.store, prepared.name)) - {prepared.plan.run}:
        return
    seeming = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[render_episode.name])),
        flow_run_filter=FlowRunFilter(
            name=FlowRunFilterName(any_=[prepared.name]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
            deployment_id=FlowRunFilterDeploymentId(is_null_=True),
        ),
    )
    for each in seeming:
        if each.parameters.get("request", {}).get("store") == prepared.request.store:
            killed: State[Any] = Crashed(message="its process was killed")
            client.set_flow_run_state(each.id, killed, force=True)
