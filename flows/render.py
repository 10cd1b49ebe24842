"""Render an episode from this process: prepare, start only what is needed, show it on Prefect."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial

from cluster.connect.connect import kept_cluster
from cluster.errors import DougaError
from cluster.settings import settings
from flows.farm.farm import OpenFarm, open_farm
from flows.farm.run import Check, check_cluster, run_episode
from flows.farm.shot import shots_to_render
from flows.farm.shots import ActiveRun, render_missing
from flows.plan.prepare import Prepared
from flows.prefect.api import PrefectApi
from flows.prefect.server import check_prefect, kept_server
from flows.prefect.show import shown
from flows.progress import Reporter
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest


def check_servers(request: RenderRequest) -> None:
    """ClusterError if a server that was named does not answer."""
    check_cluster(request)
    if settings().prefect != "off":
        check_prefect()


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
    if reporter.shows_end and shots_to_render(prepared):
        threading.Thread(target=_foresee, args=(prepared, reporter), daemon=True).start()
    if settings().prefect == "off" or not shots_to_render(prepared):
        return render_missing(prepared, reporter, began=began, farm=farm)
    run = ActiveRun(prepared)
    with shown(partial(_play, run), reporter):
        try:
            result = render_missing(
                prepared, reporter, began=began, farm=farm, tell=run.shots.set_result
            )
        except BaseException as error:
            run.stop(error)
            raise
        run.result.set_result(result)
    return replace(result, prefect=run.link)


def _foresee(prepared: Prepared, reporter: Reporter) -> None:
    """Tell when a render ends by what is known of earlier ones, as `douga plan` does; the farm
    starts meanwhile."""
    from flows.forecast.estimate import LEAST, forecast  # with pyarrow: only where work is missing

    with suppress(DougaError):  # whoever asks the plan hears of it
        found = forecast(prepared, calibrate=False, plays=LEAST)
        if found.basis != "none":
            reporter.expect(found.finish_p50_s, found.finish_p90_s)


@contextmanager
def kept_servers() -> Iterator[None]:
    """Ray and Prefect's server, once a render in the block has started them, stay for the next."""
    shows = settings().prefect != "off"
    with kept_cluster(), kept_server() if shows else nullcontext():
        yield


def _play(run: ActiveRun, api: PrefectApi) -> None:
    # Prefect reads its settings when imported: not before its server's address is known.
    from flows.episode import show_run

    show_run(run, api)
