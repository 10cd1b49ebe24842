"""Asks a Ray head which nodes it has, without joining them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.connect.connect import CARD_LABEL, NAME_LABEL, TAG_LABEL, licence_resource
from cluster.connect.head_check import check_head, no_cluster
from cluster.connect.local import reload_token

ASK_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNode:
    """A living node, as its head sees it; memory in bytes. `works`: it has room for workers."""

    id: str
    name: str
    host: str
    cpus: float
    gpus: float
    memory_bytes: float
    tags: tuple[str, ...]
    cards: tuple[str, ...]
    licences: Mapping[str, int]

    @property
    def works(self) -> bool:
        """Whether it is for workers: a head or a driver's node has nothing for them."""
        return bool(self.cpus or self.gpus)


def nodes_seen(address: str) -> list[SeenNode]:
    """The living nodes of the cluster whose head is at `host:port`. UsageError and ClusterError as
    of `check_head`, and where the head does not tell."""
    check_head(address)
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    reload_token()
    try:
        known = GcsClient(address=address).get_all_node_info(timeout=ASK_S)
    except Exception as error:  # Ray raises what it likes
        raise no_cluster(address, str(error)[:100]) from error
    return [
        seen_node(
            node.hex(), info.node_manager_hostname, dict(info.labels), dict(info.resources_total)
        )
        for node, info in known.items()
        if info.state == 0  # GcsNodeInfo.ALIVE
    ]


def seen_node(
    node: str, host: str, labels: Mapping[str, str], resources: Mapping[str, float]
) -> SeenNode:
    """A node of what Ray says of it."""
    card = labels.get(CARD_LABEL) or labels.get("ray.io/accelerator-type", "")
    prefix = licence_resource("")
    return SeenNode(
        id=node,
        name=labels.get(NAME_LABEL) or host,
        host=host,
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        memory_bytes=resources.get("memory", 0.0),
        tags=tuple(
            sorted(each.removeprefix(TAG_LABEL) for each in labels if each.startswith(TAG_LABEL))
        ),
        cards=(card,) if card else (),
        licences={
            each.removeprefix(prefix): int(count)
            for each, count in resources.items()
            if each.startswith(prefix)
        },
    )
