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

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any

from cluster.connect.nodes import Cluster
from cluster.errors import ClusterError, DougaError, GivenBack, explained
from cluster.pool.calls import Assignment, Call, error_of, give_up
from cluster.pool.crew import Crew
from cluster.pool.failures import Kind, failure_kind
from cluster.pool.hosts import Hosts
from cluster.pool.ray_actors import RayActors
from cluster.pool.spec import Actors, CallFailed, PoolSpec


class Pool:
    """Actors and a queue before them. Use it in a `with`.

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
        self._actors = actors or RayActors(cluster)
        self._hosts = hosts or Hosts(tell)
        self._crew = Crew(
            spec,
            cluster,
            actors=self._actors,
            hosts=self._hosts,
            tell=tell,
            begin=self._begin,
            abandon=self._fail_waiting,
        )
        self._dispatcher = self._crew.dispatcher
        self._lock = self._crew.lock
        self._delayed = threading.Condition(self._lock)

    def __enter__(self) -> Pool:
        try:
            self._crew.threads.start(self._keep_time)
            self._crew.start()
        except BaseException:
            self.close()
            raise
        self._hosts.join(self)
        return self

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
            if self._crew.closed or self._crew.failure:
                raise ClusterError(self._crew.failure or "the pool is closed", where=group)
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
        self._crew.close()
        with self._lock:
            self._delayed.notify_all()
        self._fail_waiting("the run is ending")
        self._crew.threads.join(timeout_s=4)

    def load(self) -> tuple[int, int]:
        """How many workers are up, and how many calls wait or are in flight."""
        return self._crew.load()

    def hold_to(self, most: int, *, first: Collection[str] = ()) -> None:
        """Have so many workers at the most from now on; those beyond, on the nodes named first
        before others, end what they have."""
        self._crew.hold_to(most, first=first)

    def avoid(self, nodes: frozenset[str]) -> None:
        """Start no worker on these nodes, by id, from now on; those there end what they have."""
        self._crew.avoid(nodes)

    def workers_on(self) -> Counter[str]:
        """How many workers it has on each node, by id, those that end what they have included."""
        with self._lock:
            workers = self._dispatcher.workers
            return Counter(each.node for each in workers if each.is_active or each.calls)

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
                self._crew.threads.start(self._serve, at)
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
                begun = [] if self._crew.closed else self._dispatcher.assign()
            self._crew.lines.send()
            if lost:
                self._begin(begun)
                self._crew.bring_back(worker)
                return
            if worker.retired:
                self._crew.check_out(worker)
            self._begin(begun[1:])
            at = begun[0] if begun else None

    def _keep_time(self) -> None:
        """Begin delayed calls when their time has come."""
        while True:
            with self._lock:
                if self._crew.closed:
                    return
                self._delayed.wait(self._dispatcher.wait_s())
                begun = [] if self._crew.closed else self._dispatcher.assign()
            self._begin(begun)

    def _run(self, at: Assignment) -> bool:
        """Make a call; settles its future or queues a retry. True if that ended its worker."""
        call, worker = at.call, at.worker
        if not call.future.running() and not call.future.set_running_or_notify_cancel():
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
            self._crew.lines.add(line)
        if isinstance(answer.error, GivenBack):
            with self._lock:
                if not self._crew.closed:
                    self._dispatcher.give_back(call)
                    return False
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
            if self._crew.closed:
                final: DougaError | None = ClusterError("the run is ending", where=call.group)
            else:
                final = self._dispatcher.handle_failure(
                    call, worker, life=at.life, kind=kind, error=error
                )
                self._delayed.notify_all()
            lost = alive and worker.life > at.life
            closed = self._crew.closed
        if kind is Kind.TIMEOUT and alive and not closed:
            self._actors.end(worker.actor, restart=not worker.retired)
        if final is not None:
            call.future.set_exception(final)
        return lost

    def _fail_waiting(self, why: str) -> None:
        with self._lock:
            waiting = self._dispatcher.waiting.clear()
        give_up(waiting, why)
