"""The nodes of a farm: what each does now, what it has, and why one is out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from cluster.connect.nodes import Node, see_cluster
from cluster.errors import ClusterError
from cluster.node.records import DEAD_AFTER, Here, Out, nodes_here, nodes_out, read_out
from cluster.settings import settings
from cluster.store.base import Store
from flows.farm.shares import LiveRun, live_runs

FORGOTTEN_AFTER = timedelta(days=30)
"""A node that nobody has seen for so long is not listed."""


def farm_document(
    store: Store, *, head: str = "", tell: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Every node of a farm, by what its store says, and Ray's head where one is named or set;
    `tell` hears of one that does not answer."""
    here, out = nodes_here(store), nodes_out(store)
    seen = {node.name: node for node in nodes_in_ray(head, tell=tell)}
    doing = _doing(live_runs(store))
    now = store.now()
    nodes = []
    for name in sorted({*here, *out, *seen, *doing}):
        told, at = here.get(name, (None, None))
        said = read_out(store, out[name]) if name in out else None
        if said or name in seen or name in doing or (at and now - at < FORGOTTEN_AFTER):
            lives = bool(at and now - at < DEAD_AFTER)
            nodes.append(_node(name, told, at, said, seen.get(name), doing[name], lives=lives))
    return {"farm": store.url, "nodes": nodes}


def _doing(runs: Sequence[LiveRun]) -> defaultdict[str, list[dict[str, Any]]]:
    """What renders have on each node, by its name."""
    doing: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        for node, workers in run.on.items():
            doing[node].append({"episode": run.episode, "run": run.run, "workers": workers})
    return doing


def _node(
    name: str,
    told: Here | None,
    at: datetime | None,
    said: Out | None,
    seen: Node | None,
    doing: list[dict[str, Any]],
    *,
    lives: bool,
) -> dict[str, Any]:
    has: Here | Node | None = told if told and (lives or not seen) else seen
    if told and lives:
        state = told.state
    elif seen or doing:
        state = "on the farm"
    else:
        state = "gone"
    return {
        "name": name,
        "state": state,
        "here": lives,
        "out": asdict(said) | {"said": str(said)} if said else None,
        "doing": doing,
        "host": told.host if told else "",
        "cpus": has.cpus if has else 0,
        "memory_bytes": int(has.memory_bytes) if has else 0,
        "cards": list(has.cards) if has else [],
        "tags": list(has.tags) if has else [],
        "licences": dict(has.licences) if has else {},
        "douga": told.douga if told else "",
        "ray": told.ray if told else "",
        "load": told.load if told else 0,
        "disk_free_bytes": told.disk_free_bytes if told else 0,
        "seen_at": at.isoformat(timespec="seconds") if at else None,
    }


def nodes_in_ray(head: str, *, tell: Callable[[str], None] | None = None) -> Sequence[Node]:
    """The nodes that Ray's head knows; none where no head is named or set, or it does not
    answer."""
    address = head or settings().ray
    try:
        return see_cluster(address).nodes if address else ()
    except ClusterError as error:
        if tell:
            tell(f"{error.what}; what the farm's store says is listed")
        return ()
