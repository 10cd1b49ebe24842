"""Stage actors: workers that keep their model, fed with work items, replaced when they die.

The pool knows nothing of animation. An actor hosts one handler object, named as
`module:attribute` and made once; a call names one of its methods and a picklable payload. Each
actor has a few calls in flight, so that one loads and another stores while a third computes (the
handler locks what must not overlap). Recovery is our own: Ray restarts a dead actor, and the pool
submits its lost calls again (`max_task_retries=-1` took 26 s to notice a lost node, this 2-6 s).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from cluster.connect import Cluster, Node
from cluster.errors import ClusterError, DougaError, StageError
from cluster.queue import choose_next

IN_FLIGHT = 3
"""Calls per actor: one loads, one computes, one stores."""
RECOVERY_POLL_S = 0.3
"""How often a lost actor is asked whether it is back."""
LOSSES = 6
"""A call that has taken this many workers down with it is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """What a pool's actors are and need. `memory_bytes` 0: not asked for."""

    handler: str
    config: Any
    workers: int
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory_bytes: int = 0
    start_timeout_s: float = 120.0
    call_timeout_s: float = 3600.0
    warm: Any = None
    """Payload of the handler's method `warm`, called in every actor as soon as it is there, while
    the driver goes on; None: not called."""

    @property
    def need(self) -> Node:
        """What one worker takes of its node."""
        return Node(cpus=self.num_cpus, gpus=self.num_gpus, memory_bytes=self.memory_bytes)


@dataclass(slots=True)
class _Call:
    method: str
    payload: Any
    group: str
    future: Future[Any] = field(default_factory=Future)
    losses: int = 0


class _Host:
    """What runs inside an actor."""

    def __init__(self, handler: str, config: Any) -> None:
        module, _, attribute = handler.partition(":")
        self._handler = getattr(import_module(module), attribute)(config)

    def ready(self) -> bool:
        return True

    def call(self, method: str, payload: Any) -> Any:
        return getattr(self._handler, method)(payload)


