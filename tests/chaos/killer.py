"""Who is killed, when, and what a person does then. Seeded: the same seed, the same moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.ray_nodes import RayNodes, workers_on
from tests.servers.swift import S3Server

KINDS = ("worker", "driver", "s3", "prefect", "node")
LATER_S = 0.3
"""A kill comes up to so long after the chunk that it waits for: any moment of a chunk's making."""
AWAY_S = (0.5, 4.0)
"""How long the S3 server stays away, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """After so many chunks were computed, and so long after that; `chance` picks the victim."""

    seed: int
    chunks: int
    later_s: float
    chance: random.Random = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.later_s:.3f} s after chunk {self.chunks}"


def moment(kind: str, seed: int, chunks: int) -> Moment:
    """When to strike in a render of so many chunks; from before the first to after the last."""
    chance = random.Random(f"{kind} {seed}")
    return Moment(
        seed=seed,
        chunks=chance.randrange(chunks + 1),
        later_s=chance.random() * LATER_S,
        chance=chance,
    )


@dataclass(frozen=True, kw_only=True)
class Victim:
    """`words` and `more` go to the command, `kill` kills, `mend` brings back what a person would.
    `again`: the command may have to be given once more; `workers` that die of it."""

    kill: Callable[[subprocess.Popen[str]], str]
    mend: Callable[[], None] = lambda: None
    words: tuple[str, ...] = ()
    store: str = "store"
    more: dict[str, str] = field(default_factory=dict)
    again: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Farm:
    """What there is to be killed."""

    nodes: RayNodes
    prefect_home: Path
    server: Callable[[], S3Server]

    @contextmanager
    def victim(self, kind: str, name: str, moment: Moment) -> Iterator[Victim]:
        """A victim of a kind; what it needs is there for the length of the block."""
        joined = ("--ray", self.nodes.address)
        if kind == "worker":
            yield Victim(kill=lambda _: self._kill_worker(moment.chance), words=joined)
        elif kind == "node":
            third = self.nodes.add()
            yield Victim(kill=lambda _: self._kill_node(third), words=joined)
            self.nodes.wait_for(2)  # Ray takes it for alive for another quarter of a minute
        elif kind == "driver":
            yield Victim(kill=_kill_driver, words=joined, again=True, workers=2)
        elif kind == "prefect":
            more = {"DOUGA_HOME": str(self.prefect_home), "DOUGA_PREFECT": "embedded"}
            yield Victim(kill=lambda _: self._kill_prefect(), words=joined, more=more, again=True)
        else:
            server = self.server()
            away_s = moment.chance.uniform(*AWAY_S)
            yield Victim(
                kill=lambda _: _crash(server),
                mend=lambda: _bring_back(server, away_s),
                words=("--workers", "2"),  # a Ray of its own: its workers have the keys
                store=f"s3://{server.bucket('films')}/{name}",
                more=server.environment(),
                again=True,
            )

    def _kill_worker(self, chance: random.Random) -> str:
        pids = sorted(pid for node in self.nodes.nodes() for pid in workers_on(node))
        if not pids:
            return "no worker"
        pid = chance.choice(pids)
        os.kill(pid, signal.SIGKILL)
        return f"worker {pid}"

    def _kill_node(self, node: Any) -> str:
        self.nodes.kill(node)
        return "a node"

    def _kill_prefect(self) -> str:
        found = [
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if is_prefect(entry, self.prefect_home)
        ]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return f"Prefect's server {found}"


def is_prefect(entry: Path, home: Path) -> bool:
    """Whether a process is the server of this home."""
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # ended since
    return b"flows.prefect.server_process" in words and str(home / "prefect").encode() in words


def wait_until(moment: Moment, process: subprocess.Popen[str], computed: Callable[[], int]) -> int:
    """Sleep until the moment has come, or the command has ended; how many chunks were computed."""
    while process.poll() is None and computed() < moment.chunks:
        time.sleep(0.005)
    time.sleep(moment.later_s)
    return computed()


def _kill_driver(process: subprocess.Popen[str]) -> str:
    process.kill()
    return f"driver {process.pid}"


def _crash(server: S3Server) -> str:
    server.crash()
    return "the S3 server"


def _bring_back(server: S3Server, away_s: float) -> None:
    time.sleep(away_s)
    server.start_again()
