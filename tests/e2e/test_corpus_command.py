"""Some of the corpus by the real command: planned apart, rendered, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from tests.corpus.case import GOOD, Case
from tests.corpus.damage import fill
from tests.corpus.documents import documents
from tests.corpus.films import make_good
from tests.corpus.harmed import cuts
from tests.corpus.judge import names
from tests.corpus.strange import strange
from tests.servers.ray_nodes import RayNodes

ALL = {case.name: case for case in (*strange(), *documents(), *cuts())}
REAL = (
    "called '-i.mkv'",
    "called 'new\\nline.mkv'",
    "a table of 4294967295 samples",
    "h264.mkv cut at 80.0%",
    "a bomb of aliases",
    "OTIO: deep",
    *(
        pytest.param(name, marks=pytest.mark.nightly)
        for name in (
            "called '|cat.mkv'",
            "16384 wide",
            "another size half-way",
            "even.gif cut at 50.0%",
            "deep brackets",
            "OTIO: not a number",
        )
    ),
)


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("goods")


@pytest.mark.parametrize("name", REAL)
def test_the_command_says_the_same(name: str, douga: Any, goods: Path, tmp_path: Path) -> None:
    case: Case = ALL[name]
    case.write(tmp_path, goods)
    before = names(tmp_path)
    ended = douga("plan", "--json", *case.words, cwd=tmp_path)
    lines = ended.err.splitlines()
    assert ended.code in case.codes, ended.err
    assert all(line.startswith("douga: ") for line in lines), ended.err
    assert "a bug" not in ended.err
    assert names(tmp_path) == before
    if ended.code == GOOD:
        assert ended.document["shots"]
    else:
        assert [word for word in case.said if word not in lines[-1]] == [], lines[-1]
        assert ended.out == ""


def test_a_film_with_a_hole_is_rendered_whole_and_the_hole_told(
    douga: Any, goods: Path, tmp_path: Path, ray_cluster: RayNodes
) -> None:
    ALL["a hole"].write(tmp_path, goods)
    words = ("render", "a.mkv", "-o", "film.mkv", "--store", "store", "--json")
    ended = douga(*words, "--stage", "hold", cwd=tmp_path, **ray_cluster.environment())
    assert ended.code == 0, ended.err
    assert "6 frames missing, the first after frame 9" in ended.err
    with av.open(str(tmp_path / "film.mkv")) as film:
        assert sum(1 for _ in film.decode(video=0)) == ended.document["frames_out"] == 30


def test_a_damaged_shot_fails_by_name_and_frame_and_no_film_appears(
    douga: Any, goods: Path, tmp_path: Path, ray_cluster: RayNodes
) -> None:
    data = make_good(goods, "fast.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(fill(data, seed=1, at=0.55, size=400))
    (tmp_path / "ep.yaml").write_text(
        "source: a.mp4\ncut: [12, 24]\nrecipe: [{upscale: {scale: 2}}]\n"
    )
    words = ("render", "ep.yaml", "-o", "film.mkv", "--store", "store", "--json")
    ended = douga(*words, cwd=tmp_path, **ray_cluster.environment())
    assert ended.code == 1, ended.err
    states = [(shot["id"], shot["state"]) for shot in ended.document["shots"]]
    assert ("sh020", "failed") in states
    assert ("sh010", "rendered") in states
    assert "a.mp4 frame" in ended.err
    assert "sh020" in ended.err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "ep.yaml", "store"]
