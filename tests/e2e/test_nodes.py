"""`douga worker`: a machine joins a farm, is lent by its owner, leaves nothing of Ray behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.node.records import leave, nodes_here, nodes_out, read_out
from cluster.store.open import open_store
from tests.servers.ray_nodes import NOTICED_WITHIN_S, RayNodes

ENDS_WITHIN_S = 10
LOGINCTL = """#!/bin/sh
case $1 in
list-sessions) echo "2 1000 ann seat0" ;;
*) cat {told} ;;
esac
"""
AT_WORK = "Class=user\nType=wayland\nState=active\nIdleHint=no\nIdleSinceHint=1700000000000000\n"
GONE = "Class=user\nType=wayland\nState=active\nIdleHint=yes\nIdleSinceHint=1700000000000000\n"


def until(true: Callable[[], Any], what: str) -> Any:
    """What is true, as soon as it is."""
    limit = time.monotonic() + NOTICED_WITHIN_S
    while time.monotonic() < limit:
        if found := true():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited for {what}")


def labels_of(nodes: RayNodes, name: str) -> dict[str, str]:
    """The labels of a living node, by its name in Ray; {} where there is none."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    known = GcsClient(address=nodes.address).get_all_node_info(timeout=10).values()
    living = [dict(info.labels) for info in known if info.state == 0]  # ALIVE
    return next((each for each in living if each.get("douga/name") == name), {})


