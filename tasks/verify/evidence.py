"""Evidence: what was found of a segment by the worker that encoded it, against the frames that it
had at hand. A film of these very packets need not be decoded again.

It counts where it is of what is looked at today (`LOOKED`), and of the segment that is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cluster.keys import Digest
from cluster.store.records import record_text, shape
from tasks.frames.picture import Picture
from tasks.verify.decode import PictureOf, check_decoded
from tasks.verify.expectation import FilmExpectation
from tasks.verify.findings import Finding
from tasks.verify.packets import PacketDigests

LOOKED = 1
"""Raised when a worker looks at more, or otherwise: evidence of another number does not count."""
TICK_S = Fraction(1, 1000)
"""A segment's packets are stamped with frame numbers, in this time base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Of the segment of this digest: its packets, and what is wrong with it or with the frames that
    it was encoded from, in words; nothing where it is `good`."""

    segment: Digest
    packets: PacketDigests
    findings: tuple[str, ...] = ()
    looked: int = LOOKED

    @property
    def good(self) -> bool:
        """Whether it vouches for its segment."""
        return self.looked == LOOKED and not self.findings

    def to_json(self) -> str:
        """As a record that `evidence_of` reads back equal."""
        record = {
            "looked": self.looked,
            "segment": self.segment,
            "headers": self.packets.headers.hex(),
            "packets": [digest.hex() for digest in self.packets.digests],
            "shows": self.packets.shows(),
            "findings": self.findings,
        }
        return record_text(record, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    looked: int
    segment: str
    headers: str
    packets: tuple[str, ...]
    shows: tuple[int, ...]
    findings: tuple[str, ...]


def evidence_of(document: Any) -> Evidence:
    """The evidence that a record holds. ValueError for another document."""
    record = shape(_Record)(document)
    if sorted(record.shows) != list(range(len(record.packets))):
        raise ValueError(f"{len(record.packets)} packets do not show {len(record.shows)} frames")
    return Evidence(
        segment=Digest(record.segment),
        packets=PacketDigests(
            digests=tuple(bytes.fromhex(digest) for digest in record.packets),
            times_s=tuple(frame * TICK_S for frame in record.shows),
            headers=bytes.fromhex(record.headers),
        ),
        findings=record.findings,
        looked=record.looked,
    )


def look_at_segment(
    path: Path, *, picture_of: PictureOf, count: int, picture: Picture
) -> list[Finding]:
    """Decode a segment by one thread, and hold its `count` frames against those that it was encoded
    from; `picture` is how they are delivered."""
    times = tuple(frame * TICK_S for frame in range(count))
    expected = FilmExpectation(times_s=times, end_s=count * TICK_S, picture=picture)
    return check_decoded(path, expected, picture_of=picture_of, times_s=times, threads=1)
