"""Render an episode from this process: prepare, start only what is needed, run the flow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from cluster.errors import DougaError
from cluster.settings import settings
from flows.farm.farm import Farm, OpenFarm, open_farm
from flows.farm.film import finish_film
from flows.farm.run import Check, check_cluster, run_episode
from flows.farm.shot import (
    ShotResult,
    ShotWork,
    can_retry,
    make_work,
    render_shot_now,
    shots_at_once,
    shots_to_render,
)
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.prefect.server import PrefectApi, configured_api, prefect_api
from flows.progress import Reporter
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest

RETRY_DELAY_S = 1.0


def check_servers(request: RenderRequest) -> None:
    """ClusterError if a server that was named does not answer."""
    check_cluster(request)
    if settings().prefect != "off":
        configured_api()


def render(
    request: RenderRequest,
    reporter: Reporter,
    *,
    job: str = "",
    run: str = "",
    farm: OpenFarm | None = None,
    check: Check = check_servers,
) -> EpisodeResult:
    """Render an episode. Shots that fail do not stop the others; the result names them. `job` and
    errors as for `run_episode`, `run` is the run's name if this one does it.

    What the store has is not made again; where nothing is missing, neither Ray nor Prefect is
    started, nor where store, output or Ray address cannot be used.
    """

    def render_shots(prepared: Prepared, began: float) -> EpisodeResult:
        return _render(prepared, reporter, began=began, farm=farm or open_farm)

    return run_episode(request, reporter, render_shots, job=job, run=run, check=check)


def _render(
    prepared: Prepared, reporter: Reporter, *, began: float, farm: OpenFarm
) -> EpisodeResult:
    if not shots_to_render(prepared):
        return finish_film(prepared, [], reporter, began=began)
    request = prepared.request
    if settings().prefect == "off":
        with farm(request, prepared.plan, reporter) as opened:
            return _render_plainly(prepared, opened, reporter, began=began)
    # Prefect's server takes as long to start as Ray: side by side.
    with _prefect_beside() as starting, farm(request, prepared.plan, reporter) as opened:
        api = starting.result()
        # Prefect reads its settings when imported: not before its server's address is known.
        from flows.episode import ActiveRun, run_flow

        return run_flow(ActiveRun(prepared, opened, reporter, began), api=api)


@contextmanager
def _prefect_beside() -> Iterator[Future[PrefectApi]]:
    """Prefect's API, on its way in another thread; given up if the block ends before it is up."""
    cancelled = threading.Event()
    api = prefect_api(cancelled=cancelled)
    with ThreadPoolExecutor(max_workers=1) as aside:
        starting = aside.submit(api.__enter__)
        try:
            yield starting
        finally:
            cancelled.set()
            if starting.exception() is None:
                api.__exit__(None, None, None)


def _render_plainly(
    prepared: Prepared, farm: Farm, reporter: Reporter, *, began: float
) -> EpisodeResult:
    """The shots on the farm without Prefect, several at once."""
    work = make_work(prepared, farm, reporter)
    with ThreadPoolExecutor(max_workers=shots_at_once(farm.workers)) as threads:
        try:
            results = list(threads.map(lambda shot: _try_shot(work, shot), work.shots))
        except BaseException:
            farm.close()  # or the threads would render on to the end
            raise
    return finish_film(
        prepared,
        results,
        reporter,
        began=began,
        render_s=work.seconds(),
        quarantined=farm.quarantined,
    )


def _try_shot(work: ShotWork, shot: ShotPlan) -> ShotResult:
    for left in range(settings().shot_retries, -1, -1):
        try:
            return render_shot_now(work, shot)
        except DougaError as error:
            if not left or not can_retry(error):
                return work.give_up(shot, error)
            time.sleep(RETRY_DELAY_S)
    raise AssertionError("a shot is tried once at least")
