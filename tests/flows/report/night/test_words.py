"""A night and its regressions in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.errors import Exit
from cluster.store.open import open_store
from flows.report.night.words import night_words, regression_words
from flows.runs.night import Night, Regression
from tests.flows.report.night.nights import bad_night

PSNR = Regression(measure="psnr", was=99.0, now=31.25, limit=35.0, frame=12)
LOUDNESS = Regression(measure="loudness", was=-23.0, now=-18.2, limit=-22.0)
COST = Regression(measure="money", was=1200.0, now=2500.5, limit=2400.0)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return bad_night(open_store(str(tmp_path)))


def test_a_regression_says_what_is_what_was_and_the_limit() -> None:
    assert regression_words([]) == ""
    assert regression_words([PSNR, LOUDNESS]) == (
        "PSNR 31.2 dB at frame 12, was 99.0 dB, limit 35.0 dB; "
        "loudness -18.2 LUFS, was -23.0 LUFS, limit -22.0 LUFS"
    )
    assert regression_words([COST]) == "cost 2,500.50, was 1,200.00, limit 2,400.00"


def test_a_night_says_how_many_episodes_are_done_then_what_is_wrong_with_the_others(
    night: Night,
) -> None:
    done, *wrong = night_words(night, Exit.FAILED).split("; ")
    assert done == "2 of 7 episodes done"
    assert [part.partition(":")[0] for part in wrong] == [
        *("failed", "failed verification", "regressed", "stopped", "left out"),
        "waiting for review",
    ]
    assert "regressed: ep01 sh0060 sh0100, ep02 film" in wrong


def test_a_night_that_was_ended_says_by_what(night: Night) -> None:
    assert night_words(night, Exit.GOOD) == ""
    assert night_words(night, Exit.TIMEOUT) == "the time given was over; 2 of 7 episodes done"
    assert night_words(night, Exit.INTERRUPTED) == "stopped; 2 of 7 episodes done"
