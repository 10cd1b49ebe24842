"""Of every bad input comes a right plan and right frames, or one clear line: tests/corpus.

`python -m tests.corpus FOLDER` lays all cases down, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.corpus.case import GOOD, Case
from tests.corpus.court import Court
from tests.corpus.documents import documents
from tests.corpus.films import FILMS_READ
from tests.corpus.harmed import cuts, harmed
from tests.corpus.judge import Verdict
from tests.corpus.strange import strange

ROOT = Path(__file__).parents[2]
CASES = {case.name: case for case in (*strange(), *documents(), *cuts(), *harmed(range(2)))}
MORE = {case.name: case for case in harmed([*range(2, 6), *range(100, 140)])}
PEAK_MIB = 2500
"""Resident memory at the most, the judge's own libraries (300 MiB) in it."""
NEXT = (";", "see douga --help", "did you mean", "expected", "should", "known:", "give ")
"""Every line ends in what to do, or says what was expected."""


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    folder = tmp_path_factory.mktemp("corpus")
    own = {"DOUGA_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    court = Court(folder, root=ROOT, environment={**os.environ, **own})
    yield court
    court.close()


@pytest.fixture(scope="module")
def verdicts(court: Court, request: pytest.FixtureRequest) -> dict[str, Future[Verdict]]:
    """Of the cases that this run is to judge, several at once."""
    asked = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["name"] for item in asked if hasattr(item, "callspec")]
    return court.hear((CASES | MORE)[name] for name in names)


def test_there_are_more_than_two_hundred() -> None:
    assert len(CASES) > 200


@pytest.mark.parametrize(
    "name", [*CASES, *(pytest.param(name, marks=pytest.mark.chaos) for name in MORE)]
)
def test_right_film_or_one_clear_line(name: str, verdicts: dict[str, Future[Verdict]]) -> None:
    """The exit code is one that may come, and what is said and read goes with it."""
    case, verdict = (CASES | MORE)[name], verdicts[name].result()
    lines = verdict.err.splitlines()
    assert "Traceback" not in verdict.err
    assert "a bug" not in verdict.err, verdict.err
    assert verdict.code in case.codes, verdict.err
    assert all(line.startswith("douga: ") for line in lines), verdict.err
    assert verdict.left == (), "nothing may be left behind"
    assert verdict.peak_mib < PEAK_MIB
    if verdict.code == GOOD:
        _check_read(case, verdict)
    else:
        assert [word for word in case.said if word not in verdict.line] == [], verdict.line
        assert any(word in verdict.line for word in NEXT), verdict.line
        assert len(verdict.line) < 700, verdict.line


def _check_read(case: Case, verdict: Verdict) -> None:
    assert [word for word in case.noted if word not in verdict.err] == [], verdict.err
    assert case.frames in (None, verdict.frames)
    assert case.size in (None, verdict.size)
    assert case.rate in (None, verdict.rate)
    if case.truth == "mpeg2.ts":
        return  # a broadcast has no stated end: cut between two packets, it is a shorter one
    if case.truth and verdict.frames < FILMS_READ.get(case.truth, 36):
        assert any(word in verdict.err for word in ("missing", "left out", "the file states")), (
            f"{verdict.frames} frames, and not a word of it: {verdict.err}"
        )
