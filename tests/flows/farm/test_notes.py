"""The notes that lie beside a film."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.errors import EncodeError
from cluster.store.folder import FolderStore
from flows.farm.notes import LIST, gather_notes
from tasks.stages.stage import Note
from tasks.worker.item import notes_name
from tasks.worker.notes import pack_notes

SHOTS = ("sh010", "sh020")


def plan_of(*keys: str) -> Any:
    """A plan of a chunk per shot with these keys."""
    return SimpleNamespace(
        shots=[
            SimpleNamespace(
                shot=SimpleNamespace(id=shot), items=lambda key=key: [SimpleNamespace(key=key)]
            )
            for shot, key in zip(SHOTS, keys, strict=True)
        ]
    )


def keep(store: FolderStore, key: str, text: str) -> None:
    notes = [
        Note(name="frame_0001.png", data=text.encode()),
        Note(name="regions.yaml", data=f"- {text}\n".encode()),
    ]
    store.put(notes_name(key), pack_notes(notes))  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_notes_of_a_later_run_take_the_place_of_all_earlier_ones(tmp_path: Path) -> None:
    store, film = FolderStore(tmp_path / "store"), tmp_path / "out" / "ep.mkv"
    keep(store, "aa1", "first")
    keep(store, "bb1", "other")
    keep(store, "aa2", "second")
    gather_notes(store, plan_of("aa1", "bb1"), film)
    assert (tmp_path / "out/ep.notes/sh010/frame_0001.png").read_bytes() == b"first"
    gather_notes(store, plan_of("aa2", "none"), film)
    left = tree(tmp_path / "out")
    assert left["ep.notes/sh010/frame_0001.png"] == b"second"
    assert not any("sh020" in name for name in left)
    gather_notes(store, plan_of("none", "none"), film)
    assert tree(tmp_path / "out") == {}


def test_two_runs_at_once_leave_the_notes_of_one(tmp_path: Path) -> None:
    store, film = FolderStore(tmp_path / "store"), tmp_path / "ep.mkv"
    plans = []
    for number in range(8):
        keys = (f"aa{number}", f"bb{number}")
        for key in keys:
            keep(store, key, f"run {number}")
        plans.append(plan_of(*keys))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda plan: gather_notes(store, plan, film), plans * 5))
    left = tree(tmp_path / "ep.notes")
    (text,) = {data for name, data in left.items() if name.endswith(".png")}
    assert text in left[LIST]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_not_notes_is_never_replaced(tmp_path: Path) -> None:
    store, film = FolderStore(tmp_path / "store"), tmp_path / "ep.mkv"
    keep(store, "aa1", "first")
    keep(store, "bb1", "other")
    (tmp_path / "ep.notes").mkdir()
    (tmp_path / "ep.notes" / "mine.txt").write_text("do not touch")
    with pytest.raises(EncodeError, match="not empty"):
        gather_notes(store, plan_of("aa1", "bb1"), film)
    assert tree(tmp_path / "ep.notes") == {"mine.txt": b"do not touch"}