class Pool:
    """A fixed number of actors and a queue before them. Use it in a `with`."""

    def __init__(self, spec: PoolSpec, cluster: Cluster) -> None:
        self.spec = spec
        self._cluster = cluster
        self._actors: list[Any] = []
        self._threads: list[threading.Thread] = []
        self._waiting: list[_Call] = []
        self._busy: dict[int, str] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._serving = spec.workers * IN_FLIGHT

    def __enter__(self) -> Pool:
        import ray

        check_resources(self.spec, self._cluster)
        host = ray.remote(_Host).options(
            num_cpus=self.spec.num_cpus,
            num_gpus=self.spec.num_gpus,
            memory=self.spec.memory_bytes or None,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=IN_FLIGHT + 1,
            scheduling_strategy="SPREAD",
        )
        try:
            self._actors = [
                host.remote(self.spec.handler, self.spec.config) for _ in range(self.spec.workers)
            ]
            ray.get([a.ready.remote() for a in self._actors], timeout=self.spec.start_timeout_s)
        except ray.exceptions.GetTimeoutError as error:
            self.close()
            raise ClusterError(
                f"{self.spec.workers} worker(s) of {_needs(self.spec)} did not start within "
                f"{self.spec.start_timeout_s:g} s; the cluster has {self._cluster}",
                remedy="lower --workers, or free the cluster",
            ) from error
        except ray.exceptions.RayError as error:
            self.close()
            raise ClusterError(
                f"workers cannot start: {_cause(error)}",
                remedy="is douga installed on every node, at the same version?",
            ) from error
        for number, actor in enumerate(self._actors):
            if self.spec.warm is not None:
                # Not waited for: what goes wrong goes wrong again, and is told, in a real call.
                actor.call.remote("warm", self.spec.warm)
            for _ in range(IN_FLIGHT):
                thread = threading.Thread(target=self._serve, args=(number, actor), daemon=True)
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, method: str, payload: Any, *, group: str = "") -> Future[Any]:
        """Queue a call; its future gives the method's result or raises its error."""
        call = _Call(method=method, payload=payload, group=group)
        with self._changed:
            if self._closed:
                raise ClusterError("the pool is closed")
            self._waiting.append(call)
            self._changed.notify()
        return call.future

    def cancel(self, *, group: str) -> None:
        """Drop the waiting calls of a group; those in flight run to their end."""
        with self._changed:
            for call in [call for call in self._waiting if call.group == group]:
                self._waiting.remove(call)
                _settle_cancelled(call.future)

    def close(self) -> None:
        """End the actors; calls not finished are cancelled. Safe to call twice."""
        import ray

        with self._changed:
            self._closed = True
        self._fail_waiting("the run is ending")
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads = []

    def pids(self) -> list[int]:
        """Process ids of the actors, for tests that kill one."""
        import ray

        return [
            ray.get(actor.call.remote("pid", None), timeout=self.spec.start_timeout_s)
            for actor in self._actors
        ]

    def _serve(self, number: int, actor: Any) -> None:
        last: str | None = None
        while (call := self._take(number, last)) is not None:
            last = call.group
            if not self._run(call, actor) and not self._recovers(actor):
                break
        with self._changed:
            self._serving -= 1
            abandoned = self._serving == 0 and not self._closed
        if abandoned:
            self._fail_waiting(f"no worker is left; the cluster had {self._cluster}")

    def _recovers(self, actor: Any) -> bool:
        """Wait until Ray has restarted a lost actor; False if it does not in time."""
        import ray

        until = time.monotonic() + self.spec.start_timeout_s
        while not self._closed and time.monotonic() < until:
            try:
                return bool(ray.get(actor.ready.remote(), timeout=self.spec.start_timeout_s))
            except ray.exceptions.RayError:
                time.sleep(RECOVERY_POLL_S)
        return False

    def _fail_waiting(self, why: str) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for call in waiting:
            if not _settle_cancelled(call.future):
                call.future.set_exception(ClusterError(why, where=call.group))

    def _take(self, number: int, last: str | None) -> _Call | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            last = self._busy.get(number, last)
            busy = frozenset(group for worker, group in self._busy.items() if worker != number)
            groups = [call.group for call in self._waiting]
            call = self._waiting.pop(choose_next(groups, last=last, busy=busy))
            self._busy[number] = call.group
            return call

    def _run(self, call: _Call, actor: Any) -> bool:
        """Make a call and settle its future; False if its worker was lost."""
        import ray

        lost = (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
        )
        if call.losses == 0 and not call.future.set_running_or_notify_cancel():
            return True
        try:
            ref = actor.call.remote(call.method, call.payload)
            result = ray.get(ref, timeout=self.spec.call_timeout_s)
        except ray.exceptions.GetTimeoutError:
            ray.kill(actor, no_restart=False)
            self._again(call, f"took longer than {self.spec.call_timeout_s:g} s")
            return False
        except lost as error:
            self._again(call, _cause(error))
            return False
        except ray.exceptions.RayTaskError as error:
            call.future.set_exception(_own_error(error))
        except ray.exceptions.RayError as error:
            call.future.set_exception(ClusterError(_cause(error), retryable=True))
        else:
            call.future.set_result(result)
        return True

    def _again(self, call: _Call, why: str) -> None:
        call.losses += 1
        with self._changed:
            if not self._closed and call.losses < LOSSES:
                self._waiting.insert(0, call)
                self._changed.notify()
                return
        call.future.set_exception(
            ClusterError(
                f"the worker was lost {call.losses} time(s) on the same work ({why})",
                where=call.group,
                remedy="is there enough memory? try fewer --workers or a smaller --chunk",
            )
        )


def _settle_cancelled(future: Future[Any]) -> bool:
    """Cancel a future that has not begun, and tell whoever waits for it; False if it has begun."""
    return future.cancel() and not future.set_running_or_notify_cancel()


def check_resources(spec: PoolSpec, cluster: Cluster) -> None:
    """ClusterError, saying what the cluster has, if it can never hold the pool."""
    fits = cluster.fits(spec.need)
    if spec.workers > fits:
        raise ClusterError(
            f"{spec.workers} worker(s) of {_needs(spec)} do not fit, {fits} would; "
            f"the cluster has {cluster}",
            remedy=f"give --workers {fits} at the most"
            if fits
            else "lower --chunk, set DOUGA_TILE, or add a larger node",
        )


def _needs(spec: PoolSpec) -> str:
    gpu = f", {spec.num_gpus:g} GPU" if spec.num_gpus else ""
    memory = f", {spec.memory_bytes / 2**30:.1f} GiB" if spec.memory_bytes else ""
    return f"{spec.num_cpus:g} CPU{gpu}{memory} each"


def _own_error(error: Any) -> Exception:
    """The error that a handler raised, as it raised it, if it is one of ours."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, DougaError):
        return cause
    kind = type(cause).__name__ if cause is not None else "error"
    return StageError(f"{kind}: {cause if cause is not None else _cause(error)}")


def _cause(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
