"""Whatever is killed, the same command ends with the same film, and next to nothing is lost."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.chaos.conftest import Render
from tests.chaos.killer import KINDS, Farm, moment, wait_until
from tests.servers.ray_nodes import RayNodes

NIGHTLY = 10
"""Kills of each kind."""


@pytest.fixture
def farm(nodes: RayNodes, prefect_home: Any, request: pytest.FixtureRequest) -> Farm:
    return Farm(nodes, prefect_home, lambda: request.getfixturevalue("swift"))


IN_HAND = 2
"""Chunks that a worker may have computed and not stored: the one on its way to the store and, where
that takes longer than computing (seen on a loaded disk), the next."""


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code of a command, and what it said."""
    try:
        _, err = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running\n{process.communicate()[1]}") from None
    return process.returncode, err


@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        *((kind, 0) for kind in KINDS),
        *(
            pytest.param(kind, seed, marks=pytest.mark.chaos)
            for kind in KINDS
            for seed in range(1, NIGHTLY)
        ),
    ],
)
def test_a_kill_changes_nothing(
    kind: str, seed: int, farm: Farm, render: Render, undisturbed: Render
) -> None:
    expected = undisturbed.computed()
    when = moment(kind, seed, len(expected))
    with farm.victim(kind, f"{kind}{seed}", when) as victim:
        process = render.start(*victim.words, store=victim.store, **victim.more)
        done = wait_until(when, process, lambda: len(render.computed()))
        if kind in ("driver", "s3", "prefect") and process.poll() is not None:
            pytest.fail(f"the render ended before it was struck: {ended(process)}")
        struck = victim.kill(process)
        print(f"{when}: {struck} killed after {done} of {len(expected)} chunks")
        victim.mend()
        code, said = ended(process)
        print(said)
        runs = 1
        if code != 0 and victim.again:
            runs = 2
            again = render.start(*victim.words, store=victim.store, **victim.more)
            code, said = ended(again)
    print(f"runs: {runs}, computed again: {render.computed_again()}\n{said}")
    assert code == 0, said
    assert set(render.computed()) == set(expected)
    assert render.content() == undisturbed.content()
    assert render.computed_again() <= IN_HAND * victim.workers
