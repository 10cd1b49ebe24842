"""Whether a film's packets are those of its segments: joining copies them bit for bit.

What decoding can only find likely, this finds for certain: a flipped bit, a frame dropped, doubled
or put in another's place, shots in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av

from cluster.errors import InputError
from tasks.assemble.source import main_video, seconds
from tasks.verify.align import Difference, align
from tasks.verify.findings import Finding, frames_words, runs_of

OWN_SHARE = 0.5
"""A film of which fewer packets than this are its segments' was encoded anew: what its frames show
must be judged by looking at them."""
UNKNOWN = b""
"""Stands for the packets of a segment that cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
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


def read_prints(path: Path) -> Prints:
    """The prints of a film's or a segment's pictures. Errors: InputError."""
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
    return Prints(digests=tuple(digests), times_s=tuple(times), headers=headers)


def match_packets(
    film: Prints, segments: Sequence[Prints | None], *, counts: Sequence[int]
) -> Matched:
    """Find every packet of a film among its segments'.

    `segments` are in film order, None where one cannot be had; `counts` are how many frames each
    should have.
    """
    digests, frames = _due(segments, counts)
    known = sum(digest != UNKNOWN for digest in digests)
    differences = align(digests, film.digests)
    lost = sum(digests[at] != UNKNOWN for d in differences for at in range(d.start, d.end))
    if known == 0 or known - lost < OWN_SHARE * known:
        return Matched(frame_of=tuple(range(len(film))), copied=False)
    shows = film.shows()
    frame_of: list[int | None] = [None] * len(film)
    for at, place in _equal(len(film), differences):
        frame_of[shows[at]] = frames[place]
    places = dict(zip(digests, frames, strict=True))
    starts = {0, *accumulate(counts)}
    suspect: set[int] = set()
    findings = _out_of_order(frame_of)
    for difference in differences:
        due = range(difference.start, difference.end)
        came = range(difference.found_start, difference.found_end)
        blind = len(due) > 0 and all(digests[at] == UNKNOWN for at in due)
        whole = {difference.start, difference.end} <= starts
        if blind or (whole and len(due) == len(came)):
            # Shown in order they are a shot, or several: decode order is mixed within shots only.
            shown = sorted(shows[at] for at in came)
            for rank, frame in zip(shown, sorted(frames[at] for at in due), strict=False):
                frame_of[rank] = frame
                suspect.update(() if blind else (frame,))
            continue
        found = [places.get(film.digests[at]) for at in came]
        findings += _describe([frames[at] for at in due], found, before=difference.start)
    return Matched(frame_of=tuple(frame_of), suspect=frozenset(suspect), findings=tuple(findings))


def _due(segments: Sequence[Prints | None], counts: Sequence[int]) -> tuple[list[bytes], list[int]]:
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
        for run in runs_of(late)
    ]


def _describe(due: Sequence[int], found: Sequence[int | None], *, before: int) -> list[Finding]:
    """Findings for frames in whose place others came, or none."""
    others = [frame for frame in found if frame is not None]
    if not due:
        words = _numbers(others) if others else f"{len(found)} unknown"
        place = (before, before + 1)
        return [
            Finding(
                what="frames too many",
                where=f"before {frames_words(place)}",
                expected="none",
                got=f"{len(found)} more: {words}",
                frames=place,
            )
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
        for run in runs_of(due)
    ]


def _numbers(frames: Sequence[int]) -> str:
    runs = runs_of(frames)
    more = f" and {len(runs) - 2} more" if len(runs) > 2 else ""
    return f"{', '.join(frames_words(run) for run in runs[:2])}{more}"
