"""Actors on Ray: started, waited for, called and ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cluster.connect.connect import describe_cluster
from cluster.connect.nodes import Cluster
from cluster.errors import ClusterError
from cluster.pool.actor import Actor, ActorLocation, Answer, to_douga_error
from cluster.pool.failures import Kind
from cluster.pool.floating import Held, hold_floating
from cluster.pool.spec import CallFailed, PoolSpec, Started, needs, other_build
from cluster.settings import store_secrets

NODE_ID = "ray.io/node-id"
"""The label by which Ray itself names each node."""
ANYWHERE = {NODE_ID: "!nobody"}
"""To Ray, a fallback without a label is none (2.60)."""


class _Host(Actor):
    """The actor's class; Ray shows its name in the process list."""


class RayActors:
    """A pool's actors on a cluster; Ray restarts those that die."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._held: dict[Any, Held] = {}

    def start(self, spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        """Ask Ray for actors of a pool; returns before they are up."""
        import ray

        elsewhere = _anywhere_but(spec.avoid)
        selector = {**spec.labels, **elsewhere}
        # Ray's own processes carry no secrets; nodes of a cluster have those of their own.
        secrets = store_secrets() if self._cluster.local else {}
        host = ray.remote(_Host)
        options: dict[str, Any] = {
            "num_cpus": spec.num_cpus,
            "num_gpus": spec.num_gpus,
            "memory": spec.memory_bytes or None,
            "resources": dict(spec.licences),
            "max_restarts": -1,
            "max_task_retries": 0,
            "max_concurrency": concurrency,
        }
        actors = []
        for _ in range(count):
            if spec.floating:
                held = hold_floating(spec, elsewhere if spec.soft else selector)
                where = {"scheduling_strategy": held.strategy}
            else:
                held = None
                fallback = [{"label_selector": elsewhere or ANYWHERE}] if spec.soft else None
                where = {"scheduling_strategy": "SPREAD", "label_selector": selector}
                where["fallback_strategy"] = fallback
            actor = host.options(**options, **where).remote(spec.handler, spec.config, secrets)
            actors.append(actor)
            if held:
                self._held[actor] = held
        return actors

    def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
        """Wait for the actors. An actor of another build than the spec's is refused.

        Once one is up, the remaining ones have the spec's `late_timeout_s`. ClusterError if none
        comes up within `start_timeout_s`, none can, or all are refused; those of an elastic pool
        may come when there is room.
        """
        import ray

        patience_s = spec.late_timeout_s if spec.elastic else spec.start_timeout_s
        until = time.monotonic() + patience_s
        pending: dict[Any, int] = {
            actor.ready.remote(): number for number, actor in enumerate(actors)
        }
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
                number = pending.pop(ref)
                try:
                    location = ray.get(ref)
                    if why := other_build(spec, location):
                        refused[number] = why
                    else:
                        located[number] = location
                except ray.exceptions.ActorUnavailableError:
                    pending[actors[number].ready.remote()] = number
                except ray.exceptions.RayError as error:
                    failed = error
        if located or (spec.elastic and pending and failed is None):
            return Started(located=located, refused=refused)
        raise self._nobody_came(spec, refused, failed) from failed

    def _nobody_came(
        self, spec: PoolSpec, refused: dict[int, str], failed: Exception | None
    ) -> ClusterError:
        if refused:
            return ClusterError(
                f"no worker can be used: {'; '.join(sorted(set(refused.values())))}",
                remedy="install the same douga on every node, give it the same store, and room",
            )
        if failed is not None:
            return ClusterError(
                f"workers cannot start: {_last_line(failed)}",
                remedy="is douga installed on every node, at the same version?",
            )
        return ClusterError(
            f"{spec.workers} worker(s) of {needs(spec)} did not start within "
            f"{spec.start_timeout_s:g} s; the cluster has {self._cluster}",
            remedy="lower --workers, or free the cluster",
        )

    def fits(self, spec: PoolSpec) -> int:
        """How many of a pool's workers the nodes that are there have room for, others' included."""
        now = describe_cluster(self._cluster.address, local=self._cluster.local)
        return now.without(spec.avoid).fits(spec.need, floating=spec.floating)

    def locate(self, actor: Any, *, timeout_s: float) -> ActorLocation | None:
        """Where an actor is, as soon as it is up; None if Ray cannot tell."""
        import ray

        try:
            location: ActorLocation = ray.get(actor.ready.remote(), timeout=timeout_s)
        except ray.exceptions.RayError:
            return None
        return location

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        """Call a method of the handler and wait for the answer. CallFailed if none comes."""
        import ray

        lost = (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.NodeDiedError,
        )
        try:
            answer: Answer = ray.get(actor.call.remote(method, payload), timeout=timeout_s)
        except ray.exceptions.GetTimeoutError as error:
            raise CallFailed(Kind.TIMEOUT, f"took longer than {timeout_s:g} s") from error
        except ray.exceptions.OutOfMemoryError as error:
            raise CallFailed(Kind.OOM_KILLED, _last_line(error)) from error
        except lost as error:
            raise CallFailed(Kind.LOST, _last_line(error)) from error
        except ray.exceptions.RayTaskError as error:
            raised = to_douga_error(getattr(error, "cause", None) or error)
            raise CallFailed(Kind.FAULT, str(raised), raised) from error
        except ray.exceptions.RayError as error:
            raise CallFailed(Kind.TRANSIENT, _last_line(error)) from error
        return answer

    def send(self, actor: Any, method: str, payload: Any) -> None:
        """Call a method whose answer nobody waits for."""
        actor.call.remote(method, payload)

    def end(self, actor: Any, *, restart: bool = False) -> None:
        """End an actor's process; with `restart`, Ray starts another one."""
        import ray

        ray.kill(actor, no_restart=not restart)
        if not restart and (held := self._held.pop(actor, None)):
            held.give_back()

    def is_alive(self, node: str) -> bool:
        """Whether a node is still in the cluster."""
        import ray

        return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())


def _anywhere_but(nodes: frozenset[str]) -> dict[str, str]:
    """On which nodes Ray may start actors, by their labels: not on these."""
    return {NODE_ID: f"!in({','.join(sorted(nodes))})"} if nodes else {}


def _last_line(error: Exception) -> str:
    """The last line of one of Ray's long errors: it says the cause."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
