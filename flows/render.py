"""Render an episode from this process: prepare, start only what is needed, run the flow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from cluster.connect.head_check import check_head
from cluster.errors import DougaError
from cluster.settings import settings
from cluster.store.open import open_store
from flows.farm.farm import Farm, OpenFarm, open_farm
from flows.farm.film import finish_film
from flows.farm.output import check_output
from flows.farm.pins import pinned
from flows.farm.shot import (
    ShotResult,
    ShotWork,
    can_retry,
    make_work,
    render_shot_now,
    shots_at_once,
    shots_to_render,
)
from flows.farm.upload import upload_inputs
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared, new_run_id, prepare
from flows.prefect.server import PrefectApi, configured_api, prefect_api
from flows.progress import Reporter
from flows.runs.job import Claim, ClaimLost, asked_of, error_of, once
from flows.runs.record import record_result, run_record
from flows.runs.result import EpisodeResult
from flows.runs.state import Seen, result_of
from flows.spec.request import RenderRequest

RETRY_DELAY_S = 1.0


def render(
    request: RenderRequest,
    reporter: Reporter,
    *,
    claim: Claim | None = None,
    farm: OpenFarm | None = None,
) -> EpisodeResult:
    """Render an episode. Shots that fail do not stop the others; the result names them. `claim` is
    the job that this run is for (`flows.runs.job`).

    What the store has is not made again; where nothing is missing, neither Ray nor Prefect is
    started, nor where store, output or Ray address cannot be used. Errors: DougaError, with
    everything finished so far kept.
    """
    began = time.monotonic()
    run = claim.run if claim else new_run_id()
    name, job = request.episode.name, claim.job if claim else ""
    store = open_store(request.store)
    with run_record(store, name, run, command=request.command, job=job) as record:
        if claim:  # others wait for it already
            record.begin()
        prepared = prepare(request, reporter, run=run)
        check_output(prepared)
        shots = shots_to_render(prepared)
        if shots:
            prepared.store.probe()
        if claim and not claim.stands(store):
            record.withdraw()
            raise ClaimLost(f"job {job} went to another run")
        record.begin(shots=len(shots))
        if shots:
            _check_servers(request)
        with pinned(prepared, reporter) as held:
            result = _render(held, reporter, began=began, farm=farm or open_farm)
        record_result(record, result, command=request.command)
        return result


def render_once(
    request: RenderRequest, reporter: Reporter, *, job: str, run: str = ""
) -> EpisodeResult:
    """Render an episode for a job key, once, however often and by whomever it is submitted; `run`
    is the run's name if this one does it.

    Where another run does it already, this waits for that one and gives its result; where one has
    done it well, its result. One that ended otherwise is followed by a new one. Errors: those of
    `render`, or the error that the other run ended with; UsageError where the key is another's.
    """

    def recall(seen: Seen) -> EpisodeResult:
        if not seen.document["shots"]:
            raise error_of(seen)
        return result_of(seen.document)

    return once(
        job,
        store=open_store(request.store),
        place=f"runs/{request.episode.name}/{run or new_run_id()}",
        asked=asked_of(request),
        command=request.command,
        act=lambda claim: render(request, reporter, claim=claim),
        recall=recall,
        reporter=reporter,
    )


def _render(
    prepared: Prepared, reporter: Reporter, *, began: float, farm: OpenFarm
) -> EpisodeResult:
    if not shots_to_render(prepared):
        return finish_film(prepared, [], reporter, began=began)
    request = prepared.request
    upload_inputs(prepared)
    if settings().prefect == "off":
        with farm(request, prepared.plan, reporter) as opened:
            return _render_plainly(prepared, opened, reporter, began=began)
    # Prefect's server takes as long to start as Ray: side by side.
    with _prefect_beside() as starting, farm(request, prepared.plan, reporter) as opened:
        api = starting.result()
        # Prefect reads its settings when imported: not before its server's address is known.
        from flows.episode import ActiveRun, run_flow

        return run_flow(ActiveRun(prepared, opened, reporter, began), api=api)


def _check_servers(request: RenderRequest) -> None:
    """ClusterError if a server that was named does not answer, before anything is started."""
    if request.ray:
        check_head(request.ray)
    if settings().prefect != "off":
        configured_api()


@contextmanager
def _prefect_beside() -> Iterator[Future[PrefectApi]]:
    """Prefect's API, on its way in another thread; given up if the block ends before it is up."""
    given_up = threading.Event()
    api = prefect_api(given_up=given_up)
    with ThreadPoolExecutor(max_workers=1) as aside:
        starting = aside.submit(api.__enter__)
        try:
            yield starting
        finally:
            given_up.set()
            if starting.exception() is None:
                api.__exit__(None, None, None)


def _render_plainly(
    prepared: Prepared, farm: Farm, reporter: Reporter, *, began: float
) -> EpisodeResult:
    """The shots on the farm without Prefect, several at once."""
    work = make_work(prepared, farm, reporter)
    with ThreadPoolExecutor(max_workers=shots_at_once(prepared.request)) as threads:
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
