"""Timecode as a count of frames (SMPTE ST 12: drop-frame skips numbers, never frames)."""

from __future__ import annotations

import re
from fractions import Fraction

TIMECODE = re.compile(r"(?<!\S)(\d\d)[:;](\d\d)[:;](\d\d)([:;.])(\d\d)(?!\S)")
"""Hours, minutes, seconds, what stands before the frames, and these."""


def may_drop(rate: Fraction) -> bool:
    """Whether timecode of this rate can be drop-frame: near 30 or 60 frames a second."""
    return round(rate) in (30, 60)


def count_frames(match: re.Match[str], *, rate: Fraction, drops: bool) -> int | None:
    """The frames before a timecode that TIMECODE matched; None where there is no such timecode."""
    hours, minutes, seconds, shown = (int(match.group(i)) for i in (1, 2, 3, 5))
    whole = round(rate)
    if minutes > 59 or seconds > 59 or shown >= whole:
        return None
    past = 60 * hours + minutes
    count = (60 * past + seconds) * whole + shown
    if not drops:
        return count
    skipped = whole // 15
    if minutes % 10 and seconds == 0 and shown < skipped:
        return None
    return count - skipped * (past - past // 10)


def media_start(timecode: str, *, rate: Fraction | None) -> int:
    """The number that a source's first frame has by its own timecode; 0 where it states none."""
    match = TIMECODE.fullmatch(timecode.strip())
    if match is None or rate is None:
        return 0
    drops = match.group(4) != ":" and may_drop(rate)
    return count_frames(match, rate=rate, drops=drops) or 0
