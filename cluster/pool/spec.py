"""A pool's actors: what they run and need, whether a cluster has it, what a pool asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cluster.connect.nodes import Cluster, Node
from cluster.errors import ClusterError, DougaError
from cluster.pool.actor import ActorLocation, Answer
from cluster.pool.failures import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """What a pool's actors run and need. `memory_bytes` 0: not requested.

    An `elastic` pool is on a cluster that others use too, and that grows and shrinks: it begins
    with what finds room, waits where nothing does, and asks for more while there is work, `most`
    workers at the most (0: any number).
    """

    handler: str
    config: Any
    workers: int
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory_bytes: int = 0
    start_timeout_s: float = 120.0
    late_timeout_s: float = 20.0
    """Seconds to wait for the remaining actors once one is up. Ray takes a lost node for alive for
    15 s, then restarts elsewhere what it meant to start there."""
    call_timeout_s: float = 3600.0
    recovery_poll_s: float = 0.3
    """Between two questions to a lost actor whether it is up again."""
    growth_poll_s: float = 5.0
    """Between two looks of an elastic pool at what the cluster has."""
    build: Mapping[str, str] = field(default_factory=dict)
    """What the handler must be made of wherever it runs, by name; {}: anything."""
    elastic: bool = False
    most: int = 0
    avoid: frozenset[str] = frozenset()
    """Nodes, by id, on which no worker is to start."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that its nodes have; with `soft`, others do where none has them."""
    soft: bool = False
    licences: Mapping[str, float] = field(default_factory=dict)
    """What of its node's other resources a worker takes."""
    floating: Mapping[str, float] = field(default_factory=dict)
    """What a worker takes of resources that another node holds for all."""
    warm: Any = None
    """Payload for the handler's method `warm`, called in every actor as soon as it is up, while the
    driver goes on; None: not called."""

    @property
    def need(self) -> Node:
        """What one worker needs of its node."""
        return Node(
            cpus=self.num_cpus,
            gpus=self.num_gpus,
            memory_bytes=self.memory_bytes,
            labels={} if self.soft else self.labels,
            more=self.licences,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Which actors are up and where, and which were refused and why, by their number."""

    located: dict[int, ActorLocation]
    refused: dict[int, str]


class CallFailed(Exception):
    """A call that came to no answer: how, why, and the error that it raised, if it did."""

    def __init__(self, kind: Kind, why: str, error: DougaError | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.error = error


class Actors(Protocol):
    """What a pool asks of the processes that host its handler. An actor is whatever `start` says;
    one whose process dies is started again."""

    def start(self, spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        """Begin to start so many actors, each for so many calls at a time."""
        ...

    def fits(self, spec: PoolSpec) -> int:
        """How many of a pool's workers the nodes that are there have room for, others' included."""
        ...

    def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
        """Wait for the actors. One of another build than the spec's is refused; once one is up, the
        others have `late_timeout_s`. ClusterError if there is none to go on with; an elastic pool
        goes on with none."""
        ...

    def locate(self, actor: Any, *, timeout_s: float) -> ActorLocation | None:
        """Where an actor is, as soon as it is up; None if it is not."""
        ...

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        """Call a method of the handler and wait for the answer. CallFailed if none comes."""
        ...

    def send(self, actor: Any, method: str, payload: Any) -> None:
        """Call a method whose answer nobody waits for."""
        ...

    def end(self, actor: Any, *, restart: bool = False) -> None:
        """End an actor's process; it may be ended already."""
        ...

    def is_alive(self, node: str) -> bool:
        """Whether a node is still there."""
        ...


def check_resources(spec: PoolSpec, cluster: Cluster) -> None:
    """ClusterError, saying what the cluster has, if it can never hold the pool."""
    fits = cluster.fits(spec.need)
    if spec.workers > fits:
        raise ClusterError(
            f"{spec.workers} worker(s) of {needs(spec)} do not fit, {fits} would; "
            f"the cluster has {cluster}",
            remedy=f"give --workers {fits} at the most"
            if fits
            else "lower --chunk, set DOUGA_TILE, or add a larger node",
        )


def other_build(spec: PoolSpec, location: ActorLocation) -> str:
    """Why an actor must not work for a pool: what of it is not as it must be; "" if it may."""
    wrong = [
        f"{name} is {location.build.get(name, 'not there')}, not {expected}"
        for name, expected in spec.build.items()
        if location.build.get(name) != expected
    ]
    return f"{location.host} is not as this render needs it: {'; '.join(wrong)}" if wrong else ""


def needs(spec: PoolSpec) -> str:
    """What each worker needs, in words."""
    gpu = f", {spec.num_gpus:g} GPU" if spec.num_gpus else ""
    memory = f", {spec.memory_bytes / 2**30:.1f} GiB" if spec.memory_bytes else ""
    return f"{spec.num_cpus:g} CPU{gpu}{memory} each"
