"""One render in which shots fail in every way, what is said of them, and how they are mended."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.servers.ray_nodes import RayNodes, ray_nodes

ROOT = Path(__file__).parents[2]
SHOTS = ["sh010", "sh020", "sh030", "sh040"]
BUG, DIE, FLAKY = 4, 8, 10
PLAIN_SECRET = "Tr0ub4dor-und-3"


@dataclass(frozen=True)
class Night:
    """An episode of four shots of three frames, in chunks of three: the first is well, the second
    has a bug at its second frame, the third kills its worker, the fourth fails twice and then goes
    well. Rendered so, then mended."""

    folder: Path
    hurt: Any
    status: Any
    table: Any
    kept: dict[str, Any]
    mended: Any


def write_frames(folder: Path, count: int) -> None:
    (folder / "frames").mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(folder / "frames" / f"frame_{number:04}.png"), noise)


def path_with(folder: str) -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "tests" / folder)])


@pytest.fixture(scope="module")
def nodes(own_home: Path) -> Iterator[RayNodes]:
    """Two nodes that know the stage `hurt`."""
    with ray_nodes(2, code=Path(path_with("hurt"))) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def night(douga: Any, nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    write_frames(folder, 12)
    orders = folder / "orders"
    orders.mkdir()
    for frame, how in ((BUG, "bug"), (DIE, "die"), (FLAKY, "flaky")):
        (orders / str(frame)).write_text(how)
    recipe = f"[{{hurt: {{folder: {orders}}}}}]"
    (folder / "ep.yaml").write_text(
        f"source: {{path: frames, fps: 24}}\ncut: [3, 6, 9]\nrecipe: {recipe}\n"
        "delivery: {encoder: ffv1}\nstore: store\n"
    )
    words = ("render", "ep.yaml", "-o", "ep.mkv", "--chunk", "3", "--workers", "2", "--json")
    more = {"PYTHONPATH": path_with("hurt"), "DOUGA_S3_SECRET_KEY": PLAIN_SECRET}
    more |= nodes.environment()
    hurt = douga(*words, cwd=folder, **more)
    status = douga("status", "ep.yaml", "--json", cwd=folder, **more)
    table = douga("status", "ep.yaml", cwd=folder, **more)
    kept = {
        path.parent.name: json.loads(path.read_text())
        for path in (folder / "store/failures/ep").glob("*/*.json")
    }
    for order in (BUG, DIE):
        (orders / str(order)).unlink()
    again = shlex.split(hurt.err.splitlines()[-1].partition("only these are rendered: ")[2])
    mended = douga(*again[1:], "--json", cwd=folder, **more)
    return Night(folder, hurt, status, table, kept, mended)


def lines(ended: Any) -> dict[str, dict[str, Any]]:
    return {shot["id"]: shot for shot in ended.document["shots"]}


def test_the_run_fails_and_names_the_shots_the_frame_and_the_command(night: Night) -> None:
    assert night.hurt.code == 1
    last = night.hurt.err.splitlines()[-1]
    assert last.startswith("douga: 2 shots failed (sh020, sh030), 2 done and kept")
    assert "ep/sh020/hurt frame 1 (source frame 4): ZeroDivisionError: one over nothing" in last
    assert f"traceback in the store: failures/ep/sh020/{night.hurt.document['run']}.json" in last
    assert last.endswith("render ep.yaml -o ep.mkv --chunk 3 --workers 2")
    assert "Traceback" not in night.hurt.err


def test_the_other_shots_go_on(night: Night) -> None:
    shots = lines(night.hurt)
    states = ["rendered", "failed", "failed", "rendered"]
    assert [shots[shot]["state"] for shot in SHOTS] == states
    assert (shots["sh020"]["frame"], shots["sh020"]["source_frame"]) == (1, BUG)
    assert shots["sh030"]["frame"] is None, "a process that was killed says nothing"
    assert "ep/sh030/hurt frames 0-2 (source frames 6-8)" in shots["sh030"]["error"]


def test_a_bug_is_tried_twice_and_poison_three_times(night: Night) -> None:
    raised = [a["worker"] for a in night.kept["sh020"]["attempts"] if "one over" in a["error"]]
    assert len(raised) == len(set(raised)) == 2, "each in another process"
    died = [seen.name.partition(".")[0] for seen in seen_of(night, DIE)]
    assert len(died) == len(set(died)) == 3
    assert "lost 3 time(s) on the same work" in lines(night.hurt)["sh030"]["error"]


def seen_of(night: Night, frame: int) -> list[Path]:
    return list((night.folder / "orders" / f"{frame}.seen").iterdir())


def test_what_passes_costs_the_shot_nothing_and_is_counted(night: Night) -> None:
    assert lines(night.hurt)["sh040"]["retries"] >= 2
    assert night.hurt.document["retries"] >= 2
    said = [line for line in night.hurt.err.splitlines() if "licence server is busy" in line]
    # One of the two may be lost with a worker that the poison of another shot kills.
    assert 1 <= len(said) <= 2
    assert all(f"({number} of 6)" in line for number, line in enumerate(said, start=1))


def test_the_traceback_is_kept_with_all_that_helps_and_no_secret(night: Night) -> None:
    kept = night.kept["sh020"]
    assert [stage["stage"] for stage in kept["stages"]] == ["hurt"]
    assert kept["stages"][0]["params"]["folder"] == str(night.folder / "orders")
    assert (kept["frame"], kept["source_frame"], kept["source_frames"]) == (1, BUG, [3, 5])
    assert sum("raise ZeroDivisionError" in a["traceback"] for a in kept["attempts"]) == 2
    assert all(attempt["worker"] and attempt["node"] for attempt in kept["attempts"])
    assert {"python", "numpy", "ray"} <= set(kept["versions"])
    assert kept["command"].endswith("render ep.yaml -o ep.mkv --chunk 3 --workers 2")
    assert PLAIN_SECRET not in json.dumps(kept)


def test_status_shows_why_they_failed(night: Night) -> None:
    failures = night.status.document["failures"]
    assert [failure["shot"] for failure in failures] == ["sh020", "sh030"]
    assert failures[0]["source_frame"] == BUG
    assert f"sh020 failed in run {night.hurt.document['run']}" in night.table.out
    assert "(source frame 4): ZeroDivisionError" in night.table.out


def test_the_command_that_was_named_mends_it(night: Night) -> None:
    assert night.mended.code == 0, night.mended.err
    assert night.mended.document["verified"]
    assert night.mended.document["chunks_computed"] == 2
    with av.open(str(night.folder / "ep.mkv")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 12


def test_a_bad_host_is_quarantined_and_the_film_is_made(
    douga: Any, nodes: RayNodes, tmp_path: Path
) -> None:
    """Three nodes, one of which fails whatever it is given."""
    write_frames(tmp_path, 12)
    orders = tmp_path / "orders"
    (orders / "bad host").mkdir(parents=True)
    (tmp_path / "ep.yaml").write_text(
        f"source: {{path: frames, fps: 24}}\ncut: {list(range(2, 12, 2))}\n"
        f"recipe: [{{hurt: {{folder: {orders}}}}}]\n"
        "delivery: {encoder: ffv1}\nstore: store\n"
    )
    more = {"PYTHONPATH": path_with("hurt"), **nodes.environment()}
    words = ("render", "ep.yaml", "-o", "ep.mkv", "--chunk", "1", "--workers", "3", "--json")
    bad = nodes.add(variables={"HURT_HOST": "1"})
    try:
        ended = douga(*words, cwd=tmp_path, **more)
    finally:
        nodes.kill(bad)
    assert ended.code == 0, ended.err
    assert ended.document["verified"]
    (why,) = ended.document["quarantined"]
    assert bad.node_id[:8] in why
    assert f"host {why.partition(' failed')[0]} failed work of" in ended.err
    assert ended.document["retries"] >= 3
    assert {shot["state"] for shot in ended.document["shots"]} == {"rendered"}
