"""A film's packets held against its segments': two shots of eight frames with B-frames."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tasks.verify.packets import Matched, PacketDigests, match_packets

DECODED = (0, 4, 2, 1, 3, 7, 5, 6)
"""The order in which a shot's frames are decoded."""
COUNTS = (8, 8)


def segment(name: str) -> PacketDigests:
    return PacketDigests(
        digests=tuple(f"{name}{frame}".encode() for frame in DECODED),
        times_s=tuple(Fraction(frame, 24) for frame in DECODED),
    )


SEGMENTS = (segment("a"), segment("b"))


def film(*shots: str) -> PacketDigests:
    """A film of these shots, packets in decode order."""
    digests: list[bytes] = []
    times: list[Fraction | None] = []
    for number, name in enumerate(shots):
        digests += segment(name).digests
        times += [Fraction(8 * number + frame, 24) for frame in DECODED]
    return PacketDigests(digests=tuple(digests), times_s=tuple(times))


def matched(found: PacketDigests) -> Matched:
    return match_packets(found, SEGMENTS, counts=COUNTS)


def told(result: Matched) -> list[tuple[str, tuple[int, int] | None]]:
    return [(finding.what, finding.frames) for finding in result.findings]


def test_a_film_of_its_segments_is_right_frame_by_frame() -> None:
    result = matched(film("a", "b"))
    assert result.copied
    assert told(result) == []
    assert result.frame_of == tuple(range(16))


def test_a_packet_with_other_bytes_is_named_by_the_frame_it_shows() -> None:
    good = film("a", "b")
    place = 8 + DECODED.index(5)
    bad = replace(good, digests=(*good.digests[:place], b"flipped", *good.digests[place + 1 :]))
    result = matched(bad)
    assert told(result) == [("picture data", (13, 14))]
    assert result.frame_of[13] is None
    assert result.frame_of[:13] == tuple(range(13))


def test_a_dropped_packet_is_missing() -> None:
    good = film("a", "b")
    place = DECODED.index(6)
    bad = PacketDigests(
        digests=good.digests[:place] + good.digests[place + 1 :],
        times_s=good.times_s[:place] + good.times_s[place + 1 :],
    )
    assert told(matched(bad)) == [("frames missing", (6, 7))]


def test_a_frame_of_the_other_shot_is_said_to_be_that() -> None:
    good = film("a", "b")
    place = DECODED.index(6)
    other = segment("b").digests[0]
    bad = replace(good, digests=(*good.digests[:place], other, *good.digests[place + 1 :]))
    (finding,) = matched(bad).findings
    assert (finding.what, finding.frames, finding.got) == ("wrong frames", (6, 7), "frame 8")


def test_a_shot_of_which_all_is_other_is_left_to_be_looked_at() -> None:
    """Film or segment may be wrong: encoded anew since, for example."""
    result = matched(film("a", "c"))
    assert told(result) == []
    assert result.suspect == frozenset(range(8, 16))
    assert result.frame_of == tuple(range(16))


def test_a_film_encoded_anew_is_no_copy() -> None:
    result = matched(film("x", "y"))
    assert not result.copied
    assert result.frame_of == tuple(range(16))


def test_frames_after_the_end_are_too_many() -> None:
    assert told(matched(film("a", "b", "z"))) == [("frames too many", (15, 16))]


def test_a_segment_that_cannot_be_had_accuses_nobody() -> None:
    result = match_packets(film("a", "b"), (SEGMENTS[0], None), counts=COUNTS)
    assert told(result) == []
    assert result.suspect == frozenset()
    assert result.frame_of == tuple(range(16))
