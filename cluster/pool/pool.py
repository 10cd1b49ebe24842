"""Stage actors: workers that keep their model, fed with work items, replaced when they die.

The pool knows nothing of animation. An actor hosts one handler object, named as
`module:attribute` and made once; a call names one of its methods and a picklable payload. Each
actor has a few calls in flight, so that one loads and another stores while a third computes (the
handler locks what must not overlap). Recovery is our own: Ray restarts a dead actor, and the pool
submits its lost calls again (`max_task_retries=-1` took 26 s to notice a lost node, this 2-6 s).
Who takes what, and what follows from a failure, is decided in `crew.py` without Ray.
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
from cluster.pool.actor import Answer, own_error
from cluster.pool.dispatch import Call, Crew, Worker
from cluster.pool.failures import Kind, kind_of
from cluster.pool.hosts import Hosts
from cluster.pool.spec import PoolSpec, check_resources
from cluster.pool.start import last_line, muster, start_actors

IN_FLIGHT = 3
"""Calls per actor: one loads, one computes, one stores."""
RECOVERY_POLL_S = 0.3
"""How often a lost actor is asked whether it is back."""


class Pool:
    """A fixed number of actors and a queue before them. Use it in a `with`.

    `hosts` is what the pools of a run know of their hosts together; `tell` hears, once each, what
    a person should know of retries and of what was given up for want of memory.
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
        self._told: set[str] = set()
        self._crew = Crew(
            clock=time.monotonic,
            chance=random.random,
            tell=self._say_later,
            label=self._hosts.label,
        )
        self._to_say: list[str] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._closed = False
        self._over = ""
        self._serving = [IN_FLIGHT] * spec.workers

    def __enter__(self) -> Pool:
        check_resources(self.spec, self._cluster)
        try:
            self._crew.workers = start_actors(self.spec, concurrency=IN_FLIGHT + 1)
            there = muster(self._crew.workers, self.spec, self._cluster)
        except BaseException:
            self.close()
            raise
        for worker in self._crew.workers:
            if where := there.get(worker.number):
                self._hosts.name(where.node, where.host)
                self._crew.arrived(worker, where, node_lives=True)
            else:
                self._crew.late(worker)
        if late := self.spec.workers - len(there):
            self._tell(
                f"{late} of {self.spec.workers} workers are late; going on with the others until "
                "they come"
            )
        self._hosts.join(self)
        for worker in self._crew.workers:
            if worker.up and self.spec.warm is not None:
                # Not waited for: what goes wrong goes wrong again, and is told, in a real call.
                worker.actor.call.remote("warm", self.spec.warm)
            for _ in range(IN_FLIGHT):
                thread = threading.Thread(target=self._serve, args=(worker,), daemon=True)
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
        sort: str = "",
        lighter: Callable[[Any], Any | None] = lambda _: None,
        finish: Callable[[Any, int], Any] = lambda result, _: result,
    ) -> Future[Any]:
        """Queue a call; its future gives the method's result or raises its error.

        A group is what shares warm state; `owner` is whose work it is, the group if not said.
        Calls of one `sort` (the method if not said) need about the same memory, and `lighter`
        gives a payload that needs less, None where there is none. `finish` gives the future's
        result from the method's and the number of tries that failed before it.
        """
        call = Call(
            method=method,
            payload=payload,
            group=group,
            owner=owner or group,
            sort=sort or method,
            lighter=lighter,
            finish=finish,
        )
        with self._changed:
            if self._closed or self._over:
                raise ClusterError(self._over or "the pool is closed", where=group)
            self._crew.waiting.append(call)
            self._changed.notify_all()
        return call.future

    def cancel(self, *, group: str) -> None:
        """Drop the waiting calls of a group; those in flight run to their end."""
        with self._changed:
            for call in [call for call in self._crew.waiting if call.group == group]:
                self._crew.waiting.remove(call)
                _settle_cancelled(call.future)

    def close(self) -> None:
        """End the actors; calls not finished are cancelled. Safe to call twice."""
        import ray

        with self._changed:
            self._closed = True
        self._fail_waiting("the run is ending")
        for worker in self._crew.workers:
            ray.kill(worker.actor)
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads = []

    def nodes(self) -> Collection[str]:
        """The ids of the nodes that it has workers on now."""
        with self._changed:
            return self._crew.nodes()

    def leave(self, node: str) -> None:
        """End the workers on a node; their calls go to others."""
        import ray

        with self._changed:
            leaving = self._crew.left(node)
            self._changed.notify_all()
        for worker in leaving:
            ray.kill(worker.actor)

    def pids(self) -> list[int]:
        """Process ids of the actors, for tests that kill one."""
        import ray

        return [
            ray.get(worker.actor.ready.remote(), timeout=self.spec.start_timeout_s).pid
            for worker in self._crew.workers
            if not worker.retired
        ]

    # -- a worker's threads ----------------------------------------------------------------

    def _serve(self, worker: Worker) -> None:
        last: str | None = None
        here = worker.up or self._recovers(worker)
        while here and (taken := self._take(worker, last)) is not None:
            call, life = taken
            last = call.group
            lost = self._run(call, worker, life)
            with self._changed:
                worker.calls.remove(call)
                self._changed.notify_all()
            self._say()
            here = not lost or self._recovers(worker)
        self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        """End a thread of a worker; with the last of them the worker, with the last worker all."""
        import ray

        with self._changed:
            self._serving[worker.number] -= 1
            done = not self._serving[worker.number]
            abandoned = not any(self._serving) and not self._closed
            if abandoned:
                self._over = f"no worker is left; the cluster had {self._cluster}"
        if done and not self._closed:
            ray.kill(worker.actor)  # its model is to leave the memory
        if abandoned:
            self._fail_waiting(self._over)

    def _take(self, worker: Worker, last: str | None) -> tuple[Call, int] | None:
        with self._changed:
            while not self._closed and not worker.retired:
                call = self._crew.take(worker, last=last)
                if call is not None:
                    self._changed.notify_all()
                    return call, worker.life
                self._changed.wait(self._crew.wait_s())
            return None

    def _run(self, call: Call, worker: Worker, life: int) -> bool:
        """Make a call; its future is settled or it waits again. True if its worker was lost."""
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
            payload = self._crew.payload(call)
        try:
            ref = worker.actor.call.remote(call.method, payload)
            answer: Answer = ray.get(ref, timeout=self.spec.call_timeout_s)
        except ray.exceptions.GetTimeoutError:
            error = ClusterError(
                f"took longer than {self.spec.call_timeout_s:g} s",
                where=call.group,
                remedy="raise DOUGA_CHUNK_TIMEOUT_S, or use a smaller --chunk",
            )
            self._failed(call, worker, life, Kind.TIMEOUT, error)
            return True
        except ray.exceptions.OutOfMemoryError as error:
            self._failed(call, worker, life, Kind.STARVED, _starved(call, last_line(error)))
            return True
        except lost as error:
            self._failed(call, worker, life, Kind.LOST, _lost(call, last_line(error)))
            return True
        except ray.exceptions.RayTaskError as error:
            raised = own_error(getattr(error, "cause", None) or error)
            self._failed(call, worker, life, Kind.FAULT, raised)
        except ray.exceptions.RayError as error:
            unknown = ClusterError(last_line(error), where=call.group, retryable=True)
            self._failed(call, worker, life, Kind.TRANSIENT, unknown)
        else:
            for line in answer.said:
                self._say_later(line)
            if answer.error is not None:
                self._failed(call, worker, life, kind_of(answer.error), answer.error)
            else:
                self._succeeded(call, answer.result)
        return False

    def _succeeded(self, call: Call, result: Any) -> None:
        try:
            call.future.set_result(call.finish(result, call.history.tries))
        finally:
            self._hosts.blame(call.owner, call.history.blamed)

    def _failed(self, call: Call, worker: Worker, life: int, kind: Kind, error: DougaError) -> None:
        """What follows from a failure: another try, or the end of the call."""
        import ray

        with self._changed:
            alive = worker.life == life
            if self._closed:
                final: DougaError | None = ClusterError("the run is ending", where=call.group)
            else:
                final = self._crew.failed(call, worker, life=life, kind=kind, error=error)
            self._changed.notify_all()
        if kind is Kind.TIMEOUT and alive and not self._closed:
            ray.kill(worker.actor, no_restart=worker.retired)
        if final is not None:
            call.future.set_exception(final)

    def _recovers(self, worker: Worker) -> bool:
        """Wait until Ray has restarted a lost actor; False if it does not in time, or is not to."""
        import ray

        until = time.monotonic() + self.spec.start_timeout_s
        while not self._closed and not worker.retired and time.monotonic() < until:
            try:
                where = ray.get(worker.actor.ready.remote(), timeout=self.spec.start_timeout_s)
            except ray.exceptions.RayError:
                time.sleep(RECOVERY_POLL_S)
                continue
            if self._hosts.is_bad(where.node):
                break
            self._hosts.name(where.node, where.host)
            moved = where.node != worker.where.node
            lives = not moved or _is_alive(worker.where.node)
            with self._changed:
                self._crew.arrived(worker, where, node_lives=lives)
                self._changed.notify_all()
            self._say()
            return True
        with self._changed:
            worker.retired = True
            self._changed.notify_all()
        return False

    def _fail_waiting(self, why: str) -> None:
        with self._changed:
            waiting, self._crew.waiting = self._crew.waiting, []
            self._changed.notify_all()
        for call in waiting:
            if not _settle_cancelled(call.future):
                call.future.set_exception(ClusterError(why, where=call.group))

    def _say_later(self, line: str) -> None:
        """Keep a line that is to be told when no lock is held; each is told once."""
        if line not in self._told:
            self._told.add(line)
            self._to_say.append(line)

    def _say(self) -> None:
        with self._changed:
            lines, self._to_say = self._to_say, []
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


def _starved(call: Call, why: str) -> OutOfMemory:
    return OutOfMemory(
        f"the worker was killed for want of memory ({why})",
        where=call.group,
        remedy="use fewer --workers or a smaller --chunk, or give the machine more memory",
    )


def _settle_cancelled(future: Future[Any]) -> bool:
    """Cancel a future that has not begun, and tell whoever waits for it; False if it has begun."""
    return future.cancel() and not future.set_running_or_notify_cancel()
