"""Measures the loudness of a film and of each shot by EBU R 128, with ffmpeg."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log10
from pathlib import Path

import av

from tasks.encode.ffmpeg import local_url, run_ffmpeg

SILENCE_LUFS = -70.0
"""R 128's absolute gate: what is softer counts as this."""
WINDOW_S, STEP_S = 0.4, 0.1
"""Momentary loudness is of the last 0.4 s, ten times a second."""
_LINE = re.compile(rb"pts_time:(\S+)|lavfi\.r128\.(M|I)=(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """A film's integrated loudness, and its momentary loudness with the end of each window; LUFS
    and seconds on the film's clock."""

    integrated: float
    momentary: tuple[tuple[float, float], ...]

    def between(self, start_s: float, end_s: float) -> float | None:
        """Mean power of the windows that lie wholly in a part of the film, as loudness; None where
        it is shorter than a window."""
        inside = [
            loud for at, loud in self.momentary if start_s + WINDOW_S - 1e-6 <= at <= end_s + 1e-6
        ]
        if not inside:
            return None
        power = sum(10 ** (loud / 10) for loud in inside) / len(inside)
        return round(max(SILENCE_LUFS, 10 * log10(power)), 2) if power else SILENCE_LUFS


def measure_loudness(film: Path) -> Loudness | None:
    """The loudness of a film's first sound stream, None where it has none. EncodeError if ffmpeg
    cannot read it."""
    with av.open(str(film)) as file:
        if not file.streams.audio:
            return None
    filters = "ebur128=metadata=1,ametadata=mode=print:file=-"
    said = run_ffmpeg(
        ["-i", local_url(film), "-map", "0:a:0", "-af", filters, "-f", "null", "-"],
        where=str(film),
    )
    return _parse(said)


def louder(now: float | None, was: float | None) -> float:
    """How many LU louder; no sound counts as silence."""
    return _lufs(now) - _lufs(was)


def _lufs(value: float | None) -> float:
    return SILENCE_LUFS if value is None else max(SILENCE_LUFS, value)


def _parse(said: bytes) -> Loudness:
    momentary: list[tuple[float, float]] = []
    integrated, at = SILENCE_LUFS, 0.0
    for time, name, value in _LINE.findall(said):
        if time:
            at = float(time) + STEP_S
        elif name == b"M":
            momentary.append((at, float(value)))
        else:
            integrated = max(SILENCE_LUFS, float(value))
    return Loudness(integrated=integrated, momentary=tuple(momentary))
