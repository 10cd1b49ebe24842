"""Verify a finished film against what it should be: counts, times, streams, colours, pictures."""

from __future__ import annotations

from pathlib import Path

from tasks.verify.compare import compare_film
from tasks.verify.decode import LIKENESS_LIMIT, PictureOf, Progress, check_decoded
from tasks.verify.expectation import (
    FilmExpectation,
    SoundExpectation,
    SubtitleExpectation,
    expect_film,
)
from tasks.verify.facts import FilmFacts, read_facts
from tasks.verify.findings import Finding, raise_on_findings

__all__ = [
    "FilmExpectation",
    "FilmFacts",
    "Finding",
    "SoundExpectation",
    "SubtitleExpectation",
    "expect_film",
    "raise_on_findings",
    "read_facts",
    "verify_film",
]


def verify_film(
    film: Path,
    *,
    expected: FilmExpectation,
    deep: bool = False,
    picture_of: PictureOf | None = None,
    limit: float = LIKENESS_LIMIT,
    progress: Progress | None = None,
) -> list[Finding]:
    """What is wrong with a film; an empty list if nothing is.

    Demuxes the whole film. `deep` decodes it too, and compares every frame with what `picture_of`
    gives for it, if given: more than `limit` (mean absolute difference, of full scale) is a
    finding. Errors: InputError if there is no film to read.
    """
    found = compare_film(read_facts(film), expected)
    if deep:
        found += check_decoded(
            film, expected, picture_of=picture_of, limit=limit, progress=progress
        )
    return found
