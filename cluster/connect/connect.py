"""Join Ray: a local one for the run, or an existing cluster. The only way in."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cluster.connect.driver_node import driver_node
from cluster.connect.head_check import check_head, no_cluster
from cluster.connect.local import loopback_only, reload_token, require_token
from cluster.errors import ClusterError, DougaError
from cluster.settings import child_environment, quiet_environment

OBJECT_STORE_BYTES = 128 << 20
"""Only keys and receipts pass through Ray's object store; pixels go worker ↔ store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The resources of one node of a cluster; memory in bytes."""

    cpus: float
    gpus: float = 0.0
    memory_bytes: float = 0.0

    def fits(self, need: Node) -> int:
        """How many workers that need this fit at once."""
        return min(
            int(has / wanted + 1e-6)
            for has, wanted in (
                (self.cpus, need.cpus),
                (self.gpus, need.gpus),
                (self.memory_bytes, need.memory_bytes),
            )
            if wanted
        )

    def less(self, need: Node, workers: int) -> Node:
        """What is left beside this many workers."""
        return Node(
            cpus=self.cpus - workers * need.cpus,
            gpus=self.gpus - workers * need.gpus,
            memory_bytes=self.memory_bytes - workers * need.memory_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray cluster's live nodes. `local`: started for this run."""

    address: str
    local: bool
    nodes: tuple[Node, ...]

    def fits(self, need: Node) -> int:
        """How many workers that need this fit at once; no worker spans two nodes."""
        return sum(node.fits(need) for node in self.nodes)

    def beside(self, need: Node) -> Cluster:
        """The cluster's resources left when it is full of workers that need this."""
        left = tuple(node.less(need, node.fits(need)) for node in self.nodes)
        return Cluster(address=self.address, local=self.local, nodes=left)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        cpus = sum(node.cpus for node in self.nodes)
        memory = sum(node.memory_bytes for node in self.nodes)
        return f"{len(self.nodes)} node(s): {cpus:g} CPU{gpus}, {memory / 2**30:.1f} GiB"


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
    if address:
        check_head(address)
    import ray

    if ray.is_initialized():
        yield _describe(ray.get_runtime_context().gcs_address, local=False)
        return
    with ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="douga-ray-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with _hold_signals():
            _start(address, folder=folder, workers=workers, stack=stack)
        yield _describe(address or "local", local=not address)


def _start(address: str, *, folder: str, workers: int, stack: ExitStack) -> None:
    """Start or join Ray; `stack` ends what this starts."""
    import ray

    try:
        if address:
            reload_token()  # the environment is as the head wants it by now (check_head)
        if address and address != "auto":
            stack.enter_context(driver_node(address, folder=folder))
        if not address:
            stack.enter_context(require_token(folder))
            stack.enter_context(loopback_only())
        stack.callback(ray.shutdown)
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        else:
            os.environ.update(child_environment({"RAY_DEDUP_LOGS": "0"}))
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, workers),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                _temp_dir=folder,
            )
    except DougaError:
        raise
    except Exception as error:  # a Ray node that is too slow to start raises a bare Exception
        why = _first_line(error)
        if address:
            raise no_cluster(address, why) from error
        raise ClusterError(
            f"Ray does not start on this machine ({why})", remedy="see douga doctor"
        ) from error


@contextmanager
def _hold_signals() -> Iterator[None]:
    """Hold back the first Ctrl-C or SIGTERM until Ray is up, so that everything it started can be
    ended. Keeps douga's SIGTERM handler: Ray's ends the process without clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    came: list[int] = []

    def hold(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    for number in kept:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _describe(address: str, *, local: bool) -> Cluster:
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # A head or a driver node without resources for work does not count.
    nodes = tuple(
        Node(
            cpus=has.get("CPU", 0.0),
            gpus=has.get("GPU", 0.0),
            memory_bytes=has.get("memory", 0.0),
        )
        for has in alive
        if has.get("CPU") or has.get("GPU")
    )
    return Cluster(address=address, local=local, nodes=nodes)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
