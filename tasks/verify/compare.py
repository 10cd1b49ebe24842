"""Compares a film's facts with what it should be. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tasks.assemble.tags import MATRIX_CODES, PRIMARIES_CODES, RANGE_CODES, TRANSFER_CODES
from tasks.frames.track import ranges_of
from tasks.verify.expectation import FilmExpectation, SoundExpectation, SubtitleExpectation
from tasks.verify.facts import FilmFacts, SoundFacts, SubtitleFacts
from tasks.verify.findings import Finding, Severity, frames_words

MILLISECOND = Fraction(1, 1000)
LENGTH_SLACK_S = Fraction(1, 10)
"""Containers round, and count a last packet's length or do not."""
UNSAID = (0, 2)
"""Code points of a colour tag that say nothing."""


def compare_film(facts: FilmFacts, expected: FilmExpectation) -> list[Finding]:
    """Everything in which a film is not as expected, most important first."""
    return [
        *_frames(facts, expected),
        *_length(facts),
        *_picture(facts, expected),
        *_sounds(facts, expected),
        *_subtitles(facts, expected),
        *_rest(facts, expected),
    ]


def _frames(facts: FilmFacts, expected: FilmExpectation) -> Iterator[Finding]:
    if facts.disorder:
        yield _finding("packet order", "every packet decoded in order", facts.disorder)
    if len(facts.times_s) != len(expected.times_s):
        first = _first_difference(facts, expected)
        yield _finding(
            "frame count",
            str(len(expected.times_s)),
            str(len(facts.times_s)),
            where=f"frame {first} on",
            frames=(first, first + 1),
        )
        return
    wrong = {
        frame: got
        for frame, (got, due) in enumerate(zip(facts.times_s, expected.times_s, strict=True))
        if abs(got - due) > facts.clock_s / 2
    }
    for run in ranges_of(wrong):
        worst = max(range(*run), key=lambda frame: abs(wrong[frame] - expected.times_s[frame]))
        yield _finding(
            "frame time",
            _s(expected.times_s[worst]),
            _s(wrong[worst]),
            where=frames_words(run),
            frames=run,
        )
    # Matroska gives the last frame no length where the rate varies, and rounds it where not.
    slack = facts.clock_s + MILLISECOND
    if facts.end_s > facts.times_s[-1] and abs(facts.end_s - expected.end_s) > slack:
        last = expected.end_s - expected.times_s[-1]
        grave = abs(facts.end_s - expected.end_s) > last
        yield _finding("end", _s(expected.end_s), _s(facts.end_s), warn=not grave)


def _length(facts: FilmFacts) -> Iterator[Finding]:
    """The container's own word on how long it is, which players show."""
    if facts.said_s is not None and abs(facts.said_s - facts.last_s) > LENGTH_SLACK_S:
        yield _finding("duration", _s(facts.last_s), _s(facts.said_s))


def _first_difference(facts: FilmFacts, expected: FilmExpectation) -> int:
    for frame, (got, due) in enumerate(zip(facts.times_s, expected.times_s, strict=False)):
        if abs(got - due) > facts.clock_s / 2:
            return frame
    return min(len(facts.times_s), len(expected.times_s))


def _picture(facts: FilmFacts, expected: FilmExpectation) -> Iterator[Finding]:
    picture = expected.picture
    if expected.codec and facts.codec != expected.codec:
        yield _finding("video codec", expected.codec, facts.codec)
    if (facts.width, facts.height) != (picture.width, picture.height):
        yield _finding("size", f"{picture.width}x{picture.height}", f"{facts.width}x{facts.height}")
    # Matroska says how many pixels wide a picture is shown: the ratio is rounded to one of them.
    if abs(facts.sar / picture.sar - 1) > Fraction(1, picture.width):
        yield _finding("sample aspect ratio", str(picture.sar), str(facts.sar))
    said = RANGE_CODES[picture.range]
    limited_unsaid = facts.range == 0 and picture.range == "limited"
    if facts.range != said and not limited_unsaid:
        said_range = {0: "none", 1: "limited", 2: "full"}.get(facts.range, "unknown")
        yield _finding("colour range", picture.range, said_range)
    for what, codes, tag, code in (
        ("matrix tag", MATRIX_CODES, picture.matrix_tag, facts.matrix),
        ("primaries tag", PRIMARIES_CODES, picture.primaries, facts.primaries),
        ("transfer tag", TRANSFER_CODES, picture.transfer, facts.transfer),
    ):
        if tag in codes and codes[tag] != code:
            yield _finding(what, tag, _code(codes, code))


