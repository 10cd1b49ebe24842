"""The Prefect flow: the story of an episode on one page.

probe → cut → plan → render shots → review → assemble → verify. Prefect schedules, shows and
retries; what is true is in the store.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import httpx
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.urls import url_for

from cluster.errors import ClusterError, DougaError
from cluster.settings import foreign, settings
from flows.farm.farm import Farm, open_farm
from flows.farm.film import finish_film
from flows.farm.run import run_episode
from flows.farm.shot import (
    ShotResult,
    ShotWork,
    can_retry,
    make_work,
    render_shot_now,
    shots_at_once,
    shots_to_render,
)
from flows.notify.on_exit import notify_on_exit
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared, new_run_id
from flows.prefect.artifacts import publish_artifacts, wait_for_states
from flows.prefect.server import PrefectApi, is_up
from flows.progress import Plain, Reporter
from flows.runs.result import EpisodeResult, shots_failed
from flows.spec.request import RenderRequest, read_request


class ActiveRun:
    """A run that this process prepared while Prefect's server was starting, and what came of it."""

    def __init__(
        self, prepared: Prepared, farm: Farm | None, reporter: Reporter, began: float
    ) -> None:
        self.prepared = prepared
        self.farm = farm
        self.reporter = reporter
        self.began = began
        self.flow_run = ""
        self.result: EpisodeResult | None = None


ACTIVE: ContextVar[ActiveRun | None] = ContextVar("active_run", default=None)


@flow(name="render_episode", flow_run_name="{request[episode][name]}", validate_parameters=False)
def render_episode(request: dict[str, Any]) -> State[Any] | dict[str, Any]:
    """Render an episode; `request` is a RenderRequest as plain data. Returns the result's JSON."""
    if here := ACTIVE.get():
        return _state(_render_active(here), here.prepared.request)
    asked, reporter, run = read_request(request), Plain(), new_run_id()

    def render(prepared: Prepared, began: float) -> EpisodeResult:
        active = ActiveRun(prepared, None, reporter, began)
        result = _render_active(active)
        return replace(result, prefect=url_for("flow-run", active.flow_run))

    with notify_on_exit(asked, reporter) as notice:
        result = run_episode(asked, reporter, render, job=settings().job, run=run)
        if result.run == run:  # who only waited for it has nothing to tell
            notice.result(result)
    return _state(result, asked)


def _render_active(active: ActiveRun) -> EpisodeResult:
    """The story: shots, film, artifacts."""
    active.flow_run = flow_run.get_id() or ""
    active.reporter.phase(f"Prefect shows this run at {url_for('flow-run', active.flow_run)}")
    prepared = active.prepared
    results: list[ShotResult] = []
    render_s = 0.0
    quarantined: tuple[str, ...] = ()
    if active.farm is not None:
        results, render_s = _render_shots(prepared, active.farm, active.reporter)
        quarantined = active.farm.quarantined
    elif shots_to_render(prepared):
        with open_farm(prepared.request, prepared.plan, active.reporter) as farm:
            results, render_s = _render_shots(prepared, farm, active.reporter)
            quarantined = farm.quarantined
    active.result = result = finish_film(
        prepared,
        results,
        active.reporter,
        began=active.began,
        render_s=render_s,
        quarantined=quarantined,
    )
    publish_artifacts(prepared, result)
    return result


def _state(result: EpisodeResult, request: RenderRequest) -> State[Any] | dict[str, Any]:
    """How the flow ends: failed where shots did."""
    if result.failed:
        error = shots_failed(result, request.command)
        get_run_logger().error(str(error))
        return Failed(message=str(error))
    return result.to_json()


def _render_shots(
    prepared: Prepared, farm: Farm, reporter: Reporter
) -> tuple[list[ShotResult], float]:
    """What came of every shot, and the seconds it took: a task each, named as the shot."""
    work = make_work(prepared, farm, reporter)
    try:
        futures = [
            render_shot.with_options(
                task_run_name=shot.shot.id,
                tags=["shot", work.plan.episode, *(f"stage:{run.name}" for run in shot.runs)],
                retries=settings().shot_retries,
            ).submit(shot.shot.id, work)
            for shot in work.shots
        ]
        pairs = zip(work.shots, futures, strict=True)
        return [_outcome(work, shot, future) for shot, future in pairs], work.seconds()
    except BaseException:
        farm.close()  # or the task runner would wait for every shot before it lets go
        raise


def _can_retry(_task: Any, _run: Any, state: State[Any]) -> bool:
    return can_retry(state.result(raise_on_failure=False))


@task(
    name="render-shot",
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_delay_seconds=1,
    retry_condition_fn=_can_retry,
)
def render_shot(shot_id: str, work: ShotWork) -> ShotResult:
    """Hand a shot's chunks to the farm and wait; pixels never come here."""
    return render_shot_now(work, work.shot(shot_id))


def run_flow(active: ActiveRun, *, api: PrefectApi) -> EpisodeResult:
    """Run the flow in this process for a prepared run. Raises what stopped it.

    A server that goes away stops no film that can be finished without it. ClusterError where it
    went before the shots were done.
    """
    request = active.prepared.request
    gone: httpx.TransportError | None = None
    state: Any = None
    token = ACTIVE.set(active)
    try:
        at_once = shots_at_once(active.farm.workers if active.farm else 0)
        many: Any = ThreadPoolTaskRunner(max_workers=at_once)
        here = render_episode.with_options(task_runner=many)
        password = foreign("PREFECT_API_AUTH_STRING") or None
        told = {PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: password}
        with temporary_settings(told):
            try:
                state = here(request.model_dump(mode="json"), return_state=True)
            except httpx.TransportError as silence:
                gone = silence
            finally:
                if active.flow_run and is_up(api.url):
                    wait_for_states(active.flow_run)
    finally:
        ACTIVE.reset(token)
    if active.result is not None:
        if gone is not None:
            active.reporter.note(
                f"Prefect's server at {api.url} went away; it does not know the end"
            )
        link = url_for("flow-run", active.flow_run) if api.lasting else None
        return replace(active.result, prefect=link)
    if gone is not None:
        raise ClusterError(
            f"Prefect's server at {api.url} went away ({gone})",
            remedy="what was finished is kept, run the same again",
        ) from gone
    error = state.result(raise_on_failure=False)
    if isinstance(error, BaseException):
        raise error
    raise DougaError(f"the flow ended {state.name}: {state.message}", remedy=f"see {api.url}")


def _outcome(work: ShotWork, shot: ShotPlan, future: Any) -> ShotResult:
    """A shot's result, or the error that it ended with after its retries."""
    future.wait()
    outcome = future.state.result(raise_on_failure=False)
    if isinstance(outcome, ShotResult):
        return outcome
    if not isinstance(outcome, DougaError):
        outcome = DougaError(f"{future.state.name}: {outcome}", where=shot.shot.id)
    return work.give_up(shot, outcome)
