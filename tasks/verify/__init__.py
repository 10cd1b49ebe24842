"""A film against what it should be.

`expectation` is worked out from spec and sources, `facts` are read from the file, `compare` holds
one against the other (pure), `packets` the film against its segments, `decode` and `sound` look and
listen. `chunks` and `shown` (by `clock`) look at a shot's frames, `evidence` is what its worker
found. In: a film, an expectation. Out: `Finding`s; an empty list if nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.verify.compare import compare_film
from tasks.verify.decode import LIKENESS_LIMIT, NOISE_FRAMES, PictureOf, Progress, check_decoded
from tasks.verify.expectation import (
    FilmExpectation,
    SoundExpectation,
    SubtitleExpectation,
    expect_film,
)
from tasks.verify.facts import FilmFacts, read_facts
from tasks.verify.findings import Finding, frames_words, raise_on_findings
from tasks.verify.packets import Matched, PacketDigests, match_packets, read_packet_digests
from tasks.verify.sound import compare_sounds

__all__ = [
    "FilmExpectation",
    "FilmFacts",
    "Finding",
    "PacketDigests",
    "SoundExpectation",
    "SubtitleExpectation",
    "expect_film",
    "frames_words",
    "raise_on_findings",
    "read_facts",
    "read_packet_digests",
    "verify_film",
]

GUESSED = ("frame count", "frame time")
"""What only counting finds: where it begins is a guess where a frame is missing or too many."""


def verify_film(
    film: Path,
    *,
    expected: FilmExpectation,
    deep: bool = False,
    picture_of: PictureOf | None = None,
    limit: float = LIKENESS_LIMIT,
    progress: Progress | None = None,
    segments: Sequence[PacketDigests | None] = (),
    counts: Sequence[int] = (),
    vouched: Sequence[bool] = (),
) -> list[Finding]:
    """What is wrong with a film; an empty list if nothing is.

    Demuxes the whole film. `segments` are the digests of what it was joined from, with how many
    frames each should have in `counts`: its packets must be theirs. `deep` decodes it too, listens
    to its sound beside the source's, and compares every frame with what `picture_of` gives for it,
    if given: more than `limit` (mean absolute difference, of full scale) is a finding. Segments
    that are `vouched` for were looked at already: where all is well so far, only the frames of the
    others are. Errors: InputError if there is no film to read.
    """
    facts = read_facts(film)
    found = compare_film(facts, expected)
    matched: Matched | None = None
    if segments:
        packets = read_packet_digests(film)
        matched = match_packets(packets, segments, counts=counts)
        if matched.findings:
            # They say which frame it is; the count alone can only guess.
            found = [replace(f, frames=None, where="") if f.what in GUESSED else f for f in found]
        found += matched.findings
    parts: Sequence[tuple[int, int]] | None = None
    if (
        any(vouched)
        and matched
        and matched.whole
        and all(packets.headers == segment.headers for segment in segments if segment)
        and not any(finding.severity == "error" for finding in found)
    ):
        parts = _unvouched(counts, vouched)
    if deep:
        found += check_decoded(
            film,
            expected,
            picture_of=picture_of,
            limit=limit,
            progress=progress,
            matched=matched,
            times_s=facts.times_s,
            parts=parts,
        )
        found += compare_sounds(film, expected)
    return found


def _unvouched(counts: Sequence[int], vouched: Sequence[bool]) -> list[tuple[int, int]]:
    """The film's frames to look at: those of shots that nobody vouches for, and some before them,
    which tell what coding does to pictures here."""
    parts: list[tuple[int, int]] = []
    start = 0
    for count, good in zip(counts, vouched, strict=True):
        if not good:
            first = max(0, start - NOISE_FRAMES)
            if parts and first <= parts[-1][1]:
                first = parts.pop()[0]
            parts.append((first, start + count))
        start += count
    return parts
