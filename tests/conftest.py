"""What the whole suite shares: a home of its own, one small sample, one local Ray; which tests run
side by side, and which need a server."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "docs/schemas"

# No limit on wall-clock time: on a loaded machine laws failed with DeadlineExceeded.
hypothesis_settings.register_profile(
    "douga", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile(
    "fast", hypothesis_settings.get_profile("douga"), max_examples=15
)
hypothesis_settings.load_profile("douga")

SHARED = {
    "ray nodes": {"ray_cluster", "prefect"},
    "local ray": {"local_ray"},
    "ray of its own": {"cluster"},
    "swift": {"swift"},
}
"""Fixtures that are dear to start, by the group that shares them; the longest group first."""
GROUP_END = pytest.StashKey[ExitStack]()
NIGHTLY_TIMEOUT_S = 1800
"""What is nightly does many things in one test, each of which ends in bounded time by itself."""
LABORATORIES = ("training", "benchmarks", "synthetic")
"""Rooms of tasks that no render imports."""


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is shared yet."""
    config.stash[GROUP_END] = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Says which tests need servers and which are nightly, and groups them for `-n`.

    A group runs in one process, so that each server is started once; tests of a file stay together.
    The shared groups come first: no long one is left for the end.
    """
    groups = {item.nodeid: _group(item) for item in items}
    for item in items:
        room = item.path.relative_to(ROOT / "tests").parts[:2]
        if groups[item.nodeid] in SHARED or room[0] in ("e2e", "chaos"):
            item.add_marker("servers")
        if room[0] == "tasks" and room[1] in LABORATORIES:
            item.add_marker("nightly")
        marks = {mark.name for mark in item.iter_markers()}
        if "nightly" in marks and not marks & {"chaos", "timeout"}:
            item.add_marker(pytest.mark.timeout(NIGHTLY_TIMEOUT_S))
    order = {group: place for place, group in enumerate(SHARED)}
    items.sort(key=lambda item: order.get(groups[item.nodeid], len(order)))
    if hasattr(config, "workerinput"):
        told = Path(config.workerinput["groups"])
        own = told.with_suffix(f".{os.getpid()}")
        own.write_text(json.dumps(groups))
        own.replace(told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Ends what a group shared with its last test: an idle Ray takes a tenth of a core, and leaves
    its token in the environment."""
    yield
    if nextitem is None or _group(nextitem) != _group(item):
        item.config.stash[GROUP_END].close()


def _group(item: pytest.Item) -> str:
    used = {*getattr(item, "fixturenames", ())}
    callspec = getattr(item, "callspec", None)
    if callspec is not None and callspec.id.split("-")[0] == "swift":
        used.add("swift")  # the fixture is asked for by its name
    for group, fixtures in SHARED.items():
        if used & fixtures:
            return group
    return item.path.relative_to(ROOT).as_posix()


