"""Rendering on a Ray cluster that is there already: nodes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest

from tests.servers.ray_nodes import RayNodes, workers_on


def wait_for_phase(process: subprocess.Popen[str], phase: str) -> str:
    """What a command said until it said this."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if phase in line:
            return said
    raise AssertionError(f"it ended before {phase!r}\n{said}")


def packets(film: Path) -> list[tuple[int, int | None, int | None, bytes]]:
    """Every packet of a film: of which stream, when, what. Two films may differ in whose they are:
    the run's name is in the comment."""
    with av.open(str(film)) as file:
        return [(p.stream_index, p.pts, p.dts, bytes(p)) for p in file.demux() if p.size]


def words(nodes: RayNodes, film: Path, store: Path) -> tuple[str | Path, ...]:
    """With the engine that a render on this machine chooses by itself."""
    recipe = ("--stage", "hold", "--stage", "upscale:precision=fast")
    where = ("--ray", nodes.address, "--chunk", "1", "--json")
    return ("-o", film, "--store", store, *recipe, *where)


def test_a_render_on_a_cluster_that_another_one_holds_waits_for_room(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tiny_render: Any, tmp_path: Path
) -> None:
    """Of more workers than fit too, those work that find room."""
    films = [tmp_path / "one.mkv", tmp_path / "two.mkv"]
    first, second = (
        douga.start(
            "render", tiny_film, "--workers", "9", *words(ray_cluster, film, film.with_suffix(""))
        )
        for film in films
    )
    for process in (first, second):
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert [packets(film) == packets(tiny_render.film) for film in films] == [True, True]


def test_a_second_render_gets_its_share_of_a_farm_that_is_full(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    """The first lets a worker go after the chunk in hand; none of its chunks is made twice."""
    farm = {"DOUGA_FARM": (tmp_path / "farm").as_uri()}
    films = [tmp_path / "one.mkv", tmp_path / "two.mkv"]
    stores = [tmp_path / "one", tmp_path / "two"]
    long = ("--stage", "interpolate:factor=8")
    where = words(ray_cluster, films[0], stores[0])
    first = douga.start("render", tiny_film, *where, *long, **farm)
    said = wait_for_phase(first, "rendering")
    second = douga.start("render", tiny_film, *words(ray_cluster, films[1], stores[1]), **farm)
    while second.poll() is None and not list(stores[1].glob("frames/*/*")):
        time.sleep(0.1)
    assert first.poll() is None, "the first was to be at work still"
    for process in (second, first):
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, said + err
    assert list((tmp_path / "farm").glob("live/*")) == []


def test_a_node_that_joins_works(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    film, store = tmp_path / "film.mkv", tmp_path / "store"
    process = douga.start(
        "render", tiny_film, *words(ray_cluster, film, store), "--stage", "interpolate:factor=8"
    )
    said = wait_for_phase(process, "rendering")
    third = ray_cluster.add()
    seen = 0
    while process.poll() is None and not seen:
        seen = len(workers_on(third))
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert seen == 1, said + err
    ray_cluster.kill(third)


def test_a_node_lost_in_the_middle_changes_nothing(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tiny_render: Any, tmp_path: Path
) -> None:
    """The workers are spread over the three nodes when one of them dies, and at any number of
    workers and frames in a chunk the film is the one that this machine makes by itself."""
    film, store = tmp_path / "film.mkv", tmp_path / "store"
    third = ray_cluster.add()
    process = douga.start("render", tiny_film, *words(ray_cluster, film, store))
    said = wait_for_phase(process, "rendering")
    assert [len(workers_on(node)) for node in ray_cluster.nodes()] == [1, 1, 1]
    ray_cluster.kill(third)
    stored = len(list(store.glob("frames/*/*")))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, said + err
    assert stored < 48, "the node was to die before all was done"
    assert packets(film) == packets(tiny_render.film)

    alone = douga(
        "render",
        tiny_film,
        "--workers",
        "1",
        *words(ray_cluster, tmp_path / "1.mkv", tmp_path / "1"),
    )
    assert alone.code == 0, alone.err
    assert alone.document["chunks_computed"] == 48
    assert packets(tmp_path / "1.mkv") == packets(film)


def test_a_machine_without_a_node_of_the_cluster_can_drive_it(
    ray_cluster: RayNodes, tiny_film: Path, tiny_render: Any, tmp_path: Path
) -> None:
    """Among its own processes only, the command finds no node of the cluster here."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("needs a process namespace of its own (root on Linux)")
    film = tmp_path / "film.mkv"
    command: list[str | Path] = [*apart, sys.executable, "-m", "flows.cli", "render", tiny_film]
    done = subprocess.run(
        [*command, *words(ray_cluster, film, tmp_path / "store"), "--workers", "1"],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "DOUGA_RAY_OPEN": "1"},  # these nodes want no token
    )
    assert done.returncode == 0, done.stderr
    assert packets(film) == packets(tiny_render.film)


def test_a_cluster_outlives_its_renders(ray_cluster: RayNodes) -> None:
    """Nothing of a render stays on the nodes that it joined."""
    assert [workers_on(node) for node in ray_cluster.nodes()] == [[], []]
