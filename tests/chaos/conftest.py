"""A small film, the packages with a slow stage in them, and the render that nothing disturbs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

from tests.e2e.conftest import Lab
from tests.servers.ray_nodes import RayNodes, ray_nodes

ROOT = Path(__file__).parents[2]
CHUNK = 4
REST_S = 0.05
"""The stage computes so long for a frame: a chunk takes .2 s."""


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that knows the stage `fake`."""
    tree = tmp_path_factory.mktemp("code")
    for name in ("flows", "tasks", "cluster"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("fake.py"), tree / "tasks/stages")
    registry = tree / "tasks/stages/registry.py"
    head = "STAGES: dict[str, str] = {\n"
    text = registry.read_text()
    assert head in text
    registry.write_text(text.replace(head, f'{head}    "fake": "tasks.stages.fake:Fake",\n'))
    return tree


@pytest.fixture(scope="session")
def nodes(own_home: Path, code: Path) -> Iterator[RayNodes]:
    """Two Ray nodes of one CPU each, whose workers know the stage."""
    with ray_nodes(2, code=code) as nodes:
        yield nodes


@dataclass(frozen=True)
class Render:
    """A render of the film: what goes into a folder of its own."""

    douga: Any
    code: Path
    source: Path
    cuts: tuple[int, ...]
    folder: Path

    @property
    def film(self) -> Path:
        """What it makes."""
        return self.folder / "film.mkv"

    def start(self, *words: str, store: str = "store", **more: str) -> Any:
        """Start the command; the same words every time give the same film."""
        self.folder.mkdir(exist_ok=True)
        fake = {"rest_s": REST_S, "told": str(self.folder / "told")}
        recipe = [
            {"fake": {**fake, "keep": True}},
            {"interpolate": {"factor": 2, "engine": "dis"}},
            {"fake": fake},
        ]
        document = {
            "source": str(self.source),
            "cut": list(self.cuts),
            "recipe": recipe,
            "delivery": {"encoder": "ffv1"},
        }
        (self.folder / "film.yaml").write_text(yaml.safe_dump(document))
        given = ("-o", "film.mkv", "--store", store, "--chunk", str(CHUNK), "--json")
        return self.douga.start(
            "render",
            "film.yaml",
            *given,
            *words,
            cwd=self.folder,
            **{"PYTHONPATH": str(self.code), **more},
        )

    def computed(self) -> list[str]:
        """A line for each chunk that was computed to its end, stored or not: which it was."""
        told = self.folder / "told"
        lines = told.read_text().splitlines() if told.exists() else []
        return [line.rpartition(" ")[0] for line in lines]

    def computed_again(self) -> int:
        """How many chunks were computed to their end once more than needed."""
        computed = self.computed()
        return len(computed) - len(set(computed))

    def content(self) -> list[Any]:
        """Every stream and chapter of the film, every decoded frame with its time, and every
        packet of what is not video."""
        with av.open(str(self.film)) as file:
            streams = [
                (s.type, s.codec_context and s.codec_context.name, s.time_base, dict(s.metadata))
                for s in file.streams
            ]
            found: list[Any] = [streams, file.chapters()]
            found += [(f.pts, f.time_base, f.to_ndarray().tobytes()) for f in file.decode(video=0)]
        with av.open(str(self.film)) as file:
            others = [s for s in file.streams if s.type in ("audio", "subtitle")]
            found += [(p.stream_index, p.pts, p.duration, bytes(p)) for p in file.demux(others)]
        return found


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two seconds in four shots, one of them a single frame, with sound, words and chapters."""
    return Lab(tmp_path_factory.mktemp("films")).source("23.976.mkv")


@pytest.fixture
def render(douga: Any, code: Path, film: Any, tmp_path: Path) -> Render:
    """A render in a folder of its own."""
    return Render(douga, code, film.path, film.cuts, tmp_path)


@pytest.fixture(scope="session")
def undisturbed(
    douga: Any,
    code: Path,
    film: Any,
    nodes: RayNodes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Render:
    """The render that nothing disturbs: no chunk is computed twice."""
    render = Render(douga, code, film.path, film.cuts, tmp_path_factory.mktemp("undisturbed"))
    process = render.start("--ray", nodes.address)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert render.computed_again() == 0
    return render
