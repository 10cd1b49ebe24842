"""A farm of sleeping workers on a real Ray, and renders on it as processes of their own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster.settings import child_environment
from tasks.encode.ffmpeg import run_ffmpeg
from tests.bench_farm.figures import Slept, read_log
from tests.servers.ray_nodes import ROOT, RayNodes, StartedNode

MOST_CHUNKS = 10
SEED = 11
ENDS_WITHIN_S = 20.0


@dataclass(slots=True)
class Render:
    """A render that was started, and the folder of its episode."""

    folder: Path
    process: subprocess.Popen[str]
    started: float = field(default_factory=time.time)

    @property
    def runs(self) -> bool:
        """Whether it goes on."""
        return self.process.poll() is None

    @property
    def slept(self) -> list[Slept]:
        """What its workers did so far."""
        return read_log(self.folder)

    def stop(self) -> float:
        """Seconds that it takes to end after SIGTERM."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(ENDS_WITHIN_S)
        return time.monotonic() - began

    def said(self) -> str:
        """What it told people."""
        return (self.folder / "said").read_text()


@dataclass(slots=True)
class SleepingFarm:
    """Renders on a Ray whose workers sleep `chunk_s` seconds for a chunk on average."""

    folder: Path
    ray: str
    chunk_s: float
    renders: list[Render] = field(default_factory=list)

    def start(self, name: str, *, chunks: int, queue: str = "day", weight: float = 1.0) -> Render:
        """Start a render of an episode of about so many chunks; returns at once."""
        folder = self.folder / name
        _write_episode(folder, name, chunks)
        (folder / "chunk_s").write_text(str(self.chunk_s))
        variables = {
            "PYTHONPATH": str(ROOT),
            "DOUGA_FARM": (self.folder / "farm").as_uri(),
            "DOUGA_QUEUE": queue,
            "DOUGA_WEIGHT": str(weight),
            "DOUGA_HOME": str(folder / "home"),
            "DOUGA_PREFECT": "off",
            "DOUGA_RAY_OPEN": "1",
            "DOUGA_DEVICE": "cpu",
        }
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench_farm.sleeper", str(folder), self.ray],
                env=child_environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                text=True,
            )
        render = Render(folder, process)
        self.renders.append(render)
        return render

    def leases(self) -> str:
        """What the renders tell one another."""
        told = ""
        for lease in (self.folder / "farm" / "live").glob("*.json"):
            with suppress(FileNotFoundError):
                told += lease.read_text()
        return told

    def wait(self, what: Callable[[], bool], *, within_s: float) -> bool:
        """Wait until something is so; whether it came to be in time."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if what():
                return True
            for render in self.renders:
                if render.process.poll() not in (None, 0, 130):
                    raise RuntimeError(f"{render.folder.name} failed\n{render.said()[-3000:]}")
            time.sleep(0.5)
        return what()

    def close(self) -> None:
        """End every render."""
        for render in self.renders:
            with suppress(ProcessLookupError):
                render.process.kill()
            render.process.wait()


@contextmanager
def sleeping_farm(folder: Path, ray: RayNodes, *, chunk_s: float) -> Iterator[SleepingFarm]:
    """The farm for the length of a block."""
    folder.mkdir(parents=True)
    farm = SleepingFarm(folder, ray.address, chunk_s)
    try:
        yield farm
    finally:
        farm.close()


def _write_episode(folder: Path, name: str, chunks: int) -> None:
    """An episode of a frame a chunk, of one plain film, in shots of 1 to MOST_CHUNKS."""
    folder.mkdir(parents=True)
    chance = random.Random(f"{SEED} {name}")
    lengths: list[int] = []
    while sum(lengths) < chunks:
        lengths.append(chance.randint(1, MOST_CHUNKS))
    cuts = [sum(lengths[:at]) for at in range(1, len(lengths))]
    film = folder / "film.src.mkv"
    source = f"testsrc2=size=64x48:rate=24,trim=end_frame={sum(lengths)}"
    run_ffmpeg(["-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-pix_fmt", "yuv420p", str(film)])
    (folder / "episode.yaml").write_text(
        f"name: {name}\nsource: film.src.mkv\ncut: {cuts}\nstore: store\nrecipe: []\n"
    )


class Provider:
    """Brings nodes while Ray has demand that finds no room, and takes away those that idle: what
    Ray's own autoscaler does, on the same interface (GcsClient.get_cluster_resource_state), since
    its test cluster misses a file in Ray 2.60.

    `spans` are the lives of the nodes, (from, to), `to` inf while they last.
    """

    def __init__(self, ray: RayNodes, *, most: int, cpus: int, idle_s: float) -> None:
        self.spans: list[tuple[float, float]] = []
        self._ray, self._most, self._cpus, self._idle_s = ray, most, cpus, idle_s
        self._nodes: dict[str, StartedNode] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for label in list(self._nodes):
            self._take_away(label)

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self._nodes)

    def _run(self) -> None:
        from ray._raylet import GcsClient  # type: ignore[attr-defined]
        from ray.autoscaler.v2.sdk import get_cluster_resource_state

        client = GcsClient(address=self._ray.address)
        while not self._ended.wait(1.0):
            state = get_cluster_resource_state(client)
            wanted = sum(
                each.count * each.request.resources_bundle.get("CPU", 0.0)
                for each in state.pending_resource_requests
            )
            for node in state.node_states:
                idles = node.idle_duration_ms > 1000 * self._idle_s
                for label in set(node.total_resources) & set(self._nodes) if idles else ():
                    self._take_away(label)
            for label in [name for name, node in self._nodes.items() if node.has_ended]:
                self._take_away(label)  # it did not come up
            here = {label for node in state.node_states for label in node.total_resources}
            coming = set(self._nodes) - here
            if wanted > 0 and not coming and len(self._nodes) < self._most:
                self._bring()

    def _bring(self) -> None:
        label = f"node-{len(self.spans)}"
        self._nodes[label] = self._ray.start(cpus=self._cpus, label=label)
        self.spans.append((time.time(), float("inf")))

    def _take_away(self, label: str) -> None:
        self._nodes[label].end()
        number = int(label.rpartition("-")[2])
        self.spans[number] = (self.spans[number][0], time.time())
        del self._nodes[label]


def load() -> float:
    """How busy the machine is: the load of the last minute for each of its processors."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
