"""A run from its start to its record, the same from the command line and from a deployment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cluster.connect.head_check import check_head
from cluster.store.open import open_store
from flows.farm.deliver import SegmentsLost
from flows.farm.output import check_output
from flows.farm.pins import pinned
from flows.farm.shot import shots_to_render
from flows.farm.upload import upload_inputs
from flows.plan.partial_record import ask_store
from flows.plan.prepare import Prepared, new_run_id, prepare
from flows.progress import Reporter, told_as_whole
from flows.runs.job import Claim, ClaimLost, asked_of, error_of, once
from flows.runs.record import record_result, run_record
from flows.runs.result import EpisodeResult
from flows.runs.state import RUNS, RunStatus, result_of
from flows.runs.stores import remember_store
from flows.spec.request import RenderRequest

Check = Callable[[RenderRequest], None]
Render = Callable[[Prepared, float], EpisodeResult]
"""Makes what is missing of an episode, then its film; the time is when the run began."""


def check_cluster(request: RenderRequest) -> None:
    """ClusterError if the Ray cluster that was named does not answer."""
    if request.ray:
        check_head(request.ray)


def run_episode(
    request: RenderRequest,
    reporter: Reporter,
    render: Render,
    *,
    job: str = "",
    run: str = "",
    check: Check = check_cluster,
) -> EpisodeResult:
    """Start a run, have `render` do it, and put it on record; `run` is its name, `check` looks for
    servers before anything is started.

    For a job key it is done once, however often and by whomever it is submitted: where another run
    does it already, this waits for that one and gives its result; where one has done it well, its
    result. One that ended otherwise is followed by a new one. Errors: DougaError, or the error that
    the other run ended with, with everything finished so far kept; UsageError where the key is
    another's.
    """
    run = run or new_run_id()

    def act(claim: Claim | None) -> EpisodeResult:
        name = claim.run if claim else run
        return _run(request, reporter, render, run=name, claim=claim, check=check)

    if not job:
        return act(None)
    return once(
        job,
        store=open_store(request.store),
        place=f"{RUNS}{request.episode.name}/{run}",
        asked=asked_of(request),
        command=request.command,
        act=act,
        recall=_recall,
        reporter=reporter,
    )


def _run(
    request: RenderRequest,
    reporter: Reporter,
    render: Render,
    *,
    run: str,
    claim: Claim | None,
    check: Check,
) -> EpisodeResult:
    began = time.monotonic()
    name, job, command = request.episode.name, claim.job if claim else "", request.command
    store = open_store(request.store)
    with (
        run_record(store, name, run, command=command, job=job) as record,
        told_as_whole(reporter, name),
    ):
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
        remember_store(store.url)
        if shots:
            check(request)
        with pinned(prepared, reporter) as held:
            if shots:
                upload_inputs(held, reporter)
            try:
                result = render(held, began)
            except SegmentsLost as lost:
                reporter.note(f"{lost.what}; they are made again")
                held = replace(held, plan=ask_store(store, held.plan))
                record.begin(shots=len(shots_to_render(held)))
                check(request)
                upload_inputs(held, reporter)
                result = render(held, began)
        record_result(record, result, command=command)
        return result


def _recall(status: RunStatus) -> EpisodeResult:
    if not status.document["shots"]:
        raise error_of(status)
    return result_of(status.document)
