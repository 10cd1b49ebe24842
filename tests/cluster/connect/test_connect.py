"""A Ray that is kept for the next one who joins."""

from __future__ import annotations

import json
import subprocess
import sys

from cluster.settings import child_environment
from tests.conftest import ROOT

KEPT = """
import json
import ray
from cluster.connect.connect import join_cluster, kept_cluster

def address():
    with join_cluster(workers=1) as cluster:
        assert cluster.local
        return ray.get_runtime_context().gcs_address

with kept_cluster():
    first, second = address(), address()
    try:
        with join_cluster(workers=1):
            raise RuntimeError
    except RuntimeError:
        after_error = ray.is_initialized()
    third = address()
    kept = ray.is_initialized()
print(json.dumps([first, second, after_error, third, kept, ray.is_initialized()]))
"""


def test_a_kept_ray_serves_all_in_the_block_and_a_broken_one_nobody() -> None:
    environment = child_environment({"PYTHONPATH": str(ROOT)})
    environment.pop("DOUGA_RAY", None)
    done = subprocess.run(
        [sys.executable, "-c", KEPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, after_error, third, kept, afterwards = json.loads(done.stdout)
    assert first == second != third
    assert (after_error, kept, afterwards) == (False, True, False)
