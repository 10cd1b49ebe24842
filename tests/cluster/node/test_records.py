"""What a farm's store says of its nodes: who is out, who said so first, what one is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.node.records import (
    Here,
    come_back,
    farm_store,
    leave,
    name_of,
    nodes_here,
    nodes_out,
    order,
    read_out,
    take_back,
)
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import record_text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "farm").as_uri())


def test_a_node_is_out_from_an_order_until_it_is_taken_back(store: Store) -> None:
    assert nodes_out(store) == {}
    order(store, "ws3", "drain", why="new disk")
    assert list(nodes_out(store)) == ["ws3"]
    assert nodes_out(store, "ws") == {}
    assert "new disk" in str(read_out(store, nodes_out(store)["ws3"]))
    assert [out.kind for out in take_back(store, "ws3")] == ["drain"]
    assert nodes_out(store) == {}
    assert take_back(store, "ws3") == []


def test_who_drained_a_node_first_stays_on_record(store: Store) -> None:
    first = order(store, "ws3", "drain", why="new disk")
    assert order(store, "ws3", "drain", why="so do I") == first
    order(store, "ws3", "quarantine", why="torn frames")
    assert {out.why for out in take_back(store, "ws3")} == {"new disk", "torn frames"}


def test_a_node_s_own_word_and_a_person_s_do_not_touch(store: Store) -> None:
    leave(store, "ws3", why="its owner is there")
    assert "owner" in str(read_out(store, nodes_out(store)["ws3"]))
    order(store, "ws3", "drain", why="new disk")
    come_back(store, "ws3")
    assert "new disk" in str(read_out(store, nodes_out(store)["ws3"]))
    leave(store, "ws3", why="its owner is there")
    take_back(store, "ws3")
    assert list(nodes_out(store)) == ["ws3"]


def test_a_damaged_word_keeps_its_node_out(store: Store) -> None:
    store.put(name_of("ws3", "drain"), b"{")
    assert read_out(store, nodes_out(store)["ws3"]).kind == "drain"


def test_a_node_tells_of_itself(store: Store) -> None:
    here = Here(name="ws3", host="ws3.studio", state="on the farm", licences={"nuke": 2})
    store.put(name_of("ws3", "here"), record_text(asdict(here)).encode())
    assert nodes_here(store)["ws3"][0] == here
    assert nodes_out(store) == {}


def test_without_a_farm_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOUGA_FARM", raising=False)
    settings.cache_clear()
    with pytest.raises(UsageError) as caught:
        farm_store()
    assert caught.value.where == "DOUGA_FARM"