# pytest-xdist 3.8 writes groups into node ids, which pytest 9.2 ignores (its issue 1386): here the
# processes write them into a file, and the scheduler reads it.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a process of `-n` where its groups are awaited."""
    node.workerinput["groups"] = str(_groups_file(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives every process a group at a time."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        @cached_property
        def groups(self) -> dict[str, str]:
            found: dict[str, str] = json.loads(_groups_file(config).read_text())
            return found

        def _split_scope(self, nodeid: str) -> str:
            return self.groups[nodeid]

    return ByGroup(config, log)


def _groups_file(config: pytest.Config) -> Path:
    folder: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return folder / "groups.json"


@pytest.fixture
def set_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables of the environment; settings are read anew, then and after the test."""
    from cluster.settings import settings

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield set_them
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def no_grace(set_variables: Callable[..., None]) -> None:
    """What may go goes at once, however new it is."""
    set_variables(DOUGA_GC_GRACE_H="0")


@pytest.fixture(autouse=True)
def every_note() -> None:
    """A command that ran in this process before left a filter that tells each note once."""
    logging.getLogger("cluster.store.records").filters.clear()


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C and a terminal that closes mean what they mean in a terminal, for the suite and for
    the commands that it starts.

    Who starts the suite in the background (nohup, some CI runners) has it ignore SIGINT or SIGHUP,
    and what is ignored stays ignored in every child.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings of the suite: a home that it made, Prefect only where a test asks for it."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if name.startswith("DOUGA_")}
    for name in kept:
        del os.environ[name]
    os.environ.pop("PREFECT_API_URL", None)
    own = {"DOUGA_HOME": str(home), "DOUGA_MODELS": str(home / "models"), "DOUGA_PREFECT": "off"}
    os.environ.update({**own, "NO_COLOR": "1"})
    from cluster.settings import settings

    settings.cache_clear()
    yield home
    settings.cache_clear()
    os.environ.update(kept)


@dataclass(frozen=True)
class Ended:
    """A finished command: exit code, both outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout, held against the schema that it names."""
        document: dict[str, Any] = json.loads(self.out)
        name = document["schema"].removeprefix("douga/")
        jsonschema.validate(document, json.loads((SCHEMAS / f"{name}.json").read_text()))
        return document


@dataclass(frozen=True)
class Douga:
    """The real command, in a process of its own; keywords go into its environment."""

    home: Path

    def __call__(self, *words: str | Path, timeout_s: float = 240, **more: Any) -> Ended:
        """Run it to its end."""
        process = self.start(*words, **more)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"still running after {timeout_s} s\n{out}{err}") from None
        return Ended(process.returncode, out, err)

    def start(
        self, *words: str | Path, cwd: Path | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """Start it, as the leader of a process group."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *map(str, words)],
            cwd=cwd or self.home,
            env={**os.environ, "PYTHONPATH": str(ROOT), **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )


@pytest.fixture(scope="session")
def douga(own_home: Path) -> Douga:
    """The real command."""
    return Douga(own_home)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What the command made of `tiny_film`: the film, where its store is, what it said."""

    film: Path
    store: str
    ended: Ended


@pytest.fixture(scope="session")
def tiny_render(
    tiny_film: Path, douga: Douga, tmp_path_factory: pytest.TempPathFactory
) -> Rendered:
    """`tiny_film` rendered by the command, once; film and store are never written to."""
    folder = tmp_path_factory.mktemp("rendered")
    film, store = folder / "film.mkv", (folder / "store").as_uri()
    ended = douga("render", tiny_film, "-o", film, "--store", store, "--json")
    assert ended.code == 0, ended.err
    return Rendered(film=film, store=store, ended=ended)


@pytest.fixture(scope="session")
def group_end(request: pytest.FixtureRequest) -> ExitStack:
    """Ends what is entered with the last test of the group that shares it."""
    return request.config.stash[GROUP_END]


@pytest.fixture(scope="session")
def ray_cluster(own_home: Path, group_end: ExitStack) -> Any:
    """Two Ray nodes that no render started: joining them is quicker than starting one's own."""
    from tests.servers.ray_nodes import ray_nodes

    return group_end.enter_context(ray_nodes(2))


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for renders that start a Prefect server: its database is laid out once."""
    return tmp_path_factory.mktemp("prefect_home")


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory, group_end: ExitStack) -> Any:
    """A Prefect server that no render started."""
    from tests.servers.prefect import prefect_server

    return group_end.enter_context(prefect_server(tmp_path_factory.mktemp("prefect")))


@pytest.fixture(scope="session")
def moto() -> Iterator[Any]:
    """moto's S3 in this process."""
    from tests.servers.moto_server import moto_server

    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def swift() -> Iterator[Any]:
    """OpenStack Swift's S3 in processes of its own."""
    from tests.servers.swift import SWIFT_PYTHON, swift_server

    if not SWIFT_PYTHON.exists():
        pytest.skip("no Swift here: run `make .venv-swift/.installed`")
    with swift_server() as server:
        yield server


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sample short of 14 shots, 160x90, with all its truth; shared, never written to."""
    from tasks.synthetic import write_sample

    folder = tmp_path_factory.mktemp("sample")
    return write_sample(folder, seed=3, shots=14, seconds=6.0, size=(160, 90))


@pytest.fixture(scope="session")
def tiny_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of two plain shots with sound, 64x48 at 24 frames a second."""
    from tasks.encode.ffmpeg import run_ffmpeg

    film = tmp_path_factory.mktemp("tiny") / "tiny.mkv"
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=1"),
            *("-f", "lavfi", "-i", "mandelbrot=size=64x48:rate=24,trim=duration=1"),
            *("-f", "lavfi", "-i", "sine=frequency=440:duration=2"),
            *("-filter_complex", "[0:v][1:v]concat=n=2:v=1:a=0[v]", "-map", "[v]", "-map", "2:a"),
            *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "12", "-c:a", "flac", str(film)),
        ]
    )
    return film


@pytest.fixture(scope="session")
def local_ray(own_home: Path, group_end: ExitStack) -> None:
    """One local Ray for every test that renders in this process."""
    from cluster.connect.connect import join_cluster

    group_end.enter_context(join_cluster(workers=3))


@pytest.fixture
def ntsc() -> Fraction:
    """The film rate of television."""
    return Fraction(24000, 1001)
