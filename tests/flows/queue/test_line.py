"""Who waits for whom, and why: what `douga queue` says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from flows.farm.shares import LiveRun, Queue
from flows.queue.line import Place, Queued, in_line

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
LIMITS: dict[Queue, int] = {"urgent": 4, "day": 2, "night": 2}


def queued(name: str, **more: Any) -> Queued:
    about: dict[str, Any] = {
        "queue": "day",
        "standing": "waiting",
        "by": "mika",
        "store": "s3://farm/ep",
        "submission": f"submitted/{name}/0001.json",
        "due": NOW - timedelta(minutes=5),
        "since": NOW,
    }
    return Queued(id=uuid4(), job=name, episode=f"ep-{name}", **(about | more))


def live(job: str, **more: Any) -> LiveRun:
    about: dict[str, Any] = {"who": "mika", "pool": "cpu", "size": 1.0, "wants": 8}
    return LiveRun(run=f"run-{job}", episode=f"ep-{job}", job=job, **(about | more))


def places(
    *everyone: Queued, running: tuple[LiveRun, ...] = (), served: bool = True
) -> list[Place]:
    return in_line(everyone, running, LIMITS, now=NOW, served=served)


def test_the_queue_goes_by_priority_then_by_time() -> None:
    late, soon = queued("a"), queued("b", due=NOW - timedelta(hours=1))
    urgent, night = queued("u", queue="urgent"), queued("n", queue="night", due=soon.due)
    found = places(night, late, soon, urgent)
    assert [(each.queued.job, each.position) for each in found] == [
        ("u", 1),
        ("b", 2),
        ("a", 3),
        ("n", 4),
    ]


def test_what_goes_comes_first_and_what_is_paused_last() -> None:
    found = places(
        queued("w"),
        queued("p", standing="paused", message="paused by aiko"),
        queued("r", standing="running"),
    )
    assert [each.queued.job for each in found] == ["r", "w", "p"]
    assert [each.position for each in found] == [0, 1, 0]
    assert found[2].why == "paused by aiko"


@pytest.mark.parametrize(
    ("running", "holds", "says"),
    [
        ((live("r", holds=3, wants=8),), 3, "3 workers"),
        ((live("r", holds=2), live("r", pool="gpu", holds=1)), 3, "3 workers"),
        ((live("r"), live("o", holds=6)), 0, "ep-o holds 6"),
        ((), 0, "prepares"),
    ],
)
def test_a_run_that_goes_says_what_it_holds_or_who_has_the_room(
    running: tuple[LiveRun, ...], holds: int, says: str
) -> None:
    (found,) = places(queued("r", standing="running"), running=running)
    assert found.holds == holds
    assert says in found.why


def test_a_full_queue_names_who_is_in_it() -> None:
    going = [queued(name, standing="running") for name in ("x", "y")]
    *_, first, second = places(*going, queued("a"), queued("b", due=NOW))
    for name in ("2 of 2", "ep-x", "ep-y"):
        assert name in first.why
    assert "1 run ahead" in second.why


def test_one_that_is_due_later_says_when_and_one_that_nobody_serves_what_to_do() -> None:
    (later,) = places(queued("a", due=NOW + timedelta(hours=9)))
    assert "not before" in later.why
    (waits,) = places(queued("a"), served=False)
    assert "douga up" in waits.why
