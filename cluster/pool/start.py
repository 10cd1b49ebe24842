"""Starts the actors; late ones join when they come up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cluster.connect.connect import Cluster
from cluster.errors import ClusterError
from cluster.pool.actor import Actor, ActorLocation
from cluster.pool.dispatch import Worker
from cluster.pool.spec import PoolSpec, needs, other_build
from cluster.settings import store_secrets


class _Host(Actor):
    """The actor's class; Ray shows its name in the process list."""


def start_actors(spec: PoolSpec, cluster: Cluster, *, concurrency: int) -> list[Worker]:
    """Ask Ray for a pool's actors; returns before they are up."""
    import ray

    # Ray's own processes carry no secrets; nodes of a cluster have those of their own.
    secrets = store_secrets() if cluster.local else {}
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
        Worker(number=number, actor=host.remote(spec.handler, spec.config, secrets))
        for number in range(spec.workers)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Which workers are up and where, and which were refused and why, by worker number."""

    located: dict[int, ActorLocation]
    refused: dict[int, str]


def wait_for_actors(workers: list[Worker], spec: PoolSpec, cluster: Cluster) -> Started:
    """Wait for the workers' actors. An actor of another build than the spec's is refused.

    Once one is up, the remaining ones have the spec's `late_timeout_s`. ClusterError if none comes
    up within `start_timeout_s`, none can, or all are refused.
    """
    import ray

    until = time.monotonic() + spec.start_timeout_s
    pending: dict[Any, Worker] = {worker.actor.ready.remote(): worker for worker in workers}
    located: dict[int, ActorLocation] = {}
    refused: dict[int, str] = {}
    failed: Exception | None = None
    while pending:
        timeout_s = until - time.monotonic()
        if located:
            timeout_s = min(timeout_s, spec.late_timeout_s)
        done, _ = ray.wait(list(pending), timeout=max(0.0, timeout_s))
        if not done:
            break
        for ref in done:
            worker = pending.pop(ref)
            try:
                location = ray.get(ref)
                if why := other_build(spec, location):
                    refused[worker.number] = why
                else:
                    located[worker.number] = location
            except ray.exceptions.ActorUnavailableError:
                pending[worker.actor.ready.remote()] = worker
            except ray.exceptions.RayError as error:
                failed = error
    if located:
        return Started(located=located, refused=refused)
    if refused:
        raise ClusterError(
            f"no worker can be used: {'; '.join(sorted(set(refused.values())))}",
            remedy="install the same douga on every node as here",
        )
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
    """The last line of one of Ray's long errors: it says the cause."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
