"""The farm for the desk, its queue and its nodes: asked once for all who look, and told what people
order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from cluster.errors import DougaError, Exit, UsageError
from cluster.node.records import farm_store, take_back
from cluster.node.records import order as put_order
from cluster.store.base import Store
from flows.farm.nodes import farm_document
from flows.queue.ask import Ask, asking
from flows.queue.line import Place
from flows.queue.submission import Submission, hand_in, newest

FRESH_S = 2.0
"""So long one answer of Prefect's serves everybody who looks."""
NodeOrder = Literal["drain", "undrain", "quarantine"]
Order = Literal["pause", "resume", "cancel", "first", "urgent", "day", "night"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The queue as it stands; `trouble` says why it cannot be asked."""

    places: tuple[Place, ...] = ()
    host: str = ""
    trouble: str = ""

    def would_lose(self, place: Place) -> list[str]:
        """The episodes that give workers to this one if it becomes urgent."""
        return [
            each.queued.episode
            for each in self.places
            if each.holds > 1 and each.queued.queue != "urgent" and each is not place
        ]


def ask_to_take_in(submission: Submission) -> None:
    """Have Prefect queue a submission's run. DougaError where it cannot be asked."""
    with asking() as ask:
        from flows.queue.orders import take_in

        ask(take_in(submission))


class FarmQueue:
    """Asks Prefect's server, one question at a time. It is only asked when somebody looks."""

    def __init__(self, take_in: Callable[[Submission], None] = ask_to_take_in) -> None:
        self._take_in = take_in
        self._lock = threading.Lock()
        self._view = QueueView()
        self._looked = -FRESH_S

    def look(self) -> QueueView:
        """Who holds the farm, what waits and why."""
        with self._lock:
            if time.monotonic() - self._looked >= FRESH_S:
                self._view = _look()
                self._looked = time.monotonic()
            return self._view

    def order(self, order: Order, job: str, *, by: str) -> None:
        """Do what a person orders. DougaError where it cannot be done."""
        with self._lock, asking() as ask:
            _do(ask, order, job, by)
            self._looked = -FRESH_S

    def again(self, store: Store, job: str) -> bool:
        """Queue the submission of a job again that has ended otherwise than well; whether there is
        one. DougaError where the queue cannot be asked."""
        submission, end = newest(store, job) if job else (None, None)
        if submission is None:
            return False
        if end is not None and end.exit_code != Exit.GOOD:
            fresh = replace(submission, at=datetime.now(UTC).isoformat())
            submission, end = hand_in(store, fresh)
        if end is None:
            with self._lock:
                self._take_in(submission)
        return True


def _look() -> QueueView:
    try:
        with asking() as ask:
            from flows.queue.orders import places_now
            from flows.queue.work_pool import read_farm

            farm = ask(read_farm())
            return QueueView(places=tuple(places_now(ask, farm)), host=farm.host)
    except DougaError as error:
        return QueueView(trouble=str(error))


def _do(ask: Ask, order: Order, job: str, by: str) -> None:
    from flows.queue.orders import cancel, move, pause, resume

    if order == "pause":
        ask(pause([job], by=by))
    elif order == "resume":
        ask(resume([job]))
    elif order == "cancel":
        ask(cancel([job], by=by))
    elif order == "first":
        ask(move(job, None, first=True))
    else:
        ask(move(job, order, first=False))


class FarmNodes:
    """The nodes of the farm that DOUGA_FARM names, looked at once for all who look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {}
        self._looked = -FRESH_S

    def look(self) -> dict[str, Any]:
        """What `douga farm --json` says; with `trouble` where there is no farm to look at."""
        with self._lock:
            if time.monotonic() - self._looked >= FRESH_S:
                try:
                    self._document = {"trouble": "", **farm_document(farm_store())}
                except DougaError as error:
                    self._document = {"trouble": str(error), "farm": "", "nodes": []}
                self._looked = time.monotonic()
            return self._document

    def order(self, kind: NodeOrder, node: str, *, why: str, by: str) -> None:
        """Take a node out or back. UsageError for one that is not there, or without a reason."""
        store = farm_store()
        if node not in [each["name"] for each in self.look()["nodes"]]:
            raise UsageError("no such node", where=node, remedy="reload the page")
        if kind == "undrain":
            take_back(store, node)
        elif kind == "quarantine" and not why.strip():
            raise UsageError("say what is wrong with it", where=node)
        else:
            put_order(store, node, kind, why=why, by=by)
        self._looked = -FRESH_S
