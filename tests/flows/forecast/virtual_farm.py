"""Renders that take no time: the farm's own rules of who takes what, on a clock that is turned.

The dispatcher is the real one; times are drawn. What a render leaves in the store, receipts and a
record, it leaves too.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from cluster.ledger.receipts import Receipt, append_receipts
from cluster.pool.actor import ActorLocation
from cluster.pool.calls import Call, Worker
from cluster.pool.dispatch import Dispatcher
from flows.farm.shot import shots_at_once
from flows.forecast.durations import Timing, Work
from flows.forecast.work import Todo, todo_of, workers_for
from flows.plan.prepare import Prepared

BEGAN = datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Fate:
    """How long things take: `took` draws an item's time; the rest is seconds around the chunks,
    and how much slower than usual all of a run may be (log)."""

    took: Callable[[random.Random, Work], Timing]
    start_s: float = 8.0
    start_scatter: float = 0.08
    film_frame_s: float = 0.004
    run_scatter: float = 0.04


class Render:
    """One render, played to its end by `run`."""

    def __init__(self, prepared: Prepared, fate: Fate, *, number: int, seed: int) -> None:
        self.prepared = prepared
        self.number = number
        self._fate = fate
        self._chance = random.Random(f"{seed} {number}")
        pools = workers_for(prepared, 0)
        assert list(pools) == ["cpu"]
        self._workers = pools["cpu"].workers
        self.todo: Todo = todo_of(prepared, pools)
        slow = self._chance.lognormvariate(0, fate.run_scatter)
        self._took = [fate.took(self._chance, work).slower(slow) for work in self.todo.works]
        self.now = 0.0
        self.receipts: list[Receipt] = []

    def run(self) -> float:
        """Seconds of the whole render, its receipts and record left in the store."""
        render_s = self._render()
        start = self._fate.start_s * self._chance.lognormvariate(0, self._fate.start_scatter)
        wall_s = start + render_s + self._fate.film_frame_s * self.todo.film_frames
        self._leave(render_s, wall_s)
        return wall_s

    def _render(self) -> float:
        dispatcher = Dispatcher(
            clock=lambda: self.now, chance=self._chance.random, tell=lambda _: None
        )
        here = ActorLocation(node="A", host="a", pid=1)
        for number in range(self._workers):
            dispatcher.workers.append(Worker(number=number))
            dispatcher.worker_started(dispatcher.workers[-1], here, node_lives=True)
        computing_until: dict[int, float] = defaultdict(float)
        events: list[tuple[float, int, str, Worker, Call]] = []
        order = count()
        shots = [list(steps) for steps in self.todo.shots]
        left: dict[int, int] = {}
        items_left = [[item for step in steps for item in step.items] for steps in shots]
        waiting_shots = list(range(len(shots)))

        def hand_out(shot: int) -> None:
            if not shots[shot]:
                begin_next()
                return
            step = shots[shot].pop(0)
            left[shot] = len(step.items)
            for item in step.items:
                rank = sum(self.todo.works[later].frames for later in items_left[shot])
                items_left[shot].remove(item)
                call = Call(
                    method="make", payload=(shot, step, item), group=step.group, rank=float(rank)
                )
                dispatcher.waiting.add(call)

        def begin_next() -> None:
            if waiting_shots:
                hand_out(waiting_shots.pop(0))

        def serve() -> None:
            for at in dispatcher.assign():
                loaded = self.now + self._took[at.call.payload[2]].load_s
                heappush(events, (loaded, next(order), "loaded", at.worker, at.call))

        for _ in range(shots_at_once(self._workers)):
            begin_next()
        serve()
        while events:
            self.now, _, what, worker, call = heappop(events)
            shot, step, item = call.payload
            took = self._took[item]
            if what == "loaded":
                ends = self.now + took.compute_s
                if step.locked:
                    ends = max(self.now, computing_until[worker.number]) + took.compute_s
                    computing_until[worker.number] = ends
                heappush(events, (ends + took.store_s, next(order), "done", worker, call))
                continue
            dispatcher.release(worker, call)
            self.receipts.append(self._receipt(shot, item, worker.number, took))
            left[shot] -= 1
            if not left[shot]:
                hand_out(shot)
            serve()
        return self.now

    @property
    def name(self) -> str:
        return f"{BEGAN + timedelta(hours=self.number):%Y%m%dT%H%M%S}-virt"

    def _receipt(self, shot: int, item: int, worker: int, took: Timing) -> Receipt:
        work = self.todo.works[item]
        plan, _ = self.todo.made_by[item]
        ended = BEGAN + timedelta(hours=self.number, seconds=self.now)
        return Receipt(
            run=self.name,
            episode=self.prepared.name,
            shot=plan.shot.id,
            stage=work.stage,
            key=f"{item:040x}",
            start=0,
            end=work.frames,
            frames=work.frames,
            model=work.model,
            kind=work.kind,
            width=work.pixels,
            height=1,
            device=work.device,
            worker=str(worker),
            load_s=took.load_s,
            compute_s=took.compute_s,
            store_s=took.store_s,
            bytes_out=int(took.bytes_out),
            finished_at=ended.isoformat(timespec="milliseconds"),
        )

    def _leave(self, render_s: float, wall_s: float) -> None:
        by_shot: Mapping[str, list[Receipt]] = defaultdict(list)
        for receipt in self.receipts:
            by_shot[receipt.shot].append(receipt)
        for receipts in by_shot.values():
            append_receipts(self.prepared.store, self.name, receipts)
        record: dict[str, Any] = {
            "run": self.name,
            "episode": self.prepared.name,
            "state": "done",
            "film": "film.mkv",
            "frames_out": self.todo.film_frames,
            "render_s": render_s,
            "wall_s": wall_s,
            "shots": [],
            "quarantined": [],
        }
        name = f"runs/{self.prepared.name}/{self.name}.json"
        self.prepared.store.put(name, json.dumps(record).encode())
