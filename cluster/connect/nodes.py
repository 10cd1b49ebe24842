"""What a cluster has: its nodes with their names, labels and licences, as Ray tells of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cluster.connect.head_check import check_head, no_cluster
from cluster.connect.local import reload_token

ASK_S = 10
NAME_LABEL, CARD_LABEL, TAG_LABEL = "douga/name", "douga/card", "douga/tag-"
"""Labels of a node in Ray; a tag is a label of its own, `douga/tag-spot`, that says `yes`."""


def licence_resource(licence: str) -> str:
    """What a licence is called among a node's resources."""
    return f"licence:{licence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The resources of one node of a cluster; memory in bytes. `id` is Ray's, `name` the one that
    it was given, else its host's."""

    cpus: float
    gpus: float = 0.0
    memory_bytes: float = 0.0
    id: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, float] = field(default_factory=dict)
    """Its other resources, by name: licences."""

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether it has all of these labels."""
        return labels.items() <= self.labels.items()

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        tags = (label.removeprefix(TAG_LABEL) for label in self.labels if TAG_LABEL in label)
        return tuple(sorted(tags))

    @property
    def cards(self) -> tuple[str, ...]:
        """Its kind of card, as its name or Ray tells it, if it has one."""
        card = self.labels.get(CARD_LABEL) or self.labels.get("ray.io/accelerator-type")
        return (card,) if card else ()

    @property
    def licences(self) -> dict[str, int]:
        """How many of each licence it holds."""
        prefix = licence_resource("")
        return {name.removeprefix(prefix): int(has) for name, has in self.more.items()}

    def fits(self, need: Node) -> int:
        """How many workers that need this fit at once: none where it lacks one of the labels."""
        if not self.has(need.labels):
            return 0
        return min(
            int(has / wanted + 1e-6)
            for has, wanted in (
                (self.cpus, need.cpus),
                (self.gpus, need.gpus),
                (self.memory_bytes, need.memory_bytes),
                *((self.more.get(name, 0.0), wanted) for name, wanted in need.more.items()),
            )
            if wanted
        )

    def less(self, need: Node, workers: int) -> Node:
        """What is left beside this many workers."""
        return replace(
            self,
            cpus=self.cpus - workers * need.cpus,
            gpus=self.gpus - workers * need.gpus,
            memory_bytes=self.memory_bytes - workers * need.memory_bytes,
            more={name: has - workers * need.more.get(name, 0) for name, has in self.more.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray cluster's live nodes. `local`: started for this run. `floating` are the resources that
    nodes without work hold for all: licences of the site."""

    address: str
    local: bool
    nodes: tuple[Node, ...]
    floating: Mapping[str, float] = field(default_factory=dict)

    def fits(self, need: Node, *, floating: Mapping[str, float] | None = None) -> int:
        """How many workers that need this, and so much that floats, fit at once; no worker spans
        two nodes."""
        most = [
            int(self.floating.get(name, 0.0) / wanted) for name, wanted in (floating or {}).items()
        ]
        return min([sum(node.fits(need) for node in self.nodes), *most])

    def without(self, nodes: Collection[str]) -> Cluster:
        """The cluster as if these nodes, by id, were not there."""
        return replace(self, nodes=tuple(node for node in self.nodes if node.id not in nodes))

    def beside(self, need: Node) -> Cluster:
        """The cluster's resources left when it is full of workers that need this."""
        return replace(self, nodes=tuple(node.less(need, node.fits(need)) for node in self.nodes))

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        memory = sum(node.memory_bytes for node in self.nodes)
        return f"{len(self.nodes)} node(s): {self.cpus:g} CPU{gpus}, {memory / 2**30:.1f} GiB"


def see_cluster(address: str) -> Cluster:
    """The cluster whose head is at `host:port`, asked without joining it. UsageError and
    ClusterError as of `check_head`, and where the head does not tell."""
    check_head(address)
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    reload_token()
    try:
        known = GcsClient(address=address).get_all_node_info(timeout=ASK_S)
    except Exception as error:  # Ray raises what it likes
        raise no_cluster(address, str(error)[:100]) from error
    return cluster_of(
        address,
        [
            (node.hex(), info.node_manager_hostname, dict(info.labels), dict(info.resources_total))
            for node, info in known.items()
            if info.state == 0  # GcsNodeInfo.ALIVE
        ],
    )


def cluster_of(
    address: str,
    nodes: Iterable[tuple[str, str, Mapping[str, str], Mapping[str, float]]],
    *,
    local: bool = False,
) -> Cluster:
    """A cluster of what Ray says of its living nodes: id, host, labels and resources of each."""
    working: list[Node] = []
    floating: Counter[str] = Counter()
    for node, host, labels, has in nodes:
        # A head or a driver node without resources for work does not count.
        if not has.get("CPU") and not has.get("GPU"):
            floating.update(_licences(has))
            continue
        made = Node(
            cpus=has.get("CPU", 0.0),
            gpus=has.get("GPU", 0.0),
            memory_bytes=has.get("memory", 0.0),
            id=node,
            name=labels.get(NAME_LABEL) or host,
            labels=labels,
            more=_licences(has),
        )
        working.append(made)
    return Cluster(address=address, local=local, nodes=tuple(working), floating=floating)


def _licences(resources: Mapping[str, float]) -> dict[str, float]:
    prefix = licence_resource("")
    return {name: has for name, has in resources.items() if name.startswith(prefix)}
