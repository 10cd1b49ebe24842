"""Stage actors: workers that keep their model, take work items, and are replaced when they die.

The pool knows nothing of animation. An actor hosts one handler object, named as
`module:attribute` and made once; a call names one of its methods and a picklable payload. Each
actor has a few calls in flight, so that one loads and another stores while a third computes (the
handler locks what must not overlap). Recovery is our own: Ray restarts a dead actor, and the pool
submits its lost calls again (`max_task_retries=-1` took 26 s to notice a lost node, this 2-6 s).
`dispatch` decides, without Ray, who takes which call and what follows from a failure. A call in
flight is a thread that waits for it and goes on with the call that its end lets begin, so that
nobody is woken for nothing.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any

from cluster.connect.connect import Cluster
from cluster.errors import ClusterError, DougaError, explained
from cluster.pool.actor import ActorLocation
from cluster.pool.background import Lines, Threads
from cluster.pool.calls import Assignment, Call, Worker, error_of, give_up
from cluster.pool.dispatch import IN_FLIGHT, Dispatcher
from cluster.pool.failures import Kind, failure_kind
from cluster.pool.growth import workers_to_ask
from cluster.pool.hosts import Hosts
from cluster.pool.ray_actors import RayActors
from cluster.pool.spec import Actors, CallFailed, PoolSpec, check_resources, needs, other_build

RECOVERY_POLL_S = 0.3
"""Time between two questions to a lost actor whether it is up again."""
GROWTH_POLL_S = 5.0
"""Time between two looks of an elastic pool at what the cluster has."""


class Pool:
    """A fixed number of actors and a queue before them. Use it in a `with`.

    The pools of a run share `hosts`; `tell` gets, once each, the lines for people about retries and
    about what was given up when memory ran out. `actors` are the cluster's unless given.
    """

    def __init__(
        self,
        spec: PoolSpec,
        cluster: Cluster,
        *,
        hosts: Hosts | None = None,
        tell: Callable[[str], None] = lambda _: None,
        actors: Actors | None = None,
    ) -> None:
        self.spec = spec
        self._cluster = cluster
        self._actors = actors or RayActors(cluster)
        self._hosts = hosts or Hosts(tell)
        self._tell = tell
        self._lines = Lines(tell)
        self._threads = Threads()
        self._dispatcher = Dispatcher(
            clock=time.monotonic,
            chance=random.random,
            tell=self._lines.add,
            label=self._hosts.label,
        )
        self._lock = threading.Lock()
        self._delayed = threading.Condition(self._lock)
        self._closed = False
        self._most = spec.most or None
        self._resize = threading.Event()
        self._failure = ""

    def __enter__(self) -> Pool:
        if not self.spec.elastic:
            check_resources(self.spec, self._cluster)
        workers = self._dispatcher.workers
        try:
            self._ask(self.spec.workers)
            started = self._actors.wait([worker.actor for worker in workers], self.spec)
        except BaseException:
            self.close()
            raise
        self._threads.start(self._keep_time)
        for worker in workers:
            if location := started.located.get(worker.number):
                self._hosts.name(location.node, location.host)
                with self._lock:
                    self._dispatcher.worker_started(worker, location, node_lives=True)
                if self.spec.warm is not None:
                    # Nobody waits for it: an error comes again, and is reported, in a real call.
                    self._actors.send(worker.actor, "warm", self.spec.warm)
            elif worker.number in started.refused:
                self._refuse(worker, started.refused[worker.number])
            else:
                with self._lock:
                    self._dispatcher.worker_late(worker)
                self._threads.start(self._bring_back, worker)
        self._lines.send()
        self._tell_late(len(started.located), len(started.refused))
        if self.spec.elastic:
            self._threads.start(self._keep_size)
        self._hosts.join(self)
        return self

    def _ask(self, count: int) -> list[Worker]:
        """Workers whose actors are asked for and not up yet."""
        workers = self._dispatcher.workers
        asked = [
            Worker(number=number, actor=actor)
            for number, actor in enumerate(
                self._actors.start(self.spec, count, concurrency=IN_FLIGHT + 1), len(workers)
            )
        ]
        with self._lock:
            workers.extend(asked)
        return asked

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

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        method: str,
        payload: Any,
        *,
        group: str = "",
        owner: str = "",
        memory_class: str = "",
        rank: float = 0.0,
        shrink: Callable[[Any], Any | None] = lambda _: None,
        finish: Callable[[Any, int], Any] = lambda result, _: result,
    ) -> Future[Any]:
        """Queue a call; its future gives the method's result or raises its error.

        Calls of a `group` share warm state; `owner` says whose work it is (default: the group). A
        free worker begins the group of the highest `rank`: the more work waits for a call, the
        higher its rank should be. Calls of one `memory_class` (default: the method) need about the
        same memory; `shrink` gives a payload that needs less, None if there is none. `finish` makes
        the future's result from the method's result and the number of failed tries before it.
        """
        call = Call(
            method=method,
            payload=payload,
            group=group,
            owner=owner or group,
            memory_class=memory_class or method,
            rank=rank,
            shrink=shrink,
            finish=finish,
        )
        with self._lock:
            if self._closed or self._failure:
                raise ClusterError(self._failure or "the pool is closed", where=group)
            self._dispatcher.waiting.add(call)
            begun = self._dispatcher.assign()
        self._begin(begun)
        return call.future

    def cancel(self, *, group: str) -> None:
        """Drop the waiting calls of a group; calls in flight go on."""
        with self._lock:
            dropped = self._dispatcher.waiting.drop(group)
        give_up(dropped, "cancelled")

    def close(self) -> None:
        """End the actors and cancel unfinished calls. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._delayed.notify_all()
        self._resize.set()
        self._fail_waiting("the run is ending")
        for worker in self._dispatcher.workers:
            self._actors.end(worker.actor)
        self._threads.join(timeout_s=10)

    def nodes(self) -> Collection[str]:
        """The ids of the nodes with its active workers."""
        with self._lock:
            return self._dispatcher.nodes()

    def leave(self, node: str) -> None:
        """End the workers on a node; other workers take their calls."""
        with self._lock:
            leaving = self._dispatcher.leave_node(node)
        for worker in leaving:
            self._actors.end(worker.actor)

    def pids(self) -> list[int]:
        """Process ids of the actors, for tests that kill one."""
        serving = [worker for worker in self._dispatcher.workers if not worker.retired]
        timeout_s = self.spec.start_timeout_s
        located = [self._actors.locate(each.actor, timeout_s=timeout_s) for each in serving]
        return [location.pid for location in located if location is not None]

    # -- threads ---------------------------------------------------------------------------

    def _begin(self, begun: Iterable[Assignment]) -> None:
        for at in begun:
            try:
                self._threads.start(self._serve, at)
            except RuntimeError as error:  # no further thread can be started
                with self._lock:
                    self._dispatcher.release(at.worker, at.call)
                at.call.future.set_exception(explained(error))

    def _serve(self, first: Assignment) -> None:
        """Make a call, then one of those that its end lets begin, until there is none."""
        at: Assignment | None = first
        while at is not None:
            worker = at.worker
            lost = self._run(at)
            with self._lock:
                self._dispatcher.release(worker, at.call)
                begun = [] if self._closed else self._dispatcher.assign()
            self._lines.send()
            if lost:
                self._begin(begun)
                self._bring_back(worker)
                return
            if worker.retired:
                self._check_out(worker)
            self._begin(begun[1:])
            at = begun[0] if begun else None

    def _keep_time(self) -> None:
        """Begin delayed calls when their time has come."""
        while True:
            with self._lock:
                if self._closed:
                    return
                self._delayed.wait(self._dispatcher.wait_s())
                begun = [] if self._closed else self._dispatcher.assign()
            self._begin(begun)

    def load(self) -> tuple[int, int]:
        """How many workers are up, and how many calls wait or are in flight."""
        with self._lock:
            workers = self._dispatcher.workers
            calls = len(self._dispatcher.waiting) + sum(worker.in_flight for worker in workers)
            return len(self._dispatcher.active_workers()), calls

    def hold_to(self, most: int) -> None:
        """Have so many workers at the most from now on; those beyond end what they have."""
        self._most = most
        self._resize.set()

    def _keep_size(self) -> None:
        """Ask for more workers while there is work for them, and let go of those beyond the most
        that the pool may have."""
        while not self._closed:
            self._resize.wait(GROWTH_POLL_S)
            self._resize.clear()
            try:
                fits = self._actors.fits(self.spec)
            except Exception:  # Ray raises what it likes; the next look may succeed
                continue
            with self._lock:
                asked = [worker for worker in self._dispatcher.workers if not worker.gone]
            up, calls = self.load()
            more = workers_to_ask(up=up, asked=len(asked), fits=fits, calls=calls, most=self._most)
            if more < 0:
                self._let_go(-more)
            for worker in self._ask(more) if more > 0 and not self._closed else ():
                with self._lock:
                    self._dispatcher.worker_late(worker)
                self._threads.start(self._bring_back, worker)

    def _let_go(self, count: int) -> None:
        with self._lock:
            surplus = self._dispatcher.retire_surplus(count)
            for worker in surplus:
                worker.gone = True
        for worker in surplus:
            self._check_out(worker)

    def _bring_back(self, worker: Worker) -> None:
        """Give calls to a lost or late worker when it is up; retire it if it does not come."""
        if self._wait_for_restart(worker):
            with self._lock:
                begun = [] if self._closed else self._dispatcher.assign()
            self._begin(begun)
        else:
            with self._lock:
                self._dispatcher.retire(worker)
                worker.gone = True
            self._check_out(worker)

    def _check_out(self, worker: Worker) -> None:
        """End the actor of a retired worker whose calls have ended, and the pool with its last."""
        with self._lock:
            if self._closed or worker.calls:
                return
            abandoned = not self._may_grow() and all(
                other.retired and not other.calls for other in self._dispatcher.workers
            )
            if abandoned:
                self._failure = f"no worker is left; the cluster had {self._cluster}"
        self._actors.end(worker.actor)  # frees the memory of its model
        if abandoned:
            self._fail_waiting(self._failure)

    def _may_grow(self) -> bool:
        """Whether another worker may come when all are gone: not where they were refused, or cost
        too much memory."""
        return self.spec.elastic and any(worker.gone for worker in self._dispatcher.workers)

    def _run(self, at: Assignment) -> bool:
        """Make a call; settles its future or queues a retry. True if that ended its worker."""
        call, worker = at.call, at.worker
        if not call.history.tries and not call.future.set_running_or_notify_cancel():
            return False
        with self._lock:
            payload = self._dispatcher.payload(call)
        try:
            timeout_s = self.spec.call_timeout_s
            answer = self._actors.call(worker.actor, call.method, payload, timeout_s=timeout_s)
        except CallFailed as failed:
            return self._handle_failure(at, failed.kind, error_of(call, failed))
        except Exception as error:  # whatever goes wrong on the way, the call's future is settled
            why = f"{type(error).__name__}: {error}"
            unknown = ClusterError(why, where=call.group, retryable=True)
            return self._handle_failure(at, Kind.TRANSIENT, unknown)
        for line in answer.warnings:
            self._lines.add(line)
        if answer.error is not None:
            return self._handle_failure(at, failure_kind(answer.error), answer.error)
        try:
            result = call.finish(answer.result, call.history.tries)
        except Exception as error:  # as above
            call.future.set_exception(error)
        else:
            call.future.set_result(result)
        self._hosts.blame(call.owner, call.history.blamed)
        return False

    def _handle_failure(self, at: Assignment, kind: Kind, error: DougaError) -> bool:
        """Retry a failed call, or end it with its error. True if its worker went down with it."""
        call, worker = at.call, at.worker
        with self._lock:
            alive = worker.life == at.life
            if self._closed:
                final: DougaError | None = ClusterError("the run is ending", where=call.group)
            else:
                final = self._dispatcher.handle_failure(
                    call, worker, life=at.life, kind=kind, error=error
                )
                self._delayed.notify_all()
            lost = alive and worker.life > at.life
            closed = self._closed
        if kind is Kind.TIMEOUT and alive and not closed:
            self._actors.end(worker.actor, restart=not worker.retired)
        if final is not None:
            call.future.set_exception(final)
        return lost

    def _wait_for_restart(self, worker: Worker) -> bool:
        """Wait until an actor is up; False if its worker is to be retired instead."""
        until = time.monotonic() + self.spec.start_timeout_s
        if self.spec.elastic and not worker.life and not worker.location.node:
            until = math.inf  # it never was up: there is no room yet
        while not self._closed and not worker.retired and time.monotonic() < until:
            location = self._actors.locate(worker.actor, timeout_s=self.spec.start_timeout_s)
            if location is None or _is_ending(worker, location):
                time.sleep(RECOVERY_POLL_S)
                continue
            if self._hosts.is_quarantined(location.node):
                return False
            if why := other_build(self.spec, location):
                self._refuse(worker, why)
                self._lines.send()
                return False
            self._hosts.name(location.node, location.host)
            if not worker.location.node and self.spec.warm is not None:
                self._actors.send(worker.actor, "warm", self.spec.warm)
            moved = location.node != worker.location.node
            lives = not moved or self._actors.is_alive(worker.location.node)
            with self._lock:
                self._dispatcher.worker_started(worker, location, node_lives=lives)
            self._lines.send()
            return True
        return False

    def _refuse(self, worker: Worker, why: str) -> None:
        with self._lock:
            self._dispatcher.retire(worker)
            self._lines.add(f"{why}; it gets no work")
        self._check_out(worker)

    def _fail_waiting(self, why: str) -> None:
        with self._lock:
            waiting = self._dispatcher.waiting.clear()
        give_up(waiting, why)


def _is_ending(worker: Worker, location: ActorLocation) -> bool:
    """Whether what answers is the process that the pool has just ended: Ray takes a moment."""
    before = worker.location
    return (location.node, location.pid) == (before.node, before.pid) and (
        worker.life - 1 in worker.ended
    )
