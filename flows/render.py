"""Render an episode from this process: prepare, start only what is needed, run the flow."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from cluster.errors import DougaError
from cluster.settings import settings
from flows.farm import Farm, open_farm
from flows.film import finish_film, upload_inputs
from flows.plan import ShotPlan
from flows.prepare import Prepared, prepare
from flows.progress import Reporter
from flows.request import RenderRequest
from flows.result import EpisodeResult
from flows.server import prefect_api
from flows.shot import ShotResult, ShotWork, make_work, render_shot_now, shots_at_once


def render(request: RenderRequest, reporter: Reporter) -> EpisodeResult:
    """Render an episode. Shots that fail do not stop the others; the result names them.

    What the store has is not made again; where nothing is missing, neither Ray nor Prefect is
    started. Errors: DougaError, with everything finished so far kept.
    """
    began = time.monotonic()
    prepared = prepare(request, reporter)
    if not anything_to_render(prepared):
        return finish_film(prepared, [], reporter, began=began)
    with ThreadPoolExecutor(max_workers=1) as aside, ExitStack() as stack:
        # Prefect's server takes as long to start as Ray: side by side.
        wants_prefect = settings().prefect != "off"
        starting = (
            aside.submit(stack.enter_context, prefect_api(settings())) if wants_prefect else None
        )
        with open_farm(request, prepared.plan, reporter) as farm:
            if starting is None:
                return _render_plainly(prepared, farm, reporter, began=began)
            api = starting.result()
            # Prefect reads its settings when imported: not before its server's address is known.
            from flows.episode import ActiveRun, run_flow

            return run_flow(ActiveRun(prepared, farm, reporter, began), api=api)


def anything_to_render(prepared: Prepared) -> bool:
    """Whether a chunk or segment of the shots asked for is missing from the store."""
    plan = prepared.plan
    asked = set(prepared.request.shots) or {shot.shot.id for shot in plan.shots}
    return any(not plan.is_done(shot) for shot in plan.shots if shot.shot.id in asked)


def _render_plainly(
    prepared: Prepared, farm: Farm, reporter: Reporter, *, began: float
) -> EpisodeResult:
    """The shots on the farm without Prefect, several at once."""
    upload_inputs(prepared)
    work = make_work(prepared, farm, reporter)
    with ThreadPoolExecutor(max_workers=shots_at_once(prepared.request)) as threads:
        results = list(threads.map(lambda shot: _try_shot(work, shot), work.shots))
    return finish_film(prepared, results, reporter, began=began, render_s=work.seconds())


def _try_shot(work: ShotWork, shot: ShotPlan) -> ShotResult:
    try:
        return render_shot_now(work, shot)
    except DougaError as error:
        return ShotResult(shot=shot.shot.id, error=error)
