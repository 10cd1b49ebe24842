"""Receipts come back as they were written, in the order the work was finished."""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.ledger.history import read_ledger
from cluster.ledger.receipts import SCHEMA, Receipt, append_receipts
from cluster.store.folder import FolderStore

RECEIPT = Receipt(
    run="2026-run",
    episode="ep01",
    shot="sh010",
    stage="interpolate+upscale",
    key="ab" * 20,
    start=0,
    end=24,
    model="0f3c",
    device="cpu",
    worker="4711",
    node="farm-3",
    load_s=0.25,
    compute_s=12.5,
    store_s=0.125,
    bytes_in=1 << 33,
    bytes_out=10,
    retries=2,
    reused=True,
    finished_at="2026-05-01T20:00:00.000+00:00",
)


def test_receipt_round_trips_with_every_field(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    name = append_receipts(store, RECEIPT.run, [RECEIPT])
    assert read_ledger(store) == [RECEIPT]
    assert SCHEMA.names == [field.name for field in fields(Receipt)]
    assert pq.read_table(tmp_path / name)["compute_s"].to_pylist() == [12.5]


def test_receipts_come_in_the_order_they_were_finished(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    made = [
        replace(RECEIPT, start=i * 24, end=i * 24 + 24, finished_at=f"2026-05-01T20:00:0{i}Z")
        for i in range(6)
    ]
    append_receipts(store, RECEIPT.run, [made[4], made[1]])
    append_receipts(store, RECEIPT.run, [made[0], made[5]])
    append_receipts(store, RECEIPT.run, [made[2], made[3]])
    assert read_ledger(store, run=RECEIPT.run) == made


def test_receipts_are_found_by_run_episode_shot_and_stage(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    others: dict[str, Any] = {"run": "b", "episode": "ep02", "shot": "sh020", "stage": "encode"}
    changed = {name: replace(RECEIPT, **{name: value}) for name, value in others.items()}
    for receipt in (RECEIPT, *changed.values()):
        append_receipts(store, receipt.run, [receipt])
    for name, value in others.items():
        assert read_ledger(store, **{name: value}) == [changed[name]]
    assert len(read_ledger(store)) == 5
    assert read_ledger(store, run="none") == []


def test_run_whose_name_begins_another_is_kept_apart(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    append_receipts(store, "run-1", [replace(RECEIPT, run="run-1")])
    append_receipts(store, "run-10", [replace(RECEIPT, run="run-10")])
    assert [receipt.run for receipt in read_ledger(store, run="run-1")] == ["run-1"]


def test_writing_the_same_receipts_twice_counts_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    first = append_receipts(store, RECEIPT.run, [RECEIPT])
    assert append_receipts(store, RECEIPT.run, [RECEIPT]) == first
    assert read_ledger(store) == [RECEIPT]


def test_no_receipts_write_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert append_receipts(store, "run", []) == ""
    assert list(store.list()) == []


def test_foreign_file_in_the_ledger_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStore(tmp_path)
    append_receipts(store, RECEIPT.run, [RECEIPT])
    store.put("ledger/run/notes.parquet", b"not parquet")
    assert read_ledger(store) == [RECEIPT]
    assert "ledger/run/notes.parquet" in caplog.text


@settings(max_examples=25)
@given(
    receipt=st.builds(
        replace,
        st.just(RECEIPT),
        shot=st.text(st.characters(exclude_categories=["Cs"])),
        load_s=st.floats(allow_nan=False),
        bytes_in=st.integers(0, 2**63 - 1),
        reused=st.booleans(),
    )
)
def test_any_receipt_round_trips(receipt: Receipt) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        append_receipts(store, receipt.run, [receipt])
        assert read_ledger(store) == [receipt]
