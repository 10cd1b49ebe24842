"""After a night, one object per month; whatever hinders it changes no outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.ledger.history import read_ledger
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.store.folder import FolderStore
from flows.nightly.compact_ledgers import compact_ledgers
from flows.progress import Silent


class Noting(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def fill(store: FolderStore) -> None:
    at = datetime(2024, 11, 2, tzinfo=UTC).isoformat(timespec="milliseconds")
    for number in range(3):
        receipt = Receipt(
            run="r",
            episode="e",
            shot=f"sh{number}",
            stage="s",
            key="k",
            start=0,
            end=1,
            finished_at=at,
        )
        append_receipts(store, "r", [receipt])


def test_every_ledger_becomes_one_object_and_a_bad_object_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = FolderStore(tmp_path / "good"), FolderStore(tmp_path / "bad")
    fill(good)
    fill(bad)
    bad.put("ledger/r/notes.parquet", b"no ledger")
    reporter = Noting()
    compact_ledgers([bad, good, FolderStore(tmp_path / "good")], reporter)
    assert len(list(good.list("ledger/"))) == 1
    assert len(read_ledger(good)) == 3
    assert len(read_ledger(bad)) == 3
    assert len(list(bad.list("ledger/"))) == 2
    assert "ledger/r/notes.parquet" in caplog.text
    assert reporter.notes == []
