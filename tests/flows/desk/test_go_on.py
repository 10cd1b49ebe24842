"""After the last approval the film goes on by the command on record, where that can be run."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import RefusedError, UsageError
from cluster.settings import settings
from flows.desk.desk import Desk
from flows.desk.go_on import command_of
from tests.flows.desk.conftest import FIRST, Studio

COMMAND = "douga render 'my ep.yaml' --chunk 8"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What processes were started, and where."""
    made: list[tuple[list[str], str]] = []

    class Process:
        def __init__(self, words: list[str], *, cwd: Path, **_: Any) -> None:
            made.append((words[3:], str(cwd)))

        def wait(self) -> int:
            return 1

        def poll(self) -> int:
            return 1

    monkeypatch.setattr("subprocess.Popen", Process)
    return made


@pytest.fixture
def desk(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(studio.folder)
    studio.run(command=COMMAND, sh010="rendered", sh020="rendered")
    return studio.desk()


def hear(desk: Desk) -> None:
    """What the feed does with a new listing."""
    desk.hear(desk.library.refresh())


def test_the_last_approval_starts_it_once_wherever_it_was_put(
    studio: Studio, desk: Desk, started: list[tuple[list[str], str]]
) -> None:
    studio.decide("sh010", "approved")
    hear(desk)
    assert started == []
    studio.decide("sh020", "approved")
    hear(desk)
    studio.decide("sh020", "approved")
    hear(desk)
    job = ["--job", f"after-{FIRST}"]
    assert started == [(["render", "my ep.yaml", "--chunk", "8", *job], str(studio.folder))]
    entries = {entry.what: entry for entry in desk.audit.read()}
    assert (entries["render"].who, entries["render"].where) == ("mika", "ep01")


def test_a_retake_starts_nothing(
    studio: Studio, desk: Desk, started: list[tuple[list[str], str]]
) -> None:
    studio.decide("sh010", "approved")
    studio.decide("sh020", "retake")
    hear(desk)
    assert started == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"command": ""}, "how to go on"),
        ({"command": "douga gc --yes x"}, "how to go on"),
        ({"command": "douga render --store s3://***@x ep.yaml"}, "how to go on"),
        ({"command": "douga render 'ep.yaml"}, "how to go on"),
        ({"folder": ""}, "how to go on"),
        ({"folder": "/nowhere/at/all"}, "was rendered on"),
        ({"host": "elsewhere"}, "elsewhere"),
    ],
)
def test_what_cannot_be_run_here_is_refused_with_what_to_type(
    desk: Desk, change: dict[str, str], word: str
) -> None:
    (episode,) = desk.episodes()
    assert episode.run.document["host"] == socket.gethostname()
    episode.run.document.update(change)
    with pytest.raises(RefusedError, match=word):
        command_of(episode)


def test_no_path_of_a_record_leads_out_of_the_roots(
    studio: Studio, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studio.folder / "my ep.yaml").write_text("")
    monkeypatch.setenv("DOUGA_ROOTS", os.fspath(studio.folder / "allowed"))
    settings.cache_clear()
    (episode,) = desk.episodes()
    with pytest.raises(UsageError, match="leads out"):
        command_of(episode)


def test_one_that_failed_may_be_started_again_by_a_person(
    studio: Studio, desk: Desk, started: list[tuple[list[str], str]]
) -> None:
    (episode,) = desk.episodes()
    assert desk.go_on(episode, by="mika")
    assert not desk.go_on(episode, by="mika")
    assert desk.go_on(episode, by="mika", again=True)
    assert len(started) == 2


def test_a_render_that_fails_is_in_the_audit_with_its_last_line(desk: Desk) -> None:
    """Its command is run for real: there is no such episode."""
    (episode,) = desk.episodes()
    assert desk.go_on(episode, by="mika")
    for _ in range(600):
        failed = [entry for entry in desk.audit.read() if entry.what == "failed"]
        if failed:
            break
        time.sleep(0.1)
    assert "my ep.yaml" in failed[0].words
