"""Ray's node on this machine, as a child: `ray start --block` with what renders need.

Run as a program (`python -m cluster.node.ray_node WORDS`) it is that child: Ray's own command,
which the kernel asks to end (PR_SET_PDEATHSIG) when the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.connect.nodes import CARD_LABEL, NAME_LABEL, TAG_LABEL, licence_resource
from cluster.connect.watch import ray_folder
from cluster.connect.watchdog import OBJECT_STORE_BYTES, RAY, end_children
from cluster.errors import UsageError
from cluster.node.machine import NAME, workers_below
from cluster.settings import STORE_SECRETS, child_environment

ENDS_WITHIN_S = 6.0
"""How long Ray may take to leave; what is left of it then is ended: Ray itself waits for longer."""
UP_WITHIN_S = 60.0
AT_ONCE = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
"""Whoever wanted the workers to end their chunks has waited for that already."""
STARTED = "Ray runtime started"
PDEATHSIG, SUBREAPER = 1, 36  # of linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """A node to be: its cluster's address, and what renders are told of it. `cpus` 0: as many as
    there are."""

    address: str
    name: str
    cpus: int = 0
    cards: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    licences: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels in Ray."""
        card = {CARD_LABEL: self.cards[0]} if self.cards else {}
        return {NAME_LABEL: self.name, **card, **{f"{TAG_LABEL}{tag}": "yes" for tag in self.tags}}


class RayNode:
    """Ray's node on this machine, while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def runs(self) -> bool:
        """Whether it does still."""
        return self._process.poll() is None

    def workers(self) -> int:
        """How many workers of renders run on it."""
        return len(workers_below(self._process.pid))

    def wait(self) -> str:
        """Wait until it is up: "", or why it is not."""
        until = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < until:
            if STARTED in self._said():
                return ""
            if not self.runs():
                break
            time.sleep(0.2)
        return self._why()

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace")
        return ""

    def _why(self) -> str:
        lines = [line.strip() for line in self._said().splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line or "Exception" in line]
        return (errors or lines or ["Ray says nothing"])[-1][:200]


@contextmanager
def ray_node(spec: NodeSpec) -> Iterator[RayNode]:
    """A node, begun to start, for the length of a `with`: leaves the cluster at its end, and
    nothing of it is left. ClusterError where its folder cannot be made."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # what outlives Ray's own becomes ours
    with ray_folder() as folder:
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cluster.node.ray_node", *start_words(spec, folder)],
                env=child_environment(AT_ONCE, secrets=(*STORE_SECRETS, "RAY_")),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield RayNode(process, log)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN_S)
            end_children()
            process.wait()


def start_words(spec: NodeSpec, folder: Path) -> list[str]:
    """What Ray is told: an object store as small as it takes, for pixels never pass through it."""
    words = ["start", "--block", "--address", spec.address, "--disable-usage-stats"]
    words += ["--object-store-memory", str(OBJECT_STORE_BYTES), "--temp-dir", str(folder / RAY)]
    words += ["--node-name", spec.name, "--include-log-monitor", "false"]
    words += ["--labels", ",".join(f"{key}={value}" for key, value in spec.labels.items())]
    if spec.cpus:
        words += ["--num-cpus", str(spec.cpus)]
    if spec.licences:
        held = {licence_resource(name): count for name, count in spec.licences.items()}
        words += ["--resources", json.dumps(held)]
    return words


def read_tags(texts: Sequence[str]) -> tuple[str, ...]:
    """Tags as they were typed. UsageError for one that Ray takes as no label."""
    for text in texts:
        if not NAME.fullmatch(text):
            raise UsageError(
                f"expected a tag of letters, digits, dots and dashes, got {text[:80]!r}",
                where="--tag",
            )
    return tuple(dict.fromkeys(texts))


def read_licences(texts: Sequence[str]) -> dict[str, int]:
    """`nuke=2` or `nuke` (one), by name. UsageError for anything else."""
    found: dict[str, int] = {}
    for text in texts:
        name, _, count = text.partition("=")
        if not (NAME.fullmatch(name) and (count or "1").isdecimal() and int(count or 1)):
            raise UsageError(
                f"expected a licence and how many, such as nuke=2, got {text[:80]!r}",
                where="--licence",
            )
        found[name] = int(count or 1)
    return found


def main(words: Sequence[str]) -> None:
    """Be Ray's command, and end with whoever started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:  # whoever started this is gone already
        return
    from ray.scripts.scripts import main as ray

    sys.argv = ["ray", *words]
    ray()


if __name__ == "__main__":
    main(sys.argv[1:])
