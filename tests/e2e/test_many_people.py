"""A thousand episodes of fifty people on a real Prefect: each is done once, none is lost."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_WORKER_QUERY_SECONDS, temporary_settings
from prefect.states import Completed, Running
from prefect.workers.process import ProcessWorkerResult

from cluster.store.base import Store
from cluster.store.open import open_store
from flows.farm.shares import Queue
from flows.progress import Silent
from flows.queue.orders import take_in
from flows.queue.serve import RenderWorker, ServedQueue
from flows.queue.submission import (
    Submission,
    SubmissionEnd,
    end_submission,
    hand_in,
    new_submission,
    read_end,
    waiting_submissions,
)
from flows.queue.work_pool import FarmNote, lay_out
from flows.render import render
from flows.runs.state import places
from flows.spec.request import RenderRequest, make_request
from tests.conftest import ROOT
from tests.farm_here import FarmHere
from tests.servers.prefect import PrefectServer, prefect_server

PEOPLE = 50
QUEUES: tuple[Queue, ...] = ("urgent", "day", "night")
AT_ONCE = 6
"""Runs of a queue."""
COMMANDS = 6
"""How many people's commands ask the server at the same moment: it is one on SQLite."""


@dataclass
class Served:
    """How many runs were begun, how many of them as processes, and how often each submission was
    done by the others."""

    store: Store
    begun: int = 0
    as_processes: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def runner(self, *, each: int) -> Callable[..., Any]:
        """In place of `RenderWorker.run`: every so manieth run is the process that it is on a farm,
        the others end at once, in this one, as if rendered."""
        real = RenderWorker.run

        async def run(
            worker: RenderWorker, flow_run: FlowRun, configuration: Any, task_status: Any = None
        ) -> ProcessWorkerResult:
            name = str(flow_run.parameters["request"]["submitted"])
            self.begun += 1
            if self.begun % each == 1:
                self.as_processes += 1
                return await real(worker, flow_run, configuration, task_status)
            task_status.started(os.getpid())
            async with get_client() as client:
                await client.set_flow_run_state(flow_run.id, Running(), force=True)
                if read_end(self.store, name) is None:
                    self.done[name] += 1
                    now = datetime.now(UTC).isoformat()
                    end = SubmissionEnd(state="done", exit_code=0, at=now)
                    end_submission(self.store, name, end)
                await client.set_flow_run_state(flow_run.id, Completed(), force=True)
            return ProcessWorkerResult(status_code=0, identifier=str(os.getpid()))

        return run


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_variables: Callable[..., None]
) -> Any:
    """A server of this test's own, which its client and the runs' processes speak to."""
    (tmp_path / "server").mkdir()
    with prefect_server(tmp_path / "server") as server:
        set_variables(
            PREFECT_API_URL=server.api,
            PYTHONPATH=str(ROOT),
            DOUGA_HOME=str(tmp_path / "home"),
            DOUGA_PREFECT="off",
            DOUGA_ROOTS=str(tmp_path.parent),
        )
        yield server


async def hand_in_many(
    store: Store, request: RenderRequest, person: int, count: int, turns: asyncio.Semaphore
) -> list[Submission]:
    """What one of many people submits, each twice with the same key: who knows whether it was
    taken? Once more where the server is too busy to answer."""
    made = []
    for number in range(count):
        queue = QUEUES[(person + number) % len(QUEUES)]
        new = new_submission(request, (), job=f"p{person:02}-{number:02}", queue=queue)
        standing, _ = hand_in(store, replace(new, by=f"person {person}"))
        taken = 0
        while taken < 2:
            async with turns:
                with suppress(PrefectHTTPStatusError, httpx.TransportError):
                    await take_in(standing)
                    taken += 1
        made.append(standing)
    return made


async def everybody_hands_in(store: Store, request: RenderRequest, runs: int) -> list[Submission]:
    """What all of them submit."""
    turns = asyncio.Semaphore(COMMANDS)
    each = runs // PEOPLE
    given = (hand_in_many(store, request, person, each, turns) for person in range(PEOPLE))
    return [one for some in await asyncio.gather(*given) for one in some]


async def serve(store: Store) -> None:
    """Serve as `douga up` does until nothing waits any more."""
    queue = ServedQueue("here", Silent())
    serving = asyncio.create_task(queue.serve())
    while list(waiting_submissions(store)):
        assert not serving.done()
        await asyncio.sleep(2)
    queue.ended.set()
    await serving


@pytest.mark.parametrize(
    ("runs", "each"), [(PEOPLE, PEOPLE // 2), (1000, 25)], ids=["fifty", "a thousand"]
)
@pytest.mark.nightly
def test_none_is_lost_and_none_is_done_twice(
    runs: int,
    each: int,
    server: PrefectServer,
    tiny_film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store((tmp_path / "store").as_uri())
    (tmp_path / "ep.yaml").write_text(f"source: {tiny_film}\nrecipe: [hold]\nstore: store\n")
    request = make_request(str(tmp_path / "ep.yaml"), output=str(tmp_path / "ep.mkv"))
    assert render(request, Silent(), farm=FarmHere().opened, check=lambda _: None).verified
    farm = FarmNote(farm=store.url, shared=(str(tmp_path),), host="here", version="1")
    with temporary_settings({PREFECT_API_URL: server.api, PREFECT_WORKER_QUERY_SECONDS: 1}):
        asyncio.run(lay_out(farm, dict.fromkeys(QUEUES, AT_ONCE)))
        submitted = asyncio.run(everybody_hands_in(store, request, runs))
        assert len({one.name for one in submitted}) == runs
        served = Served(store)
        monkeypatch.setattr(RenderWorker, "run", served.runner(each=each))
        asyncio.run(serve(store))
    assert set(served.done.values()) == {1}
    found = [place for place in places(store) if place.startswith("runs/ep/")]
    assert len(found) - 1 + len(served.done) == runs, "each was rendered, or ended here, once"
    ends = [read_end(store, one.name) for one in submitted]
    assert [end and end.exit_code for end in ends] == [0] * runs
    assert served.as_processes >= runs // each
