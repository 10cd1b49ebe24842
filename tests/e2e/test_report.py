"""What a real render leaves in the ledger, and what `douga report` says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cluster.ledger.history import read_history
from cluster.store.folder import FolderStore
from cluster.store.open import open_store
from tasks.worker.item import chunk_name, segment_name
from tests.conftest import Douga, Rendered


@pytest.fixture
def store(tiny_render: Rendered, tmp_path: Path) -> FolderStore:
    """A copy of the store as one render has left it, without what other tests did there since."""
    rendered: Any = open_store(tiny_render.store)
    shutil.copytree(rendered.root, tmp_path / "store")
    store = FolderStore(tmp_path / "store")
    for place in ("runs/", "ledger/"):
        for kept in list(store.list(place)):
            if tiny_render.ended.document["run"] not in kept.name:
                store.delete(kept.name)
    return store


def test_receipts_name_what_was_stored(store: FolderStore) -> None:
    receipts = read_history(store).to_pylist()
    assert {row["stage"] == "encode" for row in receipts} == {True, False}
    for row in receipts:
        name = (segment_name if row["stage"] == "encode" else chunk_name)(row["key"])
        (digest,) = (store.root / ".digests" / name).parent.glob(f"{Path(name).name}.*")
        assert digest.name.removeprefix(f"{Path(name).name}.") == row["digest"]
        assert row["frames"] == row["end"] - row["start"] > 0
        assert (row["width"], row["height"]) >= (64, 48)
        assert row["threads"] >= 1
        assert row["began_at"] <= row["finished_at"]
        assert row["kind"]


def test_report_knows_what_was_rendered(store: FolderStore, tmp_path: Path, douga: Douga) -> None:
    page = tmp_path / "deep" / "report.html"
    page.parent.mkdir()
    prices: dict[str, Any] = {"DOUGA_CPU_HOUR_PRICE": "36", "DOUGA_CURRENCY": "JPY"}
    ended = douga("report", "--store", store.url, "-o", page, "--json", **prices)
    assert ended.code == 0, ended.err
    totals = ended.document["totals"]
    assert totals["film_minutes"] == pytest.approx(2 / 60)
    assert (totals["runs"], totals["shots"], totals["cache_hit_rate"]) == (1, 2, 0.0)
    assert totals["chunks_computed"] == totals["items"] - 2, "two segments besides"
    assert totals["per_film_minute"]["money"] == pytest.approx(totals["cost"]["money"] * 30)
    assert totals["cost"]["money"] == pytest.approx(36 * totals["cost"]["cpu_hours"]) != 0
    assert 0 <= totals["cpu_idle_share"] <= 1
    assert totals["gpu_idle_share"] is None
    assert "JPY" in page.read_text()

    table = douga("report", "--store", store.url, "--since", "1d")
    assert table.code == 0, table.err
    assert "retakes per shot" in table.out
    assert max(map(len, table.out.splitlines()[1:])) <= 100


def test_report_of_a_compacted_ledger_is_the_same(store: FolderStore, douga: Douga) -> None:
    def figures() -> Any:
        said = douga("report", "--store", store.url, "--since", "all", "--json").out
        document = json.loads(said, parse_float=lambda number: round(float(number), 9))
        return {name: document[name] for name in ("totals", "episodes", "stages", "nodes")}

    before = figures()
    count = len(list(store.list("ledger/")))
    would = douga("ledger", "compact", "--store", store.url, "--dry-run", "--json").document
    assert len(list(store.list("ledger/"))) == count > 1
    did = douga("ledger", "compact", "--store", store.url, "--json").document
    assert would["objects_after"] == did["objects_after"] == 1
    assert len(list(store.list("ledger/"))) == 1
    assert figures() == before


def test_time_that_is_none_is_a_usage_error(douga: Douga, tmp_path: Path) -> None:
    ended = douga("report", "--since", "yesterday", "--store", tmp_path)
    assert ended.code == 64
    assert ended.err.startswith("douga: --since: expected 30d")
    assert ended.out == ""


def test_page_that_cannot_be_written_is_one_line(douga: Douga, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    page = tmp_path / "file" / "page.html"
    ended = douga("report", "--store", tmp_path / "store", "-o", page)
    assert ended.code == 1
    assert "name another place with -o" in ended.err
    assert len(ended.err.splitlines()) == 1
