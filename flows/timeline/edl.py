"""A CMX3600 list made plain for the adapter: picture events at normal speed, frames counted.

The adapter cannot tell a retime at normal speed from a real one where lengths agree, drops speeds
where they do, and takes no drop-frame timecode at a whole rate. So these are settled here, line by
line, where a message can name the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from cluster.errors import UsageError
from flows.timeline.timecode import TIMECODE, count_frames, may_drop

_EVENT = re.compile(r"\s*(\w+)\s+(\S+)\s+(\S+)\s+(\S+)\s")
_TRANSITION = re.compile(r"D|W\d+|K[BO]?")
_SPEED = re.compile(r"\s*M2\s+(.*?)\s+(-?\d+(?:\.\d+)?)\s")
_FREEZE = re.compile(r"\s*\*\s*FREEZE\s+FRAME", re.IGNORECASE)
_SOUND_ONLY = re.compile(r"(A\d*|AA)(/A\d*)*|NONE")
_BAKE = "bake the speed change, or cut at normal speed"


def plain_edl(text: str, *, where: str, rate: Fraction) -> str:
    """The list without sound events and without retimes at normal speed, drop-frame timecodes as
    frame numbers. UsageError naming line and event for transitions and speed changes."""
    # A list that writes semicolons says with them which timecodes drop frames, FCM lines or not.
    spelt = ";" in "".join(word for line in text.splitlines() for word in _timecode_words(line))
    return "\n".join(_lines(text, where=where, rate=rate, spelt=spelt)) + "\n"


def _timecode_words(line: str) -> list[str]:
    return [match.group(0) for match in TIMECODE.finditer(line)]


def _lines(text: str, *, where: str, rate: Fraction, spelt: bool) -> Iterator[str]:
    event, heard_only, dropping = "", False, False
    for number, line in enumerate(text.splitlines(), start=1):
        here = f"{where}:{number}"
        if line.strip().upper().startswith("FCM:"):
            dropping = "NON" not in line.upper()
            continue
        if (match := _EVENT.match(line)) and match.group(1).isdecimal():
            event = match.group(1)
            heard_only = bool(_SOUND_ONLY.fullmatch(match.group(3).upper()))
            if not heard_only and _TRANSITION.fullmatch(match.group(4).upper()):
                raise UsageError(
                    f"event {event} is a dissolve or a wipe, transitions are not rendered",
                    where=here,
                    remedy="cut straight there",
                )
            line = _count_dropped(line, here, rate=rate, dropping=dropping, spelt=spelt)
        if heard_only:
            continue
        if _FREEZE.match(line):
            raise UsageError(f"event {event or '?'} freezes a frame", where=here, remedy=_BAKE)
        if re.match(r"\s*M2\b", line):
            _check_speed(line, here, event=event, rate=rate)
            continue
        yield line


def _check_speed(line: str, where: str, *, event: str, rate: Fraction) -> None:
    """UsageError unless an M2 line plays its reel at the speed it was shot at."""
    match = _SPEED.match(line + " ")
    speed = float(match.group(2)) if match else None
    if speed is not None and (speed == round(rate) or abs(speed - rate) <= 0.01):
        return
    reel = " ".join(line.split()[1:2]) or "?"
    at = f" to {speed:g} frames a second, the source runs at {float(rate):g}" if match else ""
    raise UsageError(f"retimes reel {reel}{at} (event {event or '?'})", where=where, remedy=_BAKE)


def _count_dropped(line: str, where: str, *, rate: Fraction, dropping: bool, spelt: bool) -> str:
    """An event's drop-frame timecodes as numbers of frames."""

    def frames(match: re.Match[str]) -> str:
        drops = match.group(4) != ":" if spelt else dropping
        if not (drops and may_drop(rate)):
            if drops and spelt:
                raise UsageError(
                    f"drop-frame timecode {match.group(0)}, the source runs at {float(rate):g}",
                    where=where,
                    remedy="export the list in non-drop timecode",
                )
            return match.group(0).replace(";", ":")
        count = count_frames(match, rate=rate, drops=True)
        if count is None:
            raise UsageError(
                f"there is no drop-frame timecode {match.group(0)}",
                where=where,
                remedy="export the list again",
            )
        return str(count)

    return TIMECODE.sub(frames, line)
