"""Stage actors: workers that keep their model, take work items, and are replaced when they die.

The pool knows nothing of animation. An actor hosts one handler object, named as
`module:attribute` and made once; a call names one of its methods and a picklable payload. Each
actor has a few calls in flight, so that one loads and another stores while a third computes (the
handler locks what must not overlap). Recovery is our own: Ray restarts a dead actor, and the pool
submits its lost calls again (`max_task_retries=-1` took 26 s to notice a lost node, this 2-6 s).
`dispatch` decides, without Ray, who takes which call and what follows from a failure.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any

from cluster.connect.connect import Cluster
from cluster.errors import ClusterError, DougaError, OutOfMemory
from cluster.pool.actor import Answer, to_douga_error
from cluster.pool.dispatch import Call, Dispatcher, Worker
from cluster.pool.failures import Kind, failure_kind
from cluster.pool.hosts import Hosts
from cluster.pool.spec import PoolSpec, check_resources, other_build
from cluster.pool.start import last_line, start_actors, wait_for_actors

IN_FLIGHT = 3
"""Calls per actor: one loads, one computes, one stores."""
RECOVERY_POLL_S = 0.3
"""Time between two questions to a lost actor whether it is up again."""


class Pool:
    """A fixed number of actors and a queue before them. Use it in a `with`.

    The pools of a run share `hosts`; `tell` gets, once each, the lines for people about retries and
    about what was given up when memory ran out.
    """

    def __init__(
        self,
        spec: PoolSpec,
        cluster: Cluster,
        *,
        hosts: Hosts | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.spec = spec
        self._cluster = cluster
        self._hosts = hosts or Hosts(tell)
        self._tell = tell
        self._sent: set[str] = set()
        self._dispatcher = Dispatcher(
            clock=time.monotonic,
            chance=random.random,
            tell=self._queue_message,
            label=self._hosts.label,
        )
        self._messages: list[str] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._closed = False
        self._failure = ""
        self._serving = [IN_FLIGHT] * spec.workers

    def __enter__(self) -> Pool:
        check_resources(self.spec, self._cluster)
        try:
            self._dispatcher.workers = start_actors(
                self.spec, self._cluster, concurrency=IN_FLIGHT + 1
            )
            started = wait_for_actors(self._dispatcher.workers, self.spec, self._cluster)
        except BaseException:
            self.close()
            raise
        for worker in self._dispatcher.workers:
            if location := started.located.get(worker.number):
                self._hosts.name(location.node, location.host)
                self._dispatcher.worker_started(worker, location, node_lives=True)
            elif worker.number in started.refused:
                self._refuse(worker, started.refused[worker.number])
            else:
                self._dispatcher.worker_late(worker)
        self._send_messages()
        if late := self.spec.workers - len(started.located) - len(started.refused):
            self._tell(
                f"{late} of {self.spec.workers} workers are late; going on with the others until "
                "they come"
            )
        self._hosts.join(self)
        for worker in self._dispatcher.workers:
            if worker.up and self.spec.warm is not None:
                # Nobody waits for it: an error comes again, and is reported, in a real call.
                worker.actor.call.remote("warm", self.spec.warm)
            for _ in range(IN_FLIGHT):
                thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
                thread.start()
                self._threads.append(thread)
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
        shrink: Callable[[Any], Any | None] = lambda _: None,
        finish: Callable[[Any, int], Any] = lambda result, _: result,
    ) -> Future[Any]:
        """Queue a call; its future gives the method's result or raises its error.

        Calls of a `group` share warm state; `owner` says whose work it is (default: the group).
        Calls of one `memory_class` (default: the method) need about the same memory; `shrink` gives
        a payload that needs less, None if there is none. `finish` makes the future's result from
        the method's result and the number of failed tries before it.
        """
        call = Call(
            method=method,
            payload=payload,
            group=group,
            owner=owner or group,
            memory_class=memory_class or method,
            shrink=shrink,
            finish=finish,
        )
        with self._changed:
            if self._closed or self._failure:
                raise ClusterError(self._failure or "the pool is closed", where=group)
            self._dispatcher.waiting.append(call)
            self._changed.notify_all()
        return call.future

    def cancel(self, *, group: str) -> None:
        """Drop the waiting calls of a group; calls in flight go on."""
        with self._changed:
            for call in [call for call in self._dispatcher.waiting if call.group == group]:
                self._dispatcher.waiting.remove(call)
                _settle_cancelled(call.future)

    def close(self) -> None:
        """End the actors and cancel unfinished calls. Safe to call twice."""
        import ray

        with self._changed:
            self._closed = True
        self._fail_waiting("the run is ending")
        for worker in self._dispatcher.workers:
            ray.kill(worker.actor)
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads = []

    def nodes(self) -> Collection[str]:
        """The ids of the nodes with its active workers."""
        with self._changed:
            return self._dispatcher.nodes()

    def leave(self, node: str) -> None:
        """End the workers on a node; other workers take their calls."""
        import ray

        with self._changed:
            leaving = self._dispatcher.leave_node(node)
            self._changed.notify_all()
        for worker in leaving:
            ray.kill(worker.actor)

    def pids(self) -> list[int]:
        """Process ids of the actors, for tests that kill one."""
        import ray

        return [
            ray.get(worker.actor.ready.remote(), timeout=self.spec.start_timeout_s).pid
            for worker in self._dispatcher.workers
            if not worker.retired
        ]

    # -- a worker's threads ----------------------------------------------------------------

    def _work(self, worker: Worker) -> None:
        last: str | None = None
        here = worker.up or self._wait_for_restart(worker)
        while here and (taken := self._take(worker, last)) is not None:
            call, life = taken
            last = call.group
            lost = self._run(call, worker, life)
            with self._changed:
                worker.calls.remove(call)
                self._changed.notify_all()
            self._send_messages()
            here = not lost or self._wait_for_restart(worker)
        self._end_thread(worker)

    def _end_thread(self, worker: Worker) -> None:
        """End a thread of a worker: the last one ends the actor, the last worker ends the pool."""
        import ray

        with self._changed:
            self._serving[worker.number] -= 1
            done = not self._serving[worker.number]
            abandoned = not any(self._serving) and not self._closed
            if abandoned:
                self._failure = f"no worker is left; the cluster had {self._cluster}"
        if done and not self._closed:
            ray.kill(worker.actor)  # frees the memory of its model
        if abandoned:
            self._fail_waiting(self._failure)

    def _take(self, worker: Worker, last: str | None) -> tuple[Call, int] | None:
        with self._changed:
            while not self._closed and not worker.retired:
                call = self._dispatcher.take(worker, last=last)
                if call is not None:
                    self._changed.notify_all()
                    return call, worker.life
                self._changed.wait(self._dispatcher.wait_s())
            return None

    def _run(self, call: Call, worker: Worker, life: int) -> bool:
        """Make a call; settles its future or queues a retry. True if its worker was lost."""
        import ray

        lost = (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.NodeDiedError,
        )
        if not call.history.tries and not call.future.set_running_or_notify_cancel():
            return False
        with self._changed:
            payload = self._dispatcher.payload(call)
        try:
            ref = worker.actor.call.remote(call.method, payload)
            answer: Answer = ray.get(ref, timeout=self.spec.call_timeout_s)
        except ray.exceptions.GetTimeoutError:
            error = ClusterError(
                f"took longer than {self.spec.call_timeout_s:g} s",
                where=call.group,
                remedy="raise DOUGA_CHUNK_TIMEOUT_S, or use a smaller --chunk",
            )
            self._handle_failure(call, worker, life, Kind.TIMEOUT, error)
            return True
        except ray.exceptions.OutOfMemoryError as error:
            self._handle_failure(
                call, worker, life, Kind.OOM_KILLED, _oom_killed(call, last_line(error))
            )
            return True
        except lost as error:
            self._handle_failure(call, worker, life, Kind.LOST, _lost(call, last_line(error)))
            return True
        except ray.exceptions.RayTaskError as error:
            raised = to_douga_error(getattr(error, "cause", None) or error)
            self._handle_failure(call, worker, life, Kind.FAULT, raised)
        except ray.exceptions.RayError as error:
            unknown = ClusterError(last_line(error), where=call.group, retryable=True)
            self._handle_failure(call, worker, life, Kind.TRANSIENT, unknown)
        else:
            for line in answer.warnings:
                self._queue_message(line)
            if answer.error is not None:
                self._handle_failure(call, worker, life, failure_kind(answer.error), answer.error)
            else:
                self._handle_result(call, answer.result)
        return False

    def _handle_result(self, call: Call, result: Any) -> None:
        try:
            call.future.set_result(call.finish(result, call.history.tries))
        finally:
            self._hosts.blame(call.owner, call.history.blamed)

    def _handle_failure(
        self, call: Call, worker: Worker, life: int, kind: Kind, error: DougaError
    ) -> None:
        """Retry a failed call, or end it with its error."""
        import ray

        with self._changed:
            alive = worker.life == life
            if self._closed:
                final: DougaError | None = ClusterError("the run is ending", where=call.group)
            else:
                final = self._dispatcher.handle_failure(
                    call, worker, life=life, kind=kind, error=error
                )
            self._changed.notify_all()
        if kind is Kind.TIMEOUT and alive and not self._closed:
            ray.kill(worker.actor, no_restart=worker.retired)
        if final is not None:
            call.future.set_exception(final)

    def _wait_for_restart(self, worker: Worker) -> bool:
        """Wait until Ray has restarted a lost actor; False if the worker is retired instead."""
        import ray

        until = time.monotonic() + self.spec.start_timeout_s
        while not self._closed and not worker.retired and time.monotonic() < until:
            try:
                location = ray.get(worker.actor.ready.remote(), timeout=self.spec.start_timeout_s)
            except ray.exceptions.RayError:
                time.sleep(RECOVERY_POLL_S)
                continue
            if self._hosts.is_quarantined(location.node):
                break
            if why := other_build(self.spec, location):
                self._refuse(worker, why)
                self._send_messages()
                break
            self._hosts.name(location.node, location.host)
            moved = location.node != worker.location.node
            lives = not moved or _is_alive(worker.location.node)
            with self._changed:
                self._dispatcher.worker_started(worker, location, node_lives=lives)
                self._changed.notify_all()
            self._send_messages()
            return True
        with self._changed:
            worker.retired = True
            self._changed.notify_all()
        return False

    def _refuse(self, worker: Worker, why: str) -> None:
        with self._changed:
            worker.retired = True
            self._queue_message(f"{why}; it gets no work")
            self._changed.notify_all()

    def _fail_waiting(self, why: str) -> None:
        with self._changed:
            waiting, self._dispatcher.waiting = self._dispatcher.waiting, []
            self._changed.notify_all()
        for call in waiting:
            if not _settle_cancelled(call.future):
                call.future.set_exception(ClusterError(why, where=call.group))

    def _queue_message(self, line: str) -> None:
        """Queue a line for people, to be sent when no lock is held; each is sent once."""
        if line not in self._sent:
            self._sent.add(line)
            self._messages.append(line)

    def _send_messages(self) -> None:
        with self._changed:
            lines, self._messages = self._messages, []
        for line in lines:
            self._tell(line)


def _is_alive(node: str) -> bool:
    import ray

    return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())


def _lost(call: Call, why: str) -> ClusterError:
    losses = call.history.count(Kind.LOST) + 1
    return ClusterError(
        f"the worker was lost {losses} time(s) on the same work ({why})",
        where=call.group,
        remedy="is there enough memory? try fewer --workers or a smaller --chunk",
    )


def _oom_killed(call: Call, why: str) -> OutOfMemory:
    return OutOfMemory(
        f"the worker was killed because memory ran out ({why})",
        where=call.group,
        remedy="use fewer --workers or a smaller --chunk, or give the machine more memory",
    )


def _settle_cancelled(future: Future[Any]) -> bool:
    """Cancel a future and wake whoever waits for it; False if it has started already."""
    return future.cancel() and not future.set_running_or_notify_cancel()
