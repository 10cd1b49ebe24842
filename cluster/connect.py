"""Join Ray: a local one for the run, or an existing cluster. The only way in."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.settings import child_environment, quiet_environment

OBJECT_STORE_BYTES = 128 << 20
"""Only keys and receipts pass through Ray's object store; pixels go worker ↔ store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a Ray cluster has: nodes alive, CPUs, GPUs, memory for work. `local`: made for us."""

    address: str
    local: bool
    nodes: int
    cpus: float
    gpus: float
    memory_bytes: float

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        memory = f", {self.memory_bytes / 2**30:.1f} GiB"
        return f"{self.nodes} node(s): {self.cpus:g} CPU{gpus}{memory}"


@contextmanager
def join_cluster(address: str = "", *, workers: int = 0) -> Iterator[Cluster]:
    """Ray for the length of a `with`: `address`, or one of our own that ends with it.

    A process that is connected already (a test, a notebook) keeps its connection. Ray without an
    address would join whatever the machine last ran; we never do that in silence. Errors:
    ClusterError naming the address and what to check.
    """
    os.environ.update(quiet_environment())
    import ray

    if ray.is_initialized():
        yield _describe(ray.get_runtime_context().gcs_address, local=False)
        return
    folder = "" if address else tempfile.mkdtemp(prefix="douga-ray-")
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            os.environ.update(child_environment({"RAY_DEDUP_LOGS": "0"}))
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, workers),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
        yield _describe(address or "local", local=not address)
    except (ConnectionError, ray.exceptions.RaySystemError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address or 'this machine'} ({_first_line(error)})",
            remedy="check the address, or leave --ray away to render on this machine",
        ) from error
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _describe(address: str, *, local: bool) -> Cluster:
    import ray

    has = ray.cluster_resources()
    return Cluster(
        address=address,
        local=local,
        nodes=sum(1 for node in ray.nodes() if node["Alive"]),
        cpus=has.get("CPU", 0.0),
        gpus=has.get("GPU", 0.0),
        memory_bytes=has.get("memory", 0.0),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
