"""Episodes handed to a farm by the real commands: rendered there, paused, killed, cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.encode.ffmpeg import run_ffmpeg
from tests.servers.prefect import PrefectServer
from tests.servers.ray_nodes import RayNodes

pytestmark = pytest.mark.timeout(900)
SOON_S = 150.0
"""Nothing here takes a quarter of it on an idle machine."""


@dataclass(frozen=True)
class Laptop:
    """A machine that hands episodes in: a home and a folder of its own, and the farm's store."""

    douga: Any
    folder: Path
    store: str
    more: dict[str, str]

    def __call__(self, *words: str | Path) -> Any:
        """A command, to its end."""
        return self.douga(*words, cwd=self.folder, **self.more)

    def queue(self) -> dict[str, dict[str, Any]]:
        """What stands in the queue, by its episode."""
        said = self("queue", "--json")
        assert said.code == 0, said.err
        return {run["episode"]: run for run in said.document["runs"]}

    def submit(self, *words: str | Path) -> Any:
        """Hand something in."""
        said = self("submit", *words, "--store", self.store, "--json")
        assert said.code == 0, said.err
        return said.document


@pytest.fixture(scope="module")
def farm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farm_home")


@pytest.fixture(scope="module")
def laptop(
    douga: Any, prefect: PrefectServer, farm_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    more = {"PREFECT_API_URL": prefect.api, "DOUGA_HOME": str(folder / "home")}
    return Laptop(douga, folder, (farm_home / "store").as_uri(), more)


@contextmanager
def up(douga: Any, home: Path, prefect: PrefectServer, ray: RayNodes) -> Iterator[Any]:
    """`douga up` on the farm's machine, ended with the block however that ends."""
    more = {"PREFECT_API_URL": prefect.api, "DOUGA_HOME": str(home), **ray.environment()}
    process = douga.start("up", "--json", "--no-desk", cwd=home, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=SOON_S)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def served(
    douga: Any, farm_home: Path, prefect: PrefectServer, ray_cluster: RayNodes
) -> Iterator[subprocess.Popen[str]]:
    with up(douga, farm_home, prefect, ray_cluster) as process:
        awaited(lambda: prefect.post("work_pools/filter"), "the work pool")
        awaited(lambda: prefect.post("deployments/filter"), "the deployment")
        yield process


def awaited(what: Callable[[], Any], said: str) -> Any:
    """What `what` gives once that is something. AssertionError if it is not in time."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.3)
    raise AssertionError(f"not in {SOON_S:g} s: {said}")


def flow_run(prefect: PrefectServer, name: str) -> dict[str, Any]:
    """The newest flow run of a name."""
    found = prefect.post(
        "flow_runs/filter", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_DESC"
    )
    return dict(found[0])


def chunks(home: Path) -> int:
    return len(list((home / "store/frames").rglob("*.arrow")))


def test_an_episode_comes_out_as_on_the_laptop(
    laptop: Laptop, served: Any, tiny_film: Path, ray_cluster: RayNodes, prefect: PrefectServer
) -> None:
    (laptop.folder / "reels").mkdir()
    (laptop.folder / "reels/tiny.mkv").write_bytes(tiny_film.read_bytes())
    words = ("reels/tiny.mkv", "-o", "got.mkv", "--job", "tiny-1")
    said = laptop.submit(*words, "--wait")
    assert said["film"] == str(laptop.folder / "got.mkv")
    assert said["ended"]["exit_code"] == 0
    own = ("render", tiny_film, "-o", "own.mkv", "--store", laptop.folder / "store")
    here = laptop.douga(*own, cwd=laptop.folder, **laptop.more, **ray_cluster.environment())
    assert here.code == 0, here.err
    assert packets(laptop.folder / "got.mkv") == packets(laptop.folder / "own.mkv")
    again = laptop.submit(*words)
    assert again["ended"] == said["ended"], "the same key is done once"
    assert flow_run(prefect, "tiny")["state_type"] == "COMPLETED"
    waited = laptop("wait", "tiny-1", "--store", laptop.store, "-o", "later.mkv")
    assert waited.code == 0, waited.err
    assert packets(laptop.folder / "later.mkv") == packets(laptop.folder / "own.mkv")


def packets(film: Path) -> str:
    """The digest of every video packet with its time."""
    done = run_ffmpeg(["-i", str(film), "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"])
    return done.decode() if isinstance(done, bytes) else str(done)


@pytest.fixture(scope="module")
def long_film(laptop: Laptop, tiny_film: Path) -> Path:
    """Minutes of work, of which each test lets some seconds be done."""
    film = laptop.folder / "long.mkv"
    if not film.exists():
        words = ["-stream_loop", "30", "-i", str(tiny_film), "-vf", "scale=192:144"]
        run_ffmpeg([*words, "-g", "24", "-an", str(film)])
    return film


def test_a_run_is_paused_killed_left_by_its_farm_and_cancelled(
    laptop: Laptop,
    douga: Any,
    farm_home: Path,
    prefect: PrefectServer,
    ray_cluster: RayNodes,
    long_film: Path,
) -> None:
    """Each time it goes on from what it has, and is in the queue again without anybody's doing."""

    def in_state(state: str) -> Any:
        return awaited(lambda: laptop.queue().get("long", {}).get("state") == state, state)

    with up(douga, farm_home, prefect, ray_cluster):
        awaited(lambda: prefect.post("deployments/filter"), "the deployment")
        before = chunks(farm_home)
        stages = ("--stage", "upscale:precision=exact", "--chunk", "4")
        laptop.submit(long_film, *stages, "--queue", "night", "--job", "long-1")
        awaited(lambda: chunks(farm_home) > before, "the first chunk")
        assert laptop.queue()["long"]["holds"] > 0

        assert laptop("pause", "long").code == 0
        in_state("paused")
        awaited(lambda: not runs(farm_home, "long"), "the end of its process")
        kept = chunks(farm_home)
        assert laptop("resume", "long-1").code == 0
        awaited(lambda: chunks(farm_home) > kept, "another chunk")

        process = int(flow_run(prefect, "long")["infrastructure_pid"].rpartition(":")[2])
        os.kill(process, signal.SIGKILL)
        kept = chunks(farm_home)
        awaited(lambda: chunks(farm_home) > kept + 2, "more chunks after the kill")
    assert laptop.queue()["long"]["state"] == "waiting", "its farm is gone"

    assert laptop("priority", "long", "urgent").code == 0
    assert laptop.queue()["long"]["queue"] == "urgent"
    with up(douga, farm_home, prefect, ray_cluster):
        in_state("running")
        said = laptop("cancel", "long", "--json")
        assert said.document["cancelled"][0]["job"] == "long-1"
        awaited(lambda: "long" not in laptop.queue(), "its end")
        awaited(lambda: flow_run(prefect, "long")["state_type"] == "CANCELLED", "cancelled")
    (end,) = (farm_home / "store/submitted/long-1").glob("*.ended.json")
    assert json.loads(end.read_text())["state"] == "cancelled"
    assert laptop("recover", "--store", laptop.store).code == 0
    assert "long" not in laptop.queue(), "what a person cancelled stays so"


def runs(home: Path, episode: str) -> list[Path]:
    """The runs of an episode that live."""
    begun = home / "store/begun/runs" / episode
    return list(begun.glob("*.json")) if begun.is_dir() else []


def test_nothing_lost_with_prefects_database(
    laptop: Laptop, served: Any, tiny_film: Path, prefect: PrefectServer
) -> None:
    film = laptop.folder / "lost.mkv"
    film.write_bytes(tiny_film.read_bytes())
    laptop.submit(film, "--job", "lost-1")
    laptop("pause", "lost")
    run = flow_run(prefect, "lost")
    prefect.delete(f"flow_runs/{run['id']}")
    assert "lost" not in laptop.queue()
    said = laptop("recover", "--store", laptop.store, "--json")
    assert [each["job"] for each in said.document["queued"]] == ["lost-1"]
    ends = Path(laptop.store.removeprefix("file://")) / "submitted/lost-1"
    awaited(lambda: list(ends.glob("*.ended.json")), "its end")


def test_without_a_farm_it_is_one_line(
    laptop: Laptop, douga: Any, tmp_path: Path, tiny_film: Path
) -> None:
    more = {"DOUGA_HOME": str(tmp_path / "home")}
    for words in (("submit", tiny_film), ("queue",), ("pause", "x")):
        said = douga(*words, cwd=tmp_path, **more)
        assert said.code == 1
        assert "douga up" in said.err
        assert len(said.err.strip().splitlines()) == 1
