"""How much a plan asks of the store and of the machine, however many shots there are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.store.base import Store
from flows.changes import compare
from flows.changes import fingerprint as fingerprints
from flows.commands.tables.plan import plan_document
from flows.forecast import forecast
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request

SHOTS = 48


class Counting:
    """A store that counts what is asked of it, and takes no puts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str = "") -> Iterator[Any]:
        self.asked["list"] += 1
        return self._store.list(prefix)

    def has(self, names: Any) -> set[str]:
        self.asked["has"] += 1
        return self._store.has(names)

    def get(self, name: str) -> bytes:
        self.asked[f"get {name.partition('/')[0]}"] += 1
        return self._store.get(name)

    def put(self, name: str, *_: Any, **__: Any) -> None:
        pytest.fail(f"a plan puts {name}")


def planned(film: Path, folder: Path, **more: Any) -> Prepared:
    """A shot for every frame."""
    spec = folder / "ep.yaml"
    cuts = list(range(1, SHOTS))
    spec.write_text(f"source: {film}\nname: ep\ncut: {cuts}\nstore: {folder / 'store'}\n")
    return prepare(make_request(str(spec), output=str(folder / "f.mkv"), **more), Silent())


def finish(prepared: Prepared) -> None:
    """Everything stored as if it were rendered, with a manifest for each shot."""
    from flows.changes.manifest import write_missing_manifests

    for name in prepared.plan.names():
        prepared.store.put(name, b"as if rendered")
    write_missing_manifests(prepared.store, prepared.plan.with_stored(set(prepared.plan.names())))


def ask(prepared: Prepared) -> tuple[dict[str, Any], Counter[str]]:
    """The plan's document, and what it took of the store beyond `prepare`."""
    store = Counting(prepared.store)
    watched = replace(prepared, store=store)  # type: ignore[arg-type]
    expected = forecast(watched, calibrate=False)
    return plan_document(watched, expected=expected), store.asked


def test_a_finished_episode_costs_one_listing(tiny_film: Path, tmp_path: Path) -> None:
    finish(planned(tiny_film, tmp_path))
    document, asked = ask(planned(tiny_film, tmp_path))
    assert {shot["reason"] for shot in document["shots"]} == {"stored"}
    assert asked == Counter({"list": 1})


def test_only_manifests_of_changed_shots_are_read(
    tiny_film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only those shots' fingerprints are made; the rest is listings."""
    finish(planned(tiny_film, tmp_path))
    prepared = planned(tiny_film, tmp_path)
    for shot in prepared.plan.shots[:3]:
        for name in shot.names():
            prepared.store.delete(name)
    made: list[str] = []
    real = fingerprints.fingerprint

    def noted(shot: Any) -> Any:
        made.append(shot.shot.id)
        return real(shot)

    monkeypatch.setattr(compare, "fingerprint", noted)
    document, asked = ask(prepare(prepared.request, Silent()))
    assert asked["get shots"] == 3
    assert made == ["sh010", "sh020", "sh030"]
    assert asked["list"] <= 5
    assert asked["has"] == 0
    whys = [shot["why"] for shot in document["shots"]]
    assert whys == [["gone from the store"]] * 3 + [["stored"]] * (SHOTS - 3)


def test_the_document_names_cost_and_time(tiny_film: Path, tmp_path: Path) -> None:
    finish(planned(tiny_film, tmp_path))
    document, _ = ask(planned(tiny_film, tmp_path))
    totals = {
        *("gpu_hours", "cpu_hours", "bytes_put", "money", "currency"),
        *("finish_p50_s", "finish_p90_s", "finish_p50_at", "finish_p90_at", "basis", "based_on"),
    }
    assert totals <= set(document)
    assert document["finish_p90_s"] == 0
    other, _ = ask(planned(tiny_film, tmp_path, stages=["hold", "upscale:scale=3"]))
    assert {*map(tuple, (shot["why"] for shot in other["shots"]))} == {("upscale.scale 2 → 3",)}
    assert other["finish_p50_s"] is None, "nothing is known of it, nothing was tried"
    assert other["shots"][0]["to_make"][0]["why"] == ["upscale.scale 2 → 3"]
    json.dumps(other)
