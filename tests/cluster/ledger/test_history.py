"""Questions to the ledger: the right rows, all columns, and no more read than needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.errors import StoreError
from cluster.ledger.compaction import compact
from cluster.ledger.history import read_history, read_ledger, row_groups
from cluster.ledger.parts import FIRST_COLUMNS, cache_folder
from cluster.ledger.receipts import SCHEMA, Receipt, append_receipts, to_parquet
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.folder import FolderStore
from cluster.store.open import open_store

FIRST = datetime(2026, 3, 1, 22, tzinfo=UTC)


def receipt(day: int, **more: Any) -> Receipt:
    at = FIRST + timedelta(days=day)
    plain = Receipt(
        run=f"run-{day}",
        episode="ep01",
        shot="sh010",
        stage="upscale",
        key=f"{day:040x}",
        start=0,
        end=24,
        device="cpu",
        compute_s=float(day),
        finished_at=at.isoformat(timespec="milliseconds"),
        frames=24,
    )
    return replace(plain, **more)


def fill(store: Store, days: int) -> list[Receipt]:
    made = [receipt(day) for day in range(days)]
    for each in made:
        append_receipts(store, each.run, [each])
    return made


@pytest.fixture
def distant(moto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty S3 store, and a home of its own for copies of what it holds."""
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield open_store(f"s3://{moto.bucket()}/{secrets.token_hex(6)}")
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    found: Store = request.getfixturevalue("distant")
    return found


def test_only_what_was_finished_in_time_is_read(store: Store) -> None:
    made = fill(store, 5)
    found = read_history(store, since=FIRST + timedelta(days=1), until=FIRST + timedelta(days=3))
    assert sorted(found["run"].to_pylist()) == ["run-1", "run-2"]
    naive = (FIRST + timedelta(days=4)).replace(tzinfo=None)
    assert read_history(store, since=naive).to_pylist() == [asdict(made[4])]


@pytest.mark.parametrize(
    ("name", "value"),
    [("run", "b"), ("episode", "ep02"), ("shot", "sh020"), ("stage", "encode"), ("device", "cuda")],
)
def test_only_what_is_named_is_read(store: Store, name: str, value: str) -> None:
    other = receipt(1, **{name: value})
    for each in (receipt(0), other):
        append_receipts(store, each.run, [each])
    ask: Callable[..., pa.Table] = read_history
    assert ask(store, **{name: value}).to_pylist() == [asdict(other)]
    assert ask(store, **{name: "none"}).num_rows == 0


def test_columns_named_come_alone_and_in_their_order(store: Store) -> None:
    fill(store, 2)
    found = read_history(store, columns=["stage", "compute_s"], run="run-1")
    assert found.column_names == ["stage", "compute_s"]
    assert found.to_pylist() == [{"stage": "upscale", "compute_s": 1.0}]
    with pytest.raises(StoreError, match=r"no column 'price'"):
        read_history(store, columns=["price"])


def test_empty_ledger_has_no_rows_but_its_columns(store: Store) -> None:
    assert read_history(store).column_names == SCHEMA.names
    assert read_history(store, columns=["run"]).num_rows == 0


def test_objects_of_an_older_douga_are_read_beside_new_ones(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    put_old(store, receipt(0, width=640))
    append_receipts(store, "run-1", [receipt(1, width=1920)])
    found = sorted(read_history(store).to_pylist(), key=lambda row: row["run"])
    assert [row["width"] for row in found] == [0, 1920]
    assert found[0]["kind"] == found[0]["digest"] == ""
    assert found[0]["frames"] == 24, "what its span holds"
    assert None not in found[0].values()
    assert [each.run for each in read_ledger(store)] == ["run-0", "run-1"]


def put_old(store: Store, old: Receipt) -> None:
    """As the first douga wrote it."""
    columns = [name for name in SCHEMA.names if name in FIRST_COLUMNS]
    table = pa.Table.from_pylist([asdict(old)], schema=SCHEMA).select(columns)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    store.put(f"ledger/{old.run}/old.parquet", sink.getvalue().to_pybytes())


def test_table_of_something_else_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStore(tmp_path)
    fill(store, 2)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"run": ["a"], "wages": [1]}), sink)
    store.put("ledger/extra/wages.parquet", sink.getvalue().to_pybytes())
    assert read_history(store).num_rows == 2
    assert "ledger/extra/wages.parquet" in caplog.text


def test_object_of_a_newer_douga_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStore(tmp_path)
    fill(store, 2)
    table = pa.Table.from_pylist([asdict(receipt(0))], schema=SCHEMA)
    newer = to_parquet(table, metadata={"douga.schema": "99"})
    store.put("ledger/run-9/newer.parquet", newer)
    assert read_history(store).num_rows == 2
    assert "ledger/run-9/newer.parquet: made by a newer douga" in caplog.text


def test_flipped_bit_in_an_object_is_named_and_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStore(tmp_path)
    fill(store, 2)
    receipts = [receipt(0, shot=f"sh{number:03}") for number in range(2000)]
    name = append_receipts(store, "run-0", receipts)
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    data[1000] ^= 4
    path.write_bytes(data)
    assert read_history(store).num_rows == 2
    assert name in caplog.text


def test_question_about_few_days_reads_few_row_groups(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    fill(store, 90)
    compact(store)
    assert row_groups(store) == 3
    assert row_groups(store, since=FIRST + timedelta(days=80)) == 1
    assert row_groups(store, run="run-3") == 1


def test_objects_of_a_distant_store_are_fetched_once(
    distant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(distant, 3)
    assert read_history(distant).num_rows == 3
    fetched: list[str] = []
    get_file = type(distant).get_file

    def counted(store: Store, name: str, path: Path) -> None:
        fetched.append(name)
        get_file(store, name, path)

    monkeypatch.setattr(type(distant), "get_file", counted)
    last = append_receipts(distant, "run-7", [receipt(7)])
    assert read_history(distant).num_rows == 4
    assert fetched == [last]
    compact(distant, grace=timedelta(0))
    assert read_history(distant).num_rows == 4
    copies = list(cache_folder(distant).rglob("*.parquet"))
    assert len(copies) == 1, "copies go with their objects"
    whole = copies[0].read_bytes()
    copies[0].write_bytes(whole[:-9])
    assert read_history(distant).num_rows == 4, "a copy cut short is fetched again"
    copies[0].write_bytes(whole.replace(b"run-7", b"run-8"))
    assert read_history(distant).num_rows == 4, "a copy that was damaged is fetched again"
