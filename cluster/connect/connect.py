"""Join Ray: a local one for the run, or an existing cluster. The only way in."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from cluster.connect.driver_node import driver_node
from cluster.connect.head_check import check_head, no_cluster
from cluster.connect.local import loopback_for_children, loopback_only, reload_token, require_token
from cluster.connect.nodes import Cluster, cluster_of
from cluster.connect.watch import check_address_space, ray_folder, watch
from cluster.connect.watchdog import (
    CONNECTED,
    CONNECTING,
    LEAVING,
    RAY,
    STOP_SIGNALS,
    first_line,
)
from cluster.errors import ClusterError, DougaError
from cluster.settings import quiet_environment


@contextmanager
def join_cluster(address: str = "", *, workers: int = 0) -> Iterator[Cluster]:
    """Join Ray for the length of a `with`: at `address`, or a local one that ends with it.

    A process that is connected already (a test, a notebook) keeps its connection. Ray without an
    address would join whatever the machine ran last; this never does. ClusterError names the
    address and what to check.
    """
    os.environ.update(quiet_environment())
    # Task events, for a dashboard, cost a driver 10 KiB a call (153 MiB to 166 in 2,400 calls).
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    check_address_space()
    if address:
        check_head(address)
    if kept := _KEPT.get():
        with kept.lent(address, workers=workers) as cluster:
            yield cluster
    elif connected := _connected():
        yield connected
    else:
        with ExitStack() as stack:
            yield _joined(stack, address, workers=workers)


@contextmanager
def kept_cluster() -> Iterator[None]:
    """Ray that is started or joined in the block stays for whoever joins it next, to its end.

    It is left early where somebody's `with` ends with an error, and where another Ray is asked for:
    the next one starts afresh.
    """
    with ExitStack() as stack:
        token = _KEPT.set(_Kept(stack))
        try:
            yield
        finally:
            _KEPT.reset(token)


@contextmanager
def shared_cluster() -> Iterator[str]:
    """A local Ray for the length of a `with`, and the `host:port` by which the processes that this
    one starts join it: they inherit its token, and that it is on 127.0.0.1 alone."""
    with join_cluster(), loopback_for_children():
        import ray

        yield str(ray.get_runtime_context().gcs_address)


class _Kept:
    """A Ray that outlives who joins it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._asked: tuple[str, int] | None = None

    @contextmanager
    def lent(self, address: str, *, workers: int) -> Iterator[Cluster]:
        """The cluster that was asked for, for the length of a `with`."""
        asked = (address, 0 if address else _cpus(workers))
        if self._asked is None and (connected := _connected()):
            yield connected
            return
        try:
            if self._asked != asked:
                self._stack.close()
                _joined(self._stack, address, workers=workers)
                self._asked = asked
            yield describe_cluster(address or "local", local=not address)
        except BaseException:
            self._asked = None
            self._stack.close()
            raise


_KEPT: ContextVar[_Kept | None] = ContextVar("kept_cluster", default=None)


def _joined(stack: ExitStack, address: str, *, workers: int) -> Cluster:
    """The cluster, joined until `stack` is closed; tried twice."""
    for last in (False, True):
        try:
            stack.enter_context(_ray(address, workers=workers))
            break
        except DougaError:
            raise
        except Exception as error:  # Ray raises what it likes, above all where it is too slow
            if last:
                raise _no_ray(address, error) from error
    return describe_cluster(address or "local", local=not address)


def _cpus(workers: int) -> int:
    """The CPUs that a Ray of our own says it has."""
    return max(os.cpu_count() or 1, workers)


def _no_ray(address: str, error: Exception) -> ClusterError:
    why = first_line(error)[:200]
    if address:
        return no_cluster(address, why)
    return ClusterError(f"Ray does not start on this machine ({why})", remedy="see douga doctor")


@contextmanager
def _ray(address: str, *, workers: int) -> Iterator[None]:
    """Ray, started or joined, for the length of a `with`: a head in a process of its own, asked
    whether it is there before this process connects, and a watchdog over both."""
    with ExitStack() as stack:
        folder = stack.enter_context(ray_folder())
        if not address:
            stack.enter_context(require_token(folder))
            stack.enter_context(loopback_only())
        watchdog = stack.enter_context(watch(folder, cpus=0 if address else _cpus(workers)))
        import ray

        reload_token()  # the environment is as the head wants it by now
        if address and address != "auto":
            stack.enter_context(driver_node(address, folder=str(folder / RAY)))
        head = address or watchdog.address()
        with _hold_signals():
            watchdog.tell(CONNECTING)
            stack.callback(ray.shutdown)
            stack.callback(watchdog.tell, LEAVING)
            ray.init(address=head, log_to_driver=False, logging_level=logging.CRITICAL)
            watchdog.tell(CONNECTED)
        yield


def _connected() -> Cluster | None:
    """The cluster that this process is connected to already."""
    if "ray" not in sys.modules:
        return None
    import ray

    if not ray.is_initialized():
        return None
    return describe_cluster(ray.get_runtime_context().gcs_address, local=False)


@contextmanager
def _hold_signals() -> Iterator[None]:
    """Hold back the first signal that stops a run until it is connected, so that it can leave.
    Keeps douga's SIGTERM handler: Ray's ends the process without clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    came: list[int] = []

    def hold(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    for number, handler in kept.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        if came:  # connected or not
            signal.raise_signal(came[0])


def describe_cluster(address: str, *, local: bool) -> Cluster:
    """The cluster that this process is connected to, as it is now."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    return cluster_of(
        address,
        [(n["NodeID"], n["NodeManagerHostname"], n["Labels"], n["Resources"]) for n in alive],
        local=local,
    )
