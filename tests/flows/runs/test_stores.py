"""Every episode of every store that this home has rendered into, by its newest run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import settings
from cluster.store.open import open_store
from flows.runs.record import no_result, record_result, run_record
from flows.runs.result import ShotLine
from flows.runs.status import runs_document
from flows.runs.stores import known_stores, list_episodes, remember_store

OLD, NEW = "20260301T220000000-ab12", "20260302T220000000-ab12"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def ended(url: str, episode: str, run: str, *states: str) -> None:
    """A run of an episode whose shots ended so."""
    lines = tuple(
        ShotLine(
            id=f"sh{10 * at:03d}",
            source=0,
            start=24 * at,
            end=24 * at + 24,
            frames=24,
            chunks=1,
            computed=1,
            reused=0,
            state=state,
        )
        for at, state in enumerate(states, 1)
    )
    store = open_store(url)
    with run_record(store, episode, run, command="douga render ep.yaml") as record:
        record.begin(shots=len(lines))
        result = no_result(store.url, episode, run)
        record_result(record, replace(result, shots=lines), command="douga render ep.yaml")


def test_episodes_of_all_known_stores_are_listed_by_their_newest_run(tmp_path: Path) -> None:
    """`douga status` listed none: each episode has its own store."""
    first, second = ((tmp_path / name).as_uri() for name in ("one", "two"))
    ended(first, "ep01", OLD, "failed", "rendered")
    ended(first, "ep01", NEW, "stored", "rendered")
    ended(second, "ep02", OLD, "failed", "rendered")
    for url in (first, second, first):
        remember_store(url)
    lines = {line.episode: line for line in list_episodes(known_stores())}
    assert (lines["ep01"].run, lines["ep01"].finished, lines["ep01"].shots) == (NEW, 2, 2)
    assert (lines["ep02"].state, lines["ep02"].finished, lines["ep02"].store) == (
        "failed",
        1,
        second,
    )
    shown = runs_document()
    assert {each["episode"] for each in shown["episodes"]} == {"ep01", "ep02"}
    assert {each["episode"] for each in runs_document(second)["episodes"]} == {"ep02"}


def test_a_store_that_is_gone_or_unreadable_leaves_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = (tmp_path / "good").as_uri()
    ended(good, "ep01", OLD, "rendered")
    (tmp_path / "file").write_text("no folder")
    urls = [(tmp_path / "gone").as_uri(), "nowhere://x", good]
    assert [line.episode for line in list_episodes(urls)] == ["ep01"]
    assert "nowhere" in caplog.text
