"""`douga nightly accept` as a script types it, and `--timeout` of a night."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.errors import UsageError
from cluster.store.open import open_store
from flows.commands.nightly import nightly
from flows.runs.night import Night, NightEpisode
from flows.runs.nights import Past
from flows.runs.outcome import Outcome
from flows.runs.record import Record


@pytest.fixture
def store(tmp_path: Path) -> str:
    opened = open_store(str(tmp_path / "store"))
    episodes = tuple(
        NightEpisode(episode=name, show="main", state=Outcome.DONE) for name in ("a", "b")
    )
    night = Night(nightly="demo", night="n1", began_at="", ended_at="", episodes=episodes)
    with Record(opened, "nights/demo/n1") as record:
        record.begin()
        record.ended(night.to_json(), state="done", exit_code=0)
    return opened.url


def accept(store: str, *more: str) -> Any:
    return CliRunner().invoke(nightly, ["accept", "demo", "--store", store, *more])


def accepted(store: str) -> list[tuple[str, ...]]:
    (night,) = Past(open_store(store), "demo")
    return [each.shots for each in night.accepted]


@pytest.mark.parametrize("shots", ["", " ", ",", " , "])
def test_shots_that_name_nothing_do_not_accept_the_whole_night(store: str, shots: str) -> None:
    came = accept(store, "--shots", shots)
    assert isinstance(came.exception, UsageError)
    assert accepted(store) == []


def test_spaces_around_names_are_no_part_of_them(store: str) -> None:
    assert accept(store, "--shots", "a, b ,").exit_code == 0
    assert accepted(store) == [("a", "b")]


def test_a_user_without_a_name_can_accept(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert accept(store).exit_code == 0
    assert accepted(store) == [()]


@pytest.mark.parametrize("timeout", ["0", "nan", "1e13", "inf"])
def test_a_night_is_given_some_time_and_not_all_of_it(tmp_path: Path, timeout: str) -> None:
    (tmp_path / "n.yaml").write_text("episodes: [gone.mkv]\n")
    came = CliRunner().invoke(nightly, [str(tmp_path / "n.yaml"), "--timeout", timeout])
    assert "Invalid value for '--timeout'" in came.output
