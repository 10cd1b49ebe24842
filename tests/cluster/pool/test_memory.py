"""Thousands of calls through a pool leave neither the driver nor the actors any larger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.connect.connect import join_cluster
from cluster.connect.nodes import Cluster
from cluster.pool.pool import Pool
from cluster.pool.spec import PoolSpec

CALLS = 3_000
EVERY = 100


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    here = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, before]))
    try:
        with join_cluster(workers=2) as cluster:
            yield cluster
    finally:
        os.environ["PYTHONPATH"] = before


def resident_kib(pid: int) -> int:
    """Resident memory of a process (proc(5), status)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_calls_leave_nothing_in_memory(cluster: Cluster, tmp_path: Path) -> None:
    spec = PoolSpec(handler="handler:Handler", config=str(tmp_path), workers=2)
    with Pool(spec, cluster) as pool:
        pids = [os.getpid(), *pool.pids()]
        resident: list[list[int]] = []
        for at in range(0, CALLS, EVERY):
            batch = [pool.submit("fit", at + number, group=str(at)) for number in range(EVERY)]
            assert [future.result(timeout=60) for future in batch] == list(range(at, at + EVERY))
            resident.append([resident_kib(pid) for pid in pids])
    print("resident KiB of driver and actors:", resident)
    for each in resident[1:]:
        assert all(now <= 1.05 * then for now, then in zip(each, resident[0], strict=True)), (
            resident
        )
