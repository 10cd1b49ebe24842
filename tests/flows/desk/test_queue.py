"""The farm's queue on the desk: who holds what, why one waits, and who may change it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from cluster.errors import Exit, UsageError
from flows.desk.access import Role
from flows.desk.app import make_app
from flows.desk.desk import Desk
from flows.desk.queue import FarmQueue, QueueView
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
