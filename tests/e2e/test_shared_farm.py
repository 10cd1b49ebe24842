"""The scenes of `make bench-farm`, small: workers that sleep on a real Ray, real drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench_farm.scenes import SCENES, Measured, Size

SMALL = Size(
    workers=4,
    chunk_s=1.0,
    window_s=5.0,
    queued=24,
    queued_chunk_s=0.5,
    from_zero=16,
    node_cpus=2,
    idle_s=1.0,
)
DAY, QUEUE, FROM_ZERO = SCENES


@pytest.mark.parametrize(
    "scene",
    [
        DAY,
        pytest.param(QUEUE, marks=pytest.mark.nightly),
        pytest.param(FROM_ZERO, marks=pytest.mark.nightly),
    ],
)
def test_on_a_shared_farm_nothing_is_lost_or_made_twice(scene: str, tmp_path: Path) -> None:
    """How long things take is for the benchmark to say."""
    counted = [one for one in SCENES[scene](tmp_path / "farm", SMALL) if one.limit == 0]
    assert counted
    assert [one for one in counted if not one.is_met] == list[Measured]()
