"""Three nodes of different resources, one of which the others do not hear of for half a minute."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos.conftest import Render
from tests.servers.namespaces import namespace, why_not
from tests.servers.ray_nodes import RayNodes, ray_nodes, workers_on

PARTED_S = 30.0
BEFORE = 8
"""Chunks computed when the node is parted from the rest."""


@pytest.fixture
def unlike(code: Any) -> Iterator[RayNodes]:
    """A node of one CPU and one of two."""
    with ray_nodes(1, code=code) as nodes:
        nodes.add(num_cpus=2, memory=3 << 30)
        yield nodes


@contextmanager
def by_cable(nodes: RayNodes) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A third node in a namespace of its own, its cable pulled."""
    if why := why_not():
        pytest.skip(f"{why}; the node is stopped instead, in the test beside this one")
    with namespace() as apart, nodes.add_in(apart, cpus=1):
        yield apart.part, apart.join


@contextmanager
def by_stopping(nodes: RayNodes) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A third node whose processes do nothing: no answer to anybody, connections stay open."""
    third = nodes.add(memory=2 << 30)
    (raylet,) = third.all_processes["raylet"]
    stopped: list[int] = []

    def part() -> None:
        assert workers_on(third), "the node was to have work"
        stopped.extend([raylet.process.pid, *children(raylet.process.pid)])
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    def join() -> None:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    yield part, join


def children(parent: int) -> list[int]:
    """The processes that a process started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, of in pairs if int(of) == parent]


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("parted", [by_cable, by_stopping])
def test_a_node_parted_for_half_a_minute_changes_nothing(
    parted: Any, unlike: RayNodes, render: Render, undisturbed: Render
) -> None:
    with parted(unlike) as (part, join):
        process = render.start("--ray", unlike.address)
        while process.poll() is None and len(render.computed()) < BEFORE:
            time.sleep(0.005)
        assert process.poll() is None, process.communicate()
        part()
        began = time.monotonic()
        left = len(undisturbed.computed()) - len(set(render.computed()))
        try:
            process.wait(timeout=PARTED_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            parted_s = time.monotonic() - began
            join()
        _, said = process.communicate(timeout=300)
    print(f"parted with {left} chunks to go for {parted_s:.0f} s\n{said}")
    assert process.returncode == 0, said
    assert left > 0
    assert render.content() == undisturbed.content()