@contextmanager
def joined(
    douga: Any, nodes: RayNodes, *words: str, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """`douga worker` for the length of the block; then it must have ended, however it was ended."""
    more = {"DOUGA_RAY_OPEN": "1", **more}  # the cluster of these tests has no token
    process = douga.start("worker", "--join", nodes.address, "--workers", "1", *words, **more)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def left_of(name: str) -> list[str]:
    """Processes that Ray started for a node of this name."""
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"--node-name={name}" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_machine_joins_with_what_it_has_and_leaves_nothing(
    ray_cluster: RayNodes, douga: Any, tmp_path: Path, number: int
) -> None:
    farm = (tmp_path / "farm").as_uri()
    name = f"ws{number}"
    words = ("--name", name, "--tag", "a6000", "--tag", "workstation", "--licence", "nuke=2")
    with joined(douga, ray_cluster, *words, DOUGA_FARM=farm) as process:
        labels = until(lambda: labels_of(ray_cluster, name), "its labels")
        assert labels["douga/tag-a6000"] == labels["douga/tag-workstation"] == "yes"
        here = until(lambda: _state(farm, name).startswith("on the farm"), "its own word")
        assert here
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - began < ENDS_WITHIN_S
    assert process.returncode == 130, err
    assert _state(farm, name) == "gone"
    assert left_of(name) == []
    until(lambda: not labels_of(ray_cluster, name), "Ray to see it gone")


def _state(farm: str, name: str) -> str:
    found = nodes_here(open_store(farm)).get(name)
    return found[0].state if found else ""


def test_a_killed_command_takes_its_node_along(
    ray_cluster: RayNodes, douga: Any, tmp_path: Path
) -> None:
    with joined(douga, ray_cluster, "--name", "killed") as process:
        until(lambda: labels_of(ray_cluster, "killed"), "it to join")
        process.kill()
        until(lambda: not left_of("killed"), "its processes to end")
    until(lambda: not labels_of(ray_cluster, "killed"), "Ray to see it gone")


def test_a_workstation_is_lent_while_its_owner_is_away(
    ray_cluster: RayNodes, douga: Any, tmp_path: Path
) -> None:
    farm, told = (tmp_path / "farm").as_uri(), tmp_path / "told"
    program = tmp_path / "bin" / "loginctl"
    program.parent.mkdir()
    program.write_text(LOGINCTL.format(told=told))
    program.chmod(0o755)
    told.write_text(AT_WORK)
    more = {"DOUGA_FARM": farm, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    with joined(douga, ray_cluster, "--name", "lent", "--when-idle", "10m", **more):
        until(lambda: "lent" in nodes_out(open_store(farm)), "it to say that its owner is there")
        assert not labels_of(ray_cluster, "lent")
        told.write_text(GONE)
        until(lambda: labels_of(ray_cluster, "lent"), "it to join")
        assert nodes_out(open_store(farm)) == {}
        told.write_text(AT_WORK)
        until(lambda: "lent" in nodes_out(open_store(farm)), "it to ask renders to leave")
        until(lambda: not labels_of(ray_cluster, "lent"), "it to leave")


def test_a_cluster_that_anybody_may_join_is_refused(ray_cluster: RayNodes, douga: Any) -> None:
    ended = douga("worker", "--join", ray_cluster.address, DOUGA_RAY_OPEN="0")
    assert ended.code == 3
    assert "RAY_AUTH_MODE=token" in ended.err


def test_a_spot_machine_sleeps_when_told_and_heeds_its_notice(
    ray_cluster: RayNodes, douga: Any, tmp_path: Path
) -> None:
    """What one that was killed said of itself is forgotten when the next one joins."""
    farm, notice, slept = (tmp_path / "farm").as_uri(), tmp_path / "notice", tmp_path / "slept"
    store = open_store(farm)
    leave(store, "spot1", why="killed at its worst moment")
    words = ("--name", "spot1", "--tag", "spot", "--sleep-command", f"touch '{slept}'")
    more = {"DOUGA_FARM": farm, "DOUGA_SPOT_NOTICE": str(notice)}
    with joined(douga, ray_cluster, *words, **more):
        until(lambda: labels_of(ray_cluster, "spot1"), "it to join")
        assert nodes_out(store) == {}
        assert douga("farm", "sleep", "spot1", DOUGA_FARM=farm).code == 0
        until(slept.exists, "its sleep")
        assert not labels_of(ray_cluster, "spot1")
        assert douga("farm", "undrain", "spot1", DOUGA_FARM=farm).code == 0
        until(lambda: labels_of(ray_cluster, "spot1"), "it to come back")
        notice.touch()
        until(lambda: not labels_of(ray_cluster, "spot1"), "it to leave")
        assert str(notice) in read_out(store, nodes_out(store)["spot1"]).why


def test_renders_leave_a_node_that_is_drained_and_come_back(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    """After the chunks in hand: none is lost, and none is tried twice."""
    farm = {"DOUGA_FARM": (tmp_path / "farm").as_uri()}

    def told() -> dict[str, Any]:
        ended = douga("farm", "--ray", ray_cluster.address, "--json", **farm)
        return {node["name"]: node for node in ended.document["nodes"]}

    with joined(douga, ray_cluster, "--name", "ws3", **farm):
        until(lambda: labels_of(ray_cluster, "ws3"), "it to join")
        words = ("-o", tmp_path / "film.mkv", "--store", tmp_path / "store", "--chunk", "1")
        recipe = ("--stage", "hold", "--stage", "upscale", "--stage", "interpolate:factor=8")
        render = douga.start(
            "render", tiny_film, *words, *recipe, "--ray", ray_cluster.address, "--json", **farm
        )
        until(lambda: told()["ws3"]["doing"], "a worker on it")
        assert douga("farm", "drain", "ws3", "--why", "new disk", **farm).code == 0
        until(lambda: not told()["ws3"]["doing"], "the worker to leave")
        assert told()["ws3"]["out"]["why"] == "new disk"
        assert render.poll() is None, "the render was to be at work still"
        assert douga("farm", "undrain", "ws3", **farm).code == 0
        out, err = render.communicate(timeout=600)
    assert render.returncode == 0, err
    assert "new disk" in err
    assert json.loads(out)["retries"] == 0


def test_work_goes_where_what_it_needs_is(
    ray_cluster: RayNodes, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    """A tag that no node has at first, and the one licence of the site, which a node without work
    counts: the render waits, then one worker at a time does all of it, on the node with the tag."""
    farm = {"DOUGA_FARM": (tmp_path / "farm").as_uri()}
    episode = tmp_path / "ep01.yaml"
    needs = "{tag: a6000, licence: katana}"
    episode.write_text(
        f"source: {tiny_film}\nrecipe: [upscale, {{interpolate: {{factor: 3}}}}]\nneeds: {needs}\n"
    )
    words = ("-o", tmp_path / "film.mkv", "--store", tmp_path / "store", "--chunk", "2")
    counter = ray_cluster.add(num_cpus=0, resources={"licence:katana": 1})
    try:
        planned = douga("plan", episode, "--no-calibrate", "--ray", ray_cluster.address, "--json")
        assert "a6000" in planned.err
        assert all("licence katana" in shot["needs"][0] for shot in planned.document["shots"])
        render = douga.start(
            "render", episode, *words, "--ray", ray_cluster.address, "--json", **farm
        )
        said = ""
        while "no node has" not in said:
            assert render.stderr
            line = render.stderr.readline()
            assert line, said
            said += line
        seen: set[tuple[str, int]] = set()
        with joined(douga, ray_cluster, "--name", "ws4", "--tag", "a6000", **farm):
            while render.poll() is None:
                nodes = douga("farm", "--json", **farm).document["nodes"]
                seen |= {
                    (node["name"], each["workers"]) for node in nodes for each in node["doing"]
                }
            _, err = render.communicate(timeout=600)
        assert render.returncode == 0, said + err
        assert seen == {("ws4", 1)}
    finally:
        ray_cluster.kill(counter)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hours", "20:00-08:00"), "DOUGA_FARM"),
        (("--tag", "a 6000"), "--tag"),
        (("--licence", "nuke=many"), "--licence"),
        (("--name", "ws 3"), "--name"),
    ],
)
def test_what_was_typed_wrong_is_one_line(douga: Any, words: tuple[str, ...], said: str) -> None:
    ended = douga("worker", "--join", "127.0.0.1:9", *words)
    assert ended.code == 64
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_head_that_does_not_answer_is_one_line(douga: Any) -> None:
    ended = douga("worker", "--join", "127.0.0.1:9")
    assert ended.code == 1
    assert "127.0.0.1:9" in ended.err