def _sounds(facts: FilmFacts, expected: FilmExpectation) -> Iterator[Finding]:
    yield from _count("sound streams", len(expected.sounds), len(facts.sounds))
    for number, (due, got) in enumerate(zip(expected.sounds, facts.sounds, strict=False), 1):
        where = f"sound {number}"
        yield from _words(due, got, where, facts.format)
        start_slack = MILLISECOND + Fraction(1, got.rate)
        if due.start_s is not None and abs(got.start_s - due.start_s) > start_slack:
            yield _finding("sound start", _s(due.start_s), _s(got.start_s), where=where)
        if due.end_s is not None and abs(got.end_s - due.end_s) > due.length_tolerance_s:
            yield _finding("sound end", _s(due.end_s), _s(got.end_s), where=where)


def _subtitles(facts: FilmFacts, expected: FilmExpectation) -> Iterator[Finding]:
    yield from _count("subtitle streams", len(expected.subtitles), len(facts.subtitles))
    pairs = zip(expected.subtitles, facts.subtitles, strict=False)
    for number, (due, got) in enumerate(pairs, 1):
        where = f"subtitle {number}"
        yield from _words(due, got, where, facts.format)
        if len(due.starts_s) != len(got.starts_s):
            yield _finding(
                "number of cues", str(len(due.starts_s)), str(len(got.starts_s)), where=where
            )
            continue
        for cue, (start, found) in enumerate(zip(due.starts_s, got.starts_s, strict=True)):
            if abs(start - found) > MILLISECOND:
                yield _finding("cue start", _s(start), _s(found), where=f"{where} cue {cue + 1}")
                break


def _rest(facts: FilmFacts, expected: FilmExpectation) -> Iterator[Finding]:
    yield from _count("chapters", len(expected.chapters), len(facts.chapters))
    pairs = zip(expected.chapters, facts.chapters, strict=False)
    for number, (due, got) in enumerate(pairs, 1):
        apart = max(abs(due[0] - got[0]), abs(due[1] - got[1]))
        if apart > MILLISECOND or due[2] != got[2]:
            yield _finding("chapter", _chapter(due), _chapter(got), where=f"chapter {number}")
    missing = set(expected.attachments) - set(facts.attachments)
    if missing:
        found = ", ".join(sorted(facts.attachments)) or "none"
        yield _finding("attachments", ", ".join(sorted(missing)), found)
    yield from _count("cover pictures", expected.covers, facts.covers)


def _words(
    due: SoundExpectation | SubtitleExpectation,
    got: SoundFacts | SubtitleFacts,
    where: str,
    container: str,
) -> Iterator[Finding]:
    for what in ("codec", "language", "title"):
        wanted, found = getattr(due, what), getattr(got, what)
        if wanted != found:
            # QuickTime knows the Macintosh's languages only, some by other codes.
            warn = what == "language" and container == "mov"
            yield _finding(what, wanted or "none", found or "none", where=where, warn=warn)


def _count(what: str, due: int, got: int) -> Iterator[Finding]:
    if due != got:
        yield _finding(what, str(due), str(got))


def _finding(
    what: str,
    expected: str,
    got: str,
    *,
    where: str = "",
    warn: bool = False,
    frames: tuple[int, int] | None = None,
) -> Finding:
    severity: Severity = "warning" if warn else "error"
    return Finding(
        what=what, where=where, expected=expected, got=got, severity=severity, frames=frames
    )


def _code(codes: dict[str, int], code: int) -> str:
    if code in UNSAID:
        return "none"
    return next((name for name, number in codes.items() if number == code), f"code {code}")


def _chapter(chapter: tuple[Fraction, Fraction, str]) -> str:
    return f"{chapter[2]!r} {_s(chapter[0])}-{_s(chapter[1])}"


def _s(time: Fraction) -> str:
    return f"{float(time):.6f} s"
