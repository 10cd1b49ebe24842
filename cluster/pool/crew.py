"""The workers of a pool: asked for, started, brought back when they are lost, and let go."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from cluster.connect.nodes import Cluster
from cluster.pool.actor import ActorLocation
from cluster.pool.background import Lines, Threads
from cluster.pool.calls import Assignment, Worker
from cluster.pool.dispatch import IN_FLIGHT, Dispatcher
from cluster.pool.growth import workers_to_ask
from cluster.pool.hosts import Hosts
from cluster.pool.spec import Actors, PoolSpec, Started, check_resources, needs, other_build


class Crew:
    """The workers of one pool, under its `lock`, with the `dispatcher` that hands them calls.

    `begin` starts the calls that a worker lets begin, `abandon` ends those that wait when no worker
    is left and none will come. `tell` gets lines for people, `lines` those that are told once.
    """

    def __init__(
        self,
        spec: PoolSpec,
        cluster: Cluster,
        *,
        actors: Actors,
        hosts: Hosts,
        tell: Callable[[str], None],
        begin: Callable[[Iterable[Assignment]], None],
        abandon: Callable[[str], None],
    ) -> None:
        self.spec = spec
        self.lock = threading.Lock()
        self.lines = Lines(tell)
        self.threads = Threads()
        self.dispatcher = Dispatcher(
            clock=time.monotonic, chance=random.random, tell=self.lines.add, label=hosts.label
        )
        self.closed = False
        self.failure = ""
        self._cluster = cluster
        self._actors = actors
        self._hosts = hosts
        self._tell = tell
        self._begin = begin
        self._abandon = abandon
        self._most = spec.most or None
        self._first: Collection[str] = ()
        self._resize = threading.Event()

    def start(self) -> None:
        """Start the workers, and go on with those that are up. ClusterError as of `Actors.wait`."""
        if not self.spec.elastic:
            check_resources(self.spec, self._cluster)
        workers = self._ask(self.spec.workers)
        self._muster(workers, self._actors.wait([each.actor for each in workers], self.spec))
        if self.spec.elastic:
            self.threads.start(self._keep_size)

    def _muster(self, workers: Iterable[Worker], started: Started) -> None:
        for worker in workers:
            if location := started.located.get(worker.number):
                self._hosts.name(location.node, location.host)
                with self.lock:
                    self.dispatcher.worker_started(worker, location, node_lives=True)
                if self.spec.warm is not None:
                    # Nobody waits for it: an error comes again, and is reported, in a real call.
                    self._actors.send(worker.actor, "warm", self.spec.warm)
            elif worker.number in started.refused:
                self._refuse(worker, started.refused[worker.number])
            else:
                self._expect(worker)
        self.lines.send()
        self._tell_late(len(started.located), len(started.refused))

    def close(self) -> None:
        """End the actors. Safe to call twice."""
        with self.lock:
            self.closed = True
        self._resize.set()
        for worker in self.dispatcher.workers:
            self._actors.end(worker.actor)

    def load(self) -> tuple[int, int]:
        """How many workers are up, and how many calls wait or are in flight."""
        with self.lock:
            workers = self.dispatcher.workers
            calls = len(self.dispatcher.waiting) + sum(worker.in_flight for worker in workers)
            return len(self.dispatcher.active_workers()), calls

    def hold_to(self, most: int, *, first: Collection[str] = ()) -> None:
        """Have so many workers at the most from now on; those beyond, on the nodes named first
        before others, end what they have."""
        self._most, self._first = min(most, self.spec.most or most), first
        self._resize.set()

    def avoid(self, nodes: frozenset[str]) -> None:
        """Start no worker on these nodes from now on; those that are there end what they have."""
        with self.lock:
            self.spec = replace(self.spec, avoid=nodes)
            leaving = self.dispatcher.retire_on(nodes)
        self._see_off(leaving)
        self._resize.set()

    def bring_back(self, worker: Worker) -> None:
        """Give calls to a lost or late worker when it is up; retire it if it does not come."""
        if self._wait_for_restart(worker):
            with self.lock:
                begun = [] if self.closed else self.dispatcher.assign()
            self._begin(begun)
        else:
            with self.lock:
                self.dispatcher.retire(worker)
                worker.gone = True
            self.check_out(worker)

    def check_out(self, worker: Worker) -> None:
        """End the actor of a retired worker whose calls have ended, and the pool with its last."""
        with self.lock:
            if self.closed or worker.calls:
                return
            abandoned = not self._may_grow() and all(
                other.retired and not other.calls for other in self.dispatcher.workers
            )
            if abandoned:
                self.failure = f"no worker is left; the cluster had {self._cluster}"
        self._actors.end(worker.actor)  # frees the memory of its model
        if abandoned:
            self._abandon(self.failure)

    def _ask(self, count: int) -> list[Worker]:
        """Workers whose actors are asked for and not up yet."""
        workers = self.dispatcher.workers
        asked = [
            Worker(number=number, actor=actor)
            for number, actor in enumerate(
                self._actors.start(self.spec, count, concurrency=IN_FLIGHT + 1), len(workers)
            )
        ]
        with self.lock:
            workers.extend(asked)
        return asked

    def _expect(self, worker: Worker) -> None:
        """Wait for a worker that is late, in a thread."""
        with self.lock:
            self.dispatcher.worker_late(worker)
        self.threads.start(self.bring_back, worker)

    def _tell_late(self, up: int, refused: int) -> None:
        late = self.spec.workers - up - refused
        if late and up:
            self._tell(
                f"{late} of {self.spec.workers} workers are late; going on with the others until "
                "they come"
            )
        elif late:
            self._tell(
                f"waiting for room for a worker of {needs(self.spec)}; the cluster has "
                f"{self._cluster}, and others may hold it"
            )

    def _keep_size(self) -> None:
        """Ask for more workers while there is work for them, and let go of those beyond the most
        that the pool may have."""
        while not self.closed:
            self._resize.wait(self.spec.growth_poll_s)
            self._resize.clear()
            try:
                fits = self._actors.fits(self.spec)
            except Exception:  # Ray raises what it likes; the next look may succeed
                continue
            with self.lock:
                asked = [worker for worker in self.dispatcher.workers if not worker.gone]
            up, calls = self.load()
            more = workers_to_ask(up=up, asked=len(asked), fits=fits, calls=calls, most=self._most)
            if more < 0:
                self._let_go(-more)
            for worker in self._ask(more) if more > 0 else ():
                if self.closed:  # it was asked for too late
                    self._actors.end(worker.actor)
                else:
                    self._expect(worker)

    def _let_go(self, count: int) -> None:
        with self.lock:
            surplus = self.dispatcher.retire_surplus(count, first=self._first)
        self._see_off(surplus)

    def _see_off(self, retired: Iterable[Worker]) -> None:
        """Have retired workers end what they have begun, and give back the rest."""
        for worker in retired:
            worker.gone = True
            if worker.calls:
                self._actors.send(worker.actor, "leave", None)
            self.check_out(worker)

    def _may_grow(self) -> bool:
        """Whether another worker may come when all are gone: not where they were refused, or cost
        too much memory."""
        return self.spec.elastic and any(worker.gone for worker in self.dispatcher.workers)

    def _wait_for_restart(self, worker: Worker) -> bool:
        """Wait until an actor is up; False if its worker is to be retired instead."""
        until = time.monotonic() + self.spec.start_timeout_s
        if self.spec.elastic and not worker.life and not worker.location.node:
            until = math.inf  # it never was up: there is no room yet
        while not self.closed and not worker.retired and time.monotonic() < until:
            location = self._actors.locate(worker.actor, timeout_s=self.spec.start_timeout_s)
            if location is None or _is_ending(worker, location):
                time.sleep(self.spec.recovery_poll_s)
                continue
            if self._hosts.is_quarantined(location.node) or location.node in self.spec.avoid:
                return False
            if why := other_build(self.spec, location):
                self._refuse(worker, why)
                self.lines.send()
                return False
            self._hosts.name(location.node, location.host)
            if not worker.location.node and self.spec.warm is not None:
                self._actors.send(worker.actor, "warm", self.spec.warm)
            moved = location.node != worker.location.node
            lives = not moved or self._actors.is_alive(worker.location.node)
            with self.lock:
                self.dispatcher.worker_started(worker, location, node_lives=lives)
            self.lines.send()
            return True
        return False

    def _refuse(self, worker: Worker, why: str) -> None:
        with self.lock:
            self.dispatcher.retire(worker)
            self.lines.add(f"{why}; it gets no work")
        self.check_out(worker)


def _is_ending(worker: Worker, location: ActorLocation) -> bool:
    """Whether what answers is the process that the pool has just ended: Ray takes a moment."""
    before = worker.location
    return (location.node, location.pid) == (before.node, before.pid) and (
        worker.life - 1 in worker.ended
    )
