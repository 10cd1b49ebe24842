"""The start of a pool's actors: all that arrive in time begin, the others may come later."""

from __future__ import annotations

import time
from typing import Any

from cluster.connect.connect import Cluster
from cluster.errors import ClusterError
from cluster.pool.actor import Actor, Whereabouts
from cluster.pool.dispatch import Worker
from cluster.pool.spec import PoolSpec, needs

LATE_S = 20.0
"""So long the first workers wait for the others. Ray takes a lost node for alive for 15 s, and
restarts elsewhere what it meant to start there."""


class _Host(Actor):
    """The actor's class; Ray shows its name in the process list."""


def start_actors(spec: PoolSpec, *, concurrency: int) -> list[Worker]:
    """Ask Ray for the actors of a pool. They may not be there yet."""
    import ray

    host = ray.remote(_Host).options(
        num_cpus=spec.num_cpus,
        num_gpus=spec.num_gpus,
        memory=spec.memory_bytes or None,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=concurrency,
        scheduling_strategy="SPREAD",
    )
    return [
        Worker(number=number, actor=host.remote(spec.handler, spec.config))
        for number in range(spec.workers)
    ]


def muster(workers: list[Worker], spec: PoolSpec, cluster: Cluster) -> dict[int, Whereabouts]:
    """Where the workers are that have arrived, by number: all of them, or after `LATE_S` some.

    ClusterError if none arrives within the pool's time to start, or none can.
    """
    import ray

    until = time.monotonic() + spec.start_timeout_s
    coming: dict[Any, Worker] = {worker.actor.ready.remote(): worker for worker in workers}
    there: dict[int, Whereabouts] = {}
    failed: Exception | None = None
    while coming:
        left = until - time.monotonic()
        done, _ = ray.wait(list(coming), timeout=max(0.0, min(left, LATE_S) if there else left))
        if not done:
            break
        for ref in done:
            worker = coming.pop(ref)
            try:
                there[worker.number] = ray.get(ref)
            except ray.exceptions.ActorUnavailableError:
                coming[worker.actor.ready.remote()] = worker
            except ray.exceptions.RayError as error:
                failed = error
    if there:
        return there
    if failed is not None:
        raise ClusterError(
            f"workers cannot start: {last_line(failed)}",
            remedy="is douga installed on every node, at the same version?",
        ) from failed
    raise ClusterError(
        f"{spec.workers} worker(s) of {needs(spec)} did not start within "
        f"{spec.start_timeout_s:g} s; the cluster has {cluster}",
        remedy="lower --workers, or free the cluster",
    )


def last_line(error: Exception) -> str:
    """What Ray's long errors come to: their last line."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
