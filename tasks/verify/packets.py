"""Whether a film's packets are those of its segments: joining copies them bit for bit.

What decoding can only find likely, this finds for certain: a flipped bit, a frame dropped, doubled
or put in another's place, shots in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av

from cluster.errors import InputError
from tasks.assemble.source import main_video, seconds
from tasks.frames.track import ranges_of
from tasks.verify.align import Difference, align
from tasks.verify.findings import Finding, frames_words

OWN_SHARE = 0.5
"""A film of which fewer packets than this are its segments' was encoded anew: what its frames show
must be judged by looking at them."""
UNKNOWN = b""
"""Stands for the packets of a segment that cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketDigests:
    """The packets of a stream of pictures in decode order: digests, and the times they are shown at
    in seconds (None: a packet without one). `headers` are the codec's own."""

    digests: tuple[bytes, ...]
    times_s: tuple[Fraction | None, ...]
    headers: bytes = b""

    def __len__(self) -> int:
        return len(self.digests)

    def shows(self) -> tuple[int, ...]:
        """For each packet its place in the order shown."""
        order = sorted(range(len(self)), key=lambda at: (self.times_s[at] or Fraction(0), at))
        ranks = [0] * len(self)
        for rank, at in enumerate(order):
            ranks[at] = rank
        return tuple(ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A film's packets held against its segments'.

    `frame_of[k]` is the frame that the film's k-th shown picture should look like, None where it is
    known to be out of place already. `suspect` are frames of shots all of whose packets are others
    than their segment's: whether film or segment is wrong shows when they are looked at. `copied`
    is False where the film was encoded anew, or no segment is known.
    """

    frame_of: tuple[int | None, ...]
    suspect: frozenset[int] = frozenset()
    findings: tuple[Finding, ...] = ()
    copied: bool = True

    @property
    def whole(self) -> bool:
        """Whether each packet is its segment's, in its place, as far as the segments are known."""
        return self.copied and not self.findings and not self.suspect


def read_packet_digests(path: Path) -> PacketDigests:
    """The digests of a film's or a segment's pictures. Errors: InputError."""
    digests: list[bytes] = []
    times: list[Fraction | None] = []
    try:
        with av.open(str(path)) as file:
            video = main_video(file)
            if video is None:
                raise InputError("expected pictures, got none", where=str(path))
            for packet in file.demux(video):
                if packet.size:
                    digests.append(hashlib.blake2b(bytes(packet), digest_size=16).digest())
                    stamp = packet.pts
                    times.append(None if stamp is None else seconds(stamp, packet.time_base))
            headers = bytes(video.codec_context.extradata or b"")
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
    return PacketDigests(digests=tuple(digests), times_s=tuple(times), headers=headers)


def match_packets(
    film: PacketDigests, segments: Sequence[PacketDigests | None], *, counts: Sequence[int]
) -> Matched:
    """Find every packet of a film among its segments'.

    `segments` are in film order, None where one cannot be had; `counts` are how many frames each
    should have.
    """
    digests, frames = _due(segments, counts)
    known = sum(digest != UNKNOWN for digest in digests)
    starts = [0, *accumulate(counts)]
    differences = _split(align(digests, film.digests), starts)
    lost = {at for d in differences for at in range(d.start, d.end) if digests[at] != UNKNOWN}
    gone = {frames[at] for at in lost}
    if known == 0 or known - len(lost) < OWN_SHARE * known:
        return Matched(frame_of=tuple(range(len(film))), copied=False)
    shows = film.shows()
    frame_of: list[int | None] = [None] * len(film)
    for at, place in _equal(len(film), differences):
        frame_of[shows[at]] = frames[place]
    places = dict(zip(digests, frames, strict=True))
    suspect: set[int] = set()
    findings: list[Finding] = []
    for start, end in pairwise(starts):
        here = [d for d in differences if start <= d.start < end]
        known_here = any(digests[at] != UNKNOWN for at in range(start, end))
        came = _instead(here, start=start, end=end)
        if here and came is not None and not (known_here and _in_part(here, count=end - start)):
            # In the order shown: decode order is mixed within a shot only.
            for rank, frame in zip(
                sorted(shows[at] for at in came), range(start, end), strict=True
            ):
                frame_of[rank] = frame
            suspect.update(range(start, end) if known_here else ())
            continue
        for difference in here:
            due = [frames[at] for at in range(difference.start, difference.end)]
            found = range(difference.found_start, difference.found_end)
            if not known_here:
                continue
            others = [places.get(film.digests[at]) for at in found]
            before = frames[difference.start]
            findings += _describe(due, others, before=before, lost=gone)
    for difference in differences:
        if difference.start >= starts[-1]:
            found = range(difference.found_start, difference.found_end)
            others = [places.get(film.digests[at]) for at in found]
            findings += _describe([], others, before=starts[-1], lost=gone)
    findings += _out_of_order(frame_of)
    return Matched(frame_of=tuple(frame_of), suspect=frozenset(suspect), findings=tuple(findings))


def _split(differences: Sequence[Difference], starts: Sequence[int]) -> list[Difference]:
    """Differences cut where shots begin, found packets going with those they stand for."""
    parts: list[Difference] = []
    for d in differences:
        cuts = [start for start in starts if d.start < start < d.end]
        bounds = [d.start, *cuts, d.end]
        reach = [min(d.found_end, d.found_start + bound - d.start) for bound in bounds[:-1]]
        for (start, end), (came, until) in zip(
            pairwise(bounds), pairwise([*reach, d.found_end]), strict=True
        ):
            parts.append(Difference(start=start, end=end, found_start=came, found_end=until))
    return parts


def _instead(here: Sequence[Difference], *, start: int, end: int) -> range | None:
    """The film's packets that stand where a shot's should; None if they are more or fewer."""
    surplus = sum(d.end - d.start - d.found_end + d.found_start for d in here)
    if not here or surplus:
        return None
    offset = here[0].found_start - here[0].start
    return range(start + offset, end + offset)


def _in_part(here: Sequence[Difference], *, count: int) -> bool:
    """Whether most of a shot's packets are its own."""
    return 2 * sum(d.end - d.start for d in here) < count


def _due(
    segments: Sequence[PacketDigests | None], counts: Sequence[int]
) -> tuple[list[bytes], list[int]]:
    """Every packet due in decode order: its digest, and the film's frame that it shows."""
    digests: list[bytes] = []
    frames: list[int] = []
    first = 0
    for segment, count in zip(segments, counts, strict=True):
        usable = segment is not None and len(segment) == count
        digests += segment.digests if segment and usable else [UNKNOWN] * count
        ranks = segment.shows() if segment and usable else range(count)
        frames += [first + rank for rank in ranks]
        first += count
    return digests, frames


def _equal(count: int, differences: Sequence[Difference]) -> list[tuple[int, int]]:
    """(found, expected) places of all that is in both."""
    pairs: list[tuple[int, int]] = []
    at = due = 0
    for difference in differences:
        pairs += [(at + n, due + n) for n in range(difference.found_start - at)]
        at, due = difference.found_end, difference.end
    return pairs + [(at + n, due + n) for n in range(count - at)]


def _out_of_order(frame_of: Sequence[int | None]) -> list[Finding]:
    latest, late = -1, list[int]()
    for frame in frame_of:
        if frame is None:
            continue
        if frame < latest:
            late.append(frame)
        latest = max(latest, frame)
    return [
        Finding(
            what="frame order",
            where=frames_words(run),
            expected="shown in order",
            got="shown after a later frame",
            frames=run,
        )
        for run in ranges_of(late)
    ]


def _describe(
    due: Sequence[int], found: Sequence[int | None], *, before: int, lost: set[int]
) -> list[Finding]:
    """Findings for frames `due` in whose place others came, or none; `lost` are not in theirs."""
    others = [frame for frame in found if frame is not None]
    if not due:
        moved = others if others and lost.issuperset(others) else [max(0, before - 1)]
        words = _numbers(others) if others else "unknown ones"
        return [
            Finding(
                what="frames out of place" if moved is others else "frames too many",
                where=frames_words(run),
                expected="each once, at its time",
                got=f"{words} after frame {before - 1}",
                frames=run,
            )
            for run in ranges_of(moved)
        ]
    if not found:
        what, got = "frames missing", "not in the film"
    elif others:
        what, got = "wrong frames", _numbers(others)
    else:
        what, got = "picture data", "other packets"
    return [
        Finding(
            what=what,
            where=frames_words(run),
            expected="the segment's packets",
            got=got,
            frames=run,
        )
        for run in ranges_of(due)
    ]


def _numbers(frames: Sequence[int]) -> str:
    runs = ranges_of(frames)
    more = f" and {len(runs) - 2} more" if len(runs) > 2 else ""
    return f"{', '.join(frames_words(run) for run in runs[:2])}{more}"
