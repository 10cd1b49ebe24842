"""Records: whatever happened to one, it is told in a line and costs only itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.store.base import NotStored
from cluster.store.folder import FolderStore
from cluster.store.records import (
    DamagedRecord,
    NewerRecord,
    read_if_whole,
    read_record,
    record_text,
    shape,
)

NAME = "things/a.json"


@dataclass(frozen=True, kw_only=True)
class Thing:
    name: str
    sizes: tuple[int, ...] = ()


DAMAGED = {
    "empty": b"",
    "cut": b'{"name": "a", "siz',
    "no JSON": b"\x00\x01\x02\xff",
    "a list": b"[1, 2]",
    "a text": b'"name"',
    "null": b"null",
    "without a field": b'{"sizes": [1]}',
    "another type": b'{"name": "a", "sizes": {"a": 1}}',
    "a schema that is none": b'{"schema": "new", "name": "a"}',
    "nested too deeply": b"[" * 100_000,
}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_one_line_with_its_name_and_the_remedy(
    store: FolderStore, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    store.put(NAME, text)
    with pytest.raises(DamagedRecord, match=rf"^file://.*{NAME}: .*douga store check .* --repair$"):
        read_record(store, NAME, shape(Thing))
    assert read_if_whole(store, NAME, shape(Thing), then="it is made again") is None
    assert NAME in caplog.text
    assert "it is made again" in caplog.text


def test_a_flipped_bit_is_damage_though_it_reads_well(store: FolderStore, tmp_path: Path) -> None:
    store.put(NAME, record_text({"name": "a"}).encode())
    (tmp_path / NAME).write_bytes(record_text({"name": "b"}).encode())
    with pytest.raises(DamagedRecord, match="store check"):
        read_record(store, NAME, shape(Thing))


def test_a_record_without_its_digest_is_to_be_adopted(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / NAME).write_bytes(b'{"name": "a"}')
    with pytest.raises(DamagedRecord, match="douga store adopt"):
        read_record(store, NAME, shape(Thing))


def test_a_newer_record_asks_for_an_update(store: FolderStore) -> None:
    store.put(NAME, b'{"schema": 99, "name": {"in": "a way of its own"}}')
    with pytest.raises(NewerRecord, match=rf"{NAME}: made by a newer douga .*update"):
        read_record(store, NAME, shape(Thing))


def test_records_say_their_schema_and_those_that_do_not_are_read(store: FolderStore) -> None:
    thing = Thing(name="a", sizes=(1, 2))
    text = record_text({"name": "a", "sizes": [1, 2]})
    assert json.loads(text)["schema"] == 1
    store.put(NAME, text.encode())
    store.put("things/old.json", b'{"name": "a", "sizes": [1, 2], "gone": true}')
    assert read_record(store, NAME, shape(Thing)) == thing
    assert read_record(store, "things/old.json", shape(Thing)) == thing


def test_what_is_not_there_is_no_damage(store: FolderStore) -> None:
    with pytest.raises(NotStored):
        read_record(store, NAME, shape(Thing))
    assert read_if_whole(store, NAME, shape(Thing), then="") is None
