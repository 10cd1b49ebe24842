"""Starts a Ray node without resources, so that a machine outside a cluster can drive it.

Ray lets a driver join only through a node on its own machine. Where the cluster has none here, this
node runs as long as the driver: no CPU, no GPU, little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from cluster.network import check_listening
from cluster.settings import child_environment, foreign, settings

OBJECT_STORE_BYTES = 80 << 20
"""Ray's smallest is 75 MiB; only keys and receipts pass through."""


def has_node_here(address: str) -> bool:
    """Whether a node of this cluster runs on this machine."""
    from ray._private.services import find_node_ids
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    here = set(find_node_ids())
    return bool(here) and any(
        node.hex() in here and info.state == 0  # GcsNodeInfo.ALIVE
        for node, info in GcsClient(address=address).get_all_node_info(timeout=10).items()
    )


def start_node(address: str, folder: str) -> Callable[[], object]:
    """Start a node without resources; what ends it."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    params = RayParams(
        gcs_address=address,
        num_cpus=0,
        num_gpus=0,
        object_store_memory=OBJECT_STORE_BYTES,
        include_log_monitor=False,  # type: ignore[arg-type]
        min_worker_port=0,
        max_worker_port=0,
        node_manager_port=0,
        temp_dir=folder,
    )
    # As ray.cluster_utils starts a node: the reaper ends it with its parent.
    node = Node(params, head=False, shutdown_at_exit=False, spawn_reaper=True)
    return partial(node.kill_all_processes, check_alive=False, allow_graceful=False, wait=True)


@contextmanager
def driver_node(
    address: str,
    *,
    folder: str,
    has_node: Callable[[str], bool] = has_node_here,
    start: Callable[[str, str], Callable[[], object]] = start_node,
) -> Iterator[None]:
    """Run a node of the cluster at `host:port` on this machine for the length of a `with`.

    Starts nothing if the cluster has a node here already. Its logs and sockets are in `folder`; it
    ends with this process, however that ends. RefusedError if anybody may join the cluster.
    """
    if has_node(address):
        yield
        return
    check_closed(address)
    with _without_secrets():
        end = start(address, folder)
    try:
        yield
    finally:
        end()


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Have processes that are started meanwhile inherit no secret but Ray's own."""
    before = dict(os.environ)
    given = child_environment(secrets=("RAY_",))
    for name in before.keys() - given.keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def check_closed(address: str) -> None:
    """RefusedError if the node, which binds every interface, would let anybody in."""
    by_token = foreign("RAY_AUTH_MODE") == "token"
    by_certificate = foreign("RAY_USE_TLS") not in ("", "0")
    check_listening(
        "every interface",
        authenticated=by_token or by_certificate or settings().ray_open,
        what=f"a node of the Ray cluster at {address}",
        remedy="start the cluster with RAY_AUTH_MODE=token, or set DOUGA_RAY_OPEN=1 where the "
        "network is private",
    )
