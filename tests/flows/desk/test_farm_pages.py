"""The farm on the desk: its queue and its nodes, and who may change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from cluster.errors import Exit, UsageError
from cluster.node.records import Here, name_of, nodes_out
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import record_text
from flows.desk.access import Role
from flows.desk.app import make_app
from flows.desk.desk import Desk
from flows.desk.farm import FarmQueue, QueueView
from flows.queue.line import Place, Queued
from flows.queue.submission import (
    SubmissionEnd,
    end_submission,
    hand_in,
    new_submission,
    newest,
)
from flows.spec.request import make_request
from tests.flows.desk.conftest import Studio

HERE = "http://127.0.0.1:8484"
NOW = datetime.now(UTC)


def place(job: str, **more: Any) -> Place:
    about: dict[str, Any] = {"position": 0, "holds": 0, "wants": 0, "why": f"why {job}"}
    seen: dict[str, Any] = {"queue": "day", "standing": "running", "by": "mika"}
    for name in ("queue", "standing", "deadline", "episode"):
        if name in more:
            seen[name] = more.pop(name)
    one = Queued(
        id=uuid4(),
        job=job,
        episode=seen.pop("episode", f"ep-{job}"),
        store="s3://farm/ep",
        submission="",
        due=NOW,
        since=NOW,
        **seen,
    )
    return Place(queued=one, **(about | more))


class Fake(FarmQueue):
    """A queue without a farm."""

    def __init__(self, *places: Place, trouble: str = "") -> None:
        super().__init__()
        self.view = QueueView(places=places, host="head", trouble=trouble)
        self.orders: list[tuple[str, str, str]] = []

    def look(self) -> QueueView:
        return self.view

    def order(self, order: str, job: str, *, by: str) -> None:
        if job not in [each.queued.job for each in self.view.places]:
            raise UsageError(f"nothing called {job!r} is in the queue")
        self.orders.append((order, job, by))


@pytest.fixture
def desk(studio: Studio) -> Desk:
    return studio.desk()


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(make_app(desk), base_url=HERE, raise_server_exceptions=False) as made:
        made.headers["x-csrf-token"] = made.get("/").text.split('data-csrf="')[1].split('"')[0]
        yield made


def test_the_page_says_who_holds_what_and_why_one_waits(client: TestClient, desk: Desk) -> None:
    late = (NOW - timedelta(hours=1)).isoformat()
    desk.queue = Fake(
        place("a", holds=3, wants=8),
        place("<b>", standing="waiting", position=1, deadline=late),
        place("c", standing="paused"),
    )
    assert client.get("/queue").status_code == 200
    page = client.get("/part/queue").text
    for words in ("3 / 8", "why a", "ep-&lt;b&gt;", "late", "/queue/c/resume", "/queue/a/pause"):
        assert words in page
    assert "<b>" not in page
    assert "/queue/c/urgent" not in page


def test_urgent_says_first_who_loses_by_it(client: TestClient, desk: Desk) -> None:
    desk.queue = Fake(
        place("big", holds=6, wants=8),
        place("one", holds=1, wants=8),
        place("soon", standing="waiting", position=1),
    )
    page = client.get("/part/queue").text
    row = page.split("/queue/soon/urgent", 1)[1].split(">", 1)[0]
    assert "ep-big" in row
    assert "ep-one" not in row


def test_without_a_farm_the_page_says_so_and_the_others_work(
    client: TestClient, desk: Desk
) -> None:
    desk.queue = Fake(trouble="no farm is up; douga up")
    assert "douga up" in client.get("/part/queue").text
    assert client.get("/").status_code == 200
    desk.queue = Fake()
    assert "douga submit" in client.get("/part/queue").text


def test_orders_are_given_by_whom_and_kept(client: TestClient, desk: Desk) -> None:
    desk.queue = fake = Fake(place("a"))
    assert client.post("/api/v1/queue/a/pause").status_code == 202
    assert fake.orders == [("pause", "a", desk.local_person.name)]
    assert [(each.what, each.where) for each in desk.audit.read()] == [("pause", "a")]
    assert client.post("/api/v1/queue/none/pause").status_code == 409
    assert client.post("/api/v1/queue/a/burn").status_code == 422
    found = client.get("/api/v1/queue").json()["runs"]
    assert [each["queued"]["job"] for each in found] == ["a"]


def test_who_only_looks_changes_nothing(desk: Desk, client: TestClient) -> None:
    desk.queue = fake = Fake(place("a"))
    desk.accounts.put("yui", role=Role.ARTIST, password="")
    token = {"authorization": f"Bearer {desk.accounts.make_token('yui', 'test')}"}
    assert client.post("/api/v1/queue/a/cancel", headers=token).status_code == 403
    assert fake.orders == []


def test_what_waited_for_people_is_queued_again(studio: Studio) -> None:
    request = make_request("film.mkv", store=studio.store.url)
    put, _ = hand_in(studio.store, new_submission(request, (), job="ep01-1"))
    end = SubmissionEnd(state="waiting", exit_code=Exit.REFUSED, at=NOW.isoformat())
    end_submission(studio.store, put.name, end)
    asked: list[Any] = []
    queue = FarmQueue(asked.append)
    assert queue.again(studio.store, "ep01-1")
    last, _ = newest(studio.store, "ep01-1")
    assert last.attempt == 2
    assert asked == [last]
    assert not queue.again(studio.store, "of no submission")


@pytest.fixture
def farm(tmp_path: Path, set_variables: Callable[..., None]) -> Store:
    """A farm's store, with a node that told of itself just now."""
    url = (tmp_path / "farm").as_uri()
    set_variables(DOUGA_FARM=url, DOUGA_RAY="")
    here = Here(name="ws3", host="ws3.studio", state="on the farm", cpus=8, tags=("a6000",))
    store = open_store(url)
    store.put(name_of("ws3", "here"), record_text(asdict(here)).encode())
    return store


def test_nodes_are_taken_out_and_back_by_whom_and_why(
    farm: Store, desk: Desk, client: TestClient
) -> None:
    page = client.get("/part/farm").text
    for words in ("ws3", "8 CPU", "a6000", "nodes/ws3/drain"):
        assert words in page
    url = "/api/v1/farm/nodes/ws3"
    assert client.post(f"{url}/quarantine", json={"why": " "}).status_code == 409
    assert client.post(f"{url}/drain", json={"why": "a <new> disk"}).status_code == 202
    page = client.get("/part/farm").text
    assert "a &lt;new&gt; disk" in page
    assert desk.local_person.name in page
    assert client.post(f"{url}/undrain", json={}).status_code == 202
    assert "new" not in client.get("/part/farm").text
    assert client.post("/api/v1/farm/nodes/none/drain", json={}).status_code == 409
    assert [each.what for each in desk.audit.read()] == ["drain", "undrain"]


def test_only_an_admin_takes_nodes_out(farm: Store, desk: Desk, client: TestClient) -> None:
    desk.accounts.put("mika", role=Role.SUPERVISOR, password="")
    token = {"authorization": f"Bearer {desk.accounts.make_token('mika', 'test')}"}
    answer = client.post("/api/v1/farm/nodes/ws3/drain", json={}, headers=token)
    assert answer.status_code == 403
    assert not nodes_out(farm)


def test_without_a_farm_its_page_says_what_to_set(
    client: TestClient, set_variables: Callable[..., None]
) -> None:
    set_variables(DOUGA_FARM="")
    assert client.get("/farm").status_code == 200
    assert "DOUGA_FARM" in client.get("/part/farm").text
