"""Every outcome has an exit code, words, a record, a notification, and its place in reports."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cluster.errors import (
    DougaError,
    Exit,
    Interrupted,
    RefusedError,
    TimedOut,
    UsageError,
    VerifyError,
)
from cluster.store.folder import FolderStore
from flows.notify.annotations import annotate, summarize
from flows.notify.events import event_from_night
from flows.notify.targets import CHOICES
from flows.report.night.attachments import Attachments
from flows.report.night.junit import junit_xml
from flows.report.night.objects import Objects
from flows.report.night.page import render_page
from flows.report.night.trends import totals
from flows.report.night.words import night_words
from flows.runs.night import Night, NightEpisode
from flows.runs.outcome import Outcome, worst

EXITS = {
    Outcome.FAILED: Exit.FAILED,
    Outcome.WANTING: Exit.WANTING,
    Outcome.STOPPED: Exit.INTERRUPTED,
    Outcome.LEFT_OUT: Exit.REFUSED,
    Outcome.WAITING: Exit.REFUSED,
    Outcome.DONE: Exit.GOOD,
}
VERDICTS = {
    Outcome.FAILED: "error",
    Outcome.WANTING: "failure",
    Outcome.STOPPED: "error",
    Outcome.LEFT_OUT: "skipped",
    Outcome.WAITING: "skipped",
    Outcome.DONE: None,
}


def night(outcome: Outcome) -> Night:
    episode = NightEpisode(episode="ep01", show="main", state=outcome, why="so it was")
    return Night(nightly="demo", night="n1", began_at="", ended_at="", episodes=(episode,))


every_outcome = pytest.mark.parametrize("outcome", list(Outcome))


@every_outcome
def test_it_has_an_exit_code_and_words(outcome: Outcome) -> None:
    assert outcome.exit_code is EXITS[outcome]
    of_night = Exit.REFUSED if outcome is Outcome.STOPPED else outcome.exit_code
    assert night(outcome).exit_code is of_night
    line = night_words(night(outcome), of_night)
    assert (outcome.words in line) if outcome is not Outcome.DONE else line == ""


@every_outcome
def test_records_and_nights_are_read_back_as_they_were_written(outcome: Outcome) -> None:
    assert Outcome(outcome.value) is outcome
    assert Outcome(outcome.recorded) is outcome
    again = Night.from_json(json.loads(json.dumps(night(outcome).to_json())))
    assert again == night(outcome)
    assert again.episodes[0].state is outcome


@every_outcome
def test_someone_is_told_of_it_who_asked_for_it(outcome: Outcome) -> None:
    event = event_from_night(night(outcome))
    assert event.kind is outcome
    assert outcome.words in event.text
    assert [word for word in ("done", "failed", "waiting") if outcome in CHOICES[word]] == [
        outcome.choice
    ]
    assert outcome in CHOICES["all"]
    assert dict(event.counts)["episodes"] == 1
    assert sum(count for _, count in event.counts) == 2, "it is counted once, by its name"


@every_outcome
def test_junit_has_a_verdict_for_it(outcome: Outcome) -> None:
    root = ET.fromstring(junit_xml(night(outcome), Attachments()))
    (case,) = root.iter("testcase")
    assert [each.tag for each in case] == list(filter(None, [VERDICTS[outcome]]))


@every_outcome
def test_pages_and_annotations_say_it(outcome: Outcome, tmp_path: Path) -> None:
    is_good = outcome is Outcome.DONE
    store = FolderStore(tmp_path)
    page = render_page(
        night(outcome), [], objects=Objects(store), attachments=Attachments(), currency="EUR"
    )
    word = outcome.words.split()[0]
    assert (f'<li class="is-{word}"' in page) is not is_good
    assert f">{outcome.words}</span>" in page
    assert f".{'good' if is_good else word}" in page.partition("</style>")[0]
    assert totals(night(outcome)).good is is_good
    assert [each.level for each in annotate(night(outcome))] == [outcome.level] * (not is_good)
    assert f"| {outcome.words} |" in summarize(night(outcome))


def test_the_worst_comes_first() -> None:
    order = ["failed", "wanting", "stopped", "left out", "waiting", "done"]
    assert list(Outcome) == order
    for place, outcome in enumerate(Outcome):
        assert worst(list(Outcome)[place:]) is outcome
    assert worst([]) is Outcome.DONE


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("in part", Outcome.DONE),
        ("waiting for review", Outcome.WAITING),
        ("refused", Outcome.LEFT_OUT),
        ("died", Outcome.FAILED),
    ],
)
def test_states_of_records_are_read(state: str, outcome: Outcome) -> None:
    assert Outcome(state) is outcome


def test_a_state_that_nobody_wrote_is_an_error() -> None:
    with pytest.raises(ValueError, match="better than ever"):
        Outcome("better than ever")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DougaError("x"), Outcome.FAILED),
        (UsageError("x"), Outcome.FAILED),
        (ZeroDivisionError(), Outcome.FAILED),
        (VerifyError("x"), Outcome.WANTING),
        (RefusedError("x"), Outcome.LEFT_OUT),
        (TimedOut("x"), Outcome.STOPPED),
        (Interrupted("x"), Outcome.STOPPED),
        (KeyboardInterrupt(), Outcome.STOPPED),
    ],
)
def test_an_error_says_how_work_ended(error: BaseException, outcome: Outcome) -> None:
    assert Outcome.of_error(error) is outcome
