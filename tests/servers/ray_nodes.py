"""A Ray cluster of several nodes on this machine, that no render started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.settings import quiet_environment
from tests.servers.namespaces import Namespace

ROOT = Path(__file__).parents[2]
NODE = {
    "num_cpus": 1,
    "num_gpus": 0,
    "object_store_memory": 80 << 20,
    "memory": 4 << 30,
    # Nobody looks at a page, reads a log or scales.
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}


@dataclass(frozen=True)
class StartedNode:
    """A node that is a process of its own, and its folder."""

    process: subprocess.Popen[bytes]
    folder: str

    @property
    def has_ended(self) -> bool:
        """Whether it is no more, or never came up."""
        return self.process.poll() is not None

    def end(self) -> None:
        """End it as a power cut would; harmless when it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


NOTICED_WITHIN_S = 90
"""Ray takes a node for dead after five silences of three seconds or more."""


@dataclass(frozen=True)
class RayNodes:
    """Nodes of one CPU each, if nothing else is said; the first is the head."""

    cluster: Any
    folder: str
    code: Path = ROOT
    """Where its workers find the packages."""

    @property
    def address(self) -> str:
        """What `--ray` takes."""
        return str(self.cluster.address)

    def environment(self) -> dict[str, str]:
        """Variables with which douga renders here, by one worker: each costs seconds to start."""
        return {"DOUGA_RAY": self.address, "DOUGA_WORKERS": "1"}

    def nodes(self) -> list[Any]:
        """Those that are alive."""
        return list(self.cluster.list_all_nodes())

    def add(self, *, variables: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Another node, with these variables in its workers' environment."""
        from ray._private.services import (  # type: ignore[attr-defined]
            node_ip_address_from_perspective,
        )

        # Said outright: a Ray of our own in this process would lend its 127.0.0.1.
        here = {"node_ip_address": node_ip_address_from_perspective()}
        kept = dict(os.environ)
        os.environ.update({**self._variables(), **(variables or {})})
        try:
            return self.cluster.add_node(**{**NODE, **here, **more})
        finally:
            os.environ.clear()
            os.environ.update(kept)

    @contextmanager
    def add_in(self, namespace: Namespace, *, cpus: int) -> Iterator[None]:
        """Another node, in a network namespace, for the length of the block."""
        before = len(self.nodes())
        node = self.start(cpus=cpus, enter=namespace.enter, address=namespace.address)
        try:
            self.wait_for(before + 1)
            yield
        finally:
            node.process.terminate()
            node.process.wait(timeout=30)
            node.end()

    def start(
        self, *, cpus: int, enter: Sequence[str] = (), address: str = "", label: str = ""
    ) -> StartedNode:
        """Begin to start another node as a process of its own, with `enter` before its command;
        `label` is a resource that it alone has."""
        folder = tempfile.mkdtemp(prefix="douga-apart-", dir="/tmp")
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        words += ["--address", self.address]
        words += ["--node-ip-address", address or self.address.rpartition(":")[0]]
        words += ["--num-cpus", str(cpus), "--num-gpus", "0", "--memory", str(4 << 30)]
        words += ["--object-store-memory", str(80 << 20), "--disable-usage-stats"]
        words += ["--resources", json.dumps({label: 1})] if label else []
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(
                [*enter, *words],
                env={**os.environ, **self._variables(), "RAY_TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return StartedNode(process, folder)

    def _variables(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.code), "RAY_TMPDIR": self.folder, "RAY_AUTH_MODE": "disabled"}
        return {**quiet_environment(), **own}

    def wait_for(self, count: int) -> None:
        """Return when Ray knows of so many living nodes. AssertionError if it does not in time."""
        from ray._raylet import GcsClient  # type: ignore[attr-defined]

        until = time.monotonic() + NOTICED_WITHIN_S
        while time.monotonic() < until:
            known = GcsClient(address=self.address).get_all_node_info(timeout=10)
            if sum(1 for info in known.values() if info.state == 0) == count:  # ALIVE
                return
            time.sleep(0.2)
        raise AssertionError(f"Ray does not know of {count} living nodes")

    def kill(self, node: Any) -> None:
        """End a node as a power cut would."""
        self.cluster.remove_node(node, allow_graceful=False)


def workers_on(node: Any) -> list[int]:
    """Process ids of the stage actors that a node runs."""
    (raylet,) = node.all_processes["raylet"]
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    lines = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, parent, args in lines
        if int(parent) == raylet.process.pid and args.startswith("ray::_Host")
    ]


@contextmanager
def ray_nodes(count: int, *, code: Path = ROOT, cpus: int = 1) -> Iterator[RayNodes]:
    """So many nodes of so many CPUs each for the length of the block; nothing of them is left
    afterwards."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="douga-nodes-", dir="/tmp")  # short: sockets lie in it
    cluster = Cluster()
    nodes = RayNodes(cluster, folder, code)
    try:
        for _ in range(count):
            nodes.add(num_cpus=cpus)
        yield nodes
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
