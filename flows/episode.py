"""The Prefect flow: the story of an episode on one page.

probe → cut → plan → render shots → review → assemble → verify. Prefect schedules, shows and
retries; what is true is in the store.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from cluster.errors import DougaError, InputError, UsageError
from cluster.settings import settings
from flows.artifacts import publish_artifacts, wait_for_states
from flows.farm import Farm, open_farm
from flows.film import finish_film, upload_inputs
from flows.prepare import Prepared, prepare
from flows.progress import Plain, Reporter
from flows.request import RenderRequest
from flows.result import EpisodeResult, shots_failed
from flows.shot import ShotResult, ShotWork, make_work, render_shot_now, shots_at_once


class ActiveRun:
    """A run that this process prepared while Prefect's server was starting, and what came of it."""

    def __init__(
        self, prepared: Prepared, farm: Farm | None, reporter: Reporter, began: float
    ) -> None:
        self.prepared = prepared
        self.farm = farm
        self.reporter = reporter
        self.began = began
        self.result: EpisodeResult | None = None


ACTIVE: ContextVar[ActiveRun | None] = ContextVar("active_run", default=None)


@flow(name="render_episode", flow_run_name="{request[episode][name]}", validate_parameters=False)
def render_episode(request: dict[str, Any]) -> State[Any] | dict[str, Any]:
    """Render an episode; `request` is a RenderRequest as plain data. Returns the result's JSON."""
    active = ACTIVE.get() or _prepare(RenderRequest.model_validate(request))
    prepared, reporter = active.prepared, active.reporter
    plan = prepared.plan
    upload_inputs(prepared)
    opened = open_farm(prepared.request, plan, reporter)
    with nullcontext(active.farm) if active.farm else opened as farm:
        work = make_work(prepared, farm, reporter)
        futures = [
            render_shot.with_options(
                task_run_name=shot.shot.id,
                tags=["shot", plan.episode, *(f"stage:{run.name}" for run in shot.runs)],
                retries=settings().shot_retries,
            ).submit(shot.shot.id, work)
            for shot in work.shots
        ]
        results = [
            _outcome(shot.shot.id, future) for shot, future in zip(work.shots, futures, strict=True)
        ]
    active.result = result = finish_film(
        prepared, results, reporter, began=active.began, render_s=work.seconds()
    )
    publish_artifacts(prepared, result)
    if result.failed:
        error = shots_failed(result, prepared.request.command)
        get_run_logger().error(str(error))
        return Failed(message=str(error))
    return result.to_json()


def _can_retry(_task: Any, _run: Any, state: State[Any]) -> bool:
    """A second attempt helps against a lost machine, not against a wrong picture or recipe."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, InputError | UsageError)


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


def run_flow(active: ActiveRun, *, api: str) -> EpisodeResult:
    """Run the flow in this process for a prepared run. Raises what stopped it."""
    request = active.prepared.request
    token = ACTIVE.set(active)
    try:
        many: Any = ThreadPoolTaskRunner(max_workers=shots_at_once(request))
        here = render_episode.with_options(task_runner=many)
        state: Any = here(request.model_dump(mode="json"), return_state=True)
    finally:
        ACTIVE.reset(token)
    if active.result is not None:
        wait_for_states(state.state_details.flow_run_id)
        return active.result
    error = state.result(raise_on_failure=False)
    if isinstance(error, BaseException):
        raise error
    raise DougaError(f"the flow ended {state.name}: {state.message}", remedy=f"see {api}")


def _prepare(request: RenderRequest) -> ActiveRun:
    began = time.monotonic()
    reporter = Plain()
    return ActiveRun(prepare(request, reporter), None, reporter, began)


def _outcome(shot: str, future: Any) -> ShotResult:
    """A shot's result, or the error that it ended with after its retries."""
    future.wait()
    outcome = future.state.result(raise_on_failure=False)
    if isinstance(outcome, ShotResult):
        return outcome
    if isinstance(outcome, DougaError):
        return ShotResult(shot=shot, error=outcome)
    return ShotResult(shot=shot, error=DougaError(f"{future.state.name}: {outcome}", where=shot))
