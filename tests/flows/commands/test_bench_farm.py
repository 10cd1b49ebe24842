"""`douga bench farm`: a farm of sleeping workers, measured beside its limit."""

from __future__ import annotations

from tests.conftest import Douga


def test_a_farm_of_sleepers_is_measured_beside_its_limit(douga: Douga) -> None:
    done = douga("bench", "farm", "--workers", "2", "--workers", "3", "--shots", "2", "--json")
    assert done.code == 0, done.err
    document = done.document
    assert [farm["workers"] for farm in document["farms"]] == [2, 3]
    for farm in document["farms"]:
        assert farm["shots"] == 2 * farm["workers"]
        assert farm["calls"] > farm["shots"], "chunks and a segment each"
        assert 0 < farm["efficiency"] <= 1
        assert 0 < farm["limit"] <= 1
        assert farm["driver_ms_a_call"] > 0
