"""Compares a film's sound with its sources': the same sound at the same time, the same packets.

Both are decoded, mixed to one channel at 8 kHz and laid side by side, a twentieth of a second at a
time. Codecs at the rates that douga encodes with keep the wave itself below 4 kHz; another sound,
or the same one 10 ms off, leaves nothing in common. Memory is flat: some seconds are held.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.assemble.sound import Cut, Samples, SoundForm, join_sound
from tasks.assemble.source import seconds
from tasks.verify.align import align
from tasks.verify.expectation import FilmExpectation, SoundExpectation
from tasks.verify.findings import Finding, broken

RATE = 8000
FORM = SoundForm(rate=RATE, layout="mono", format="fltp")
HALF = RATE // 40
"""Windows are 50 ms long and begin every 25 ms."""
PART = 20 * RATE
"""Samples that are compared, and searched for a shift, at once."""
LOUD = 0.003
"""Root mean square (of 1) from which a window counts: -50 dB, where codecs still keep the wave."""
OTHER = 0.6
"""Share of both windows' energy in their difference from which they are different sounds: 0 for
equal ones, 1 for unrelated ones; AAC at 192 kbit/s stays under 0.1."""
SLACK = RATE * 3 // 1000
"""Clocks of 1 ms, rounded twice, move sound by so many samples at the most."""
RUN = 2
"""Windows in a row that must differ; one may be a coder's echo before a beat."""
NEAR_S, SAME_S = 1.0, 10.0
FARTHEST = 5 * RATE
SURE = 0.5
"""How alike (of 1) a shifted sound must be for the shift to be named."""
OWN_SHARE = 0.5
"""With fewer packets in common than this the container holds them cut in another way."""

JUMP_S = Fraction(1, 50)
"""Decoded sound this far from where it was due has a gap; its source may have had it too."""

Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Sound `[start_s, end_s)` that is not as it should be, and in words how it is."""

    start_s: float
    end_s: float
    got: str


def compare_sounds(film: Path, expected: FilmExpectation) -> list[Finding]:
    """Findings on every sound stream that both have; streams that lack are found elsewhere."""
    found: list[Finding] = []
    with av.open(str(film)) as file:
        indices = [stream.index for stream in file.streams.audio]
    for number, (index, due) in enumerate(zip(indices, expected.sounds, strict=False), 1):
        if not due.cuts:
            continue
        for stretch in _content(film, index, due):
            found.append(_finding(number, stretch, expected, "sound", "as in the source"))
        if due.copied:
            for stretch in _packets(film, index, due.cuts[0]):
                found.append(_finding(number, stretch, expected, "sound data", "source's packets"))
    return found


def decode_sounds(file: InputContainer) -> Iterator[Finding]:
    """Decode all sound; the first error and the first jump in each stream are findings."""
    sounds = list(file.streams.audio)
    checks = {stream.index: _SoundCheck(number) for number, stream in enumerate(sounds, 1)}
    for packet in file.demux(sounds) if sounds else ():
        yield from checks[packet.stream.index].packet(packet)


class _SoundCheck:
    """Follows one sound stream."""

    def __init__(self, number: int) -> None:
        self.where = f"sound {number}"
        self.due_s: Fraction | None = None
        self.quiet: set[str] = set()

    def packet(self, packet: Packet[Any]) -> Iterator[Finding]:
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            yield from self._once(broken(self.where, str(error)))
            return
        for frame in frames:
            if not isinstance(frame, AudioFrame):
                continue
            time = seconds(frame.pts, frame.time_base)
            if self.due_s is not None and abs(time - self.due_s) > JUMP_S:
                yield from self._once(
                    Finding(
                        what="gap in the sound",
                        where=self.where,
                        expected=f"{float(self.due_s):.3f} s",
                        got=f"{float(time):.3f} s",
                        severity="warning",
                    )
                )
            self.due_s = time + Fraction(frame.samples, frame.sample_rate)

    def _once(self, finding: Finding) -> Iterator[Finding]:
        if finding.what not in self.quiet:
            self.quiet.add(finding.what)
            yield finding


def _content(film: Path, index: int, due: SoundExpectation) -> list[_Stretch]:
    whole = Cut(path=film, index=index, start_s=Fraction(0), end_s=None)
    try:
        pairs = zip_longest(
            _parts(join_sound(due.cuts, form=FORM)), _parts(join_sound([whole], form=FORM))
        )
        bad: list[tuple[float, str]] = []
        for number, (wanted, came) in enumerate(pairs):
            bad += _compare(*_same_length(wanted, came), start_s=number * PART / RATE)
    except InputError as error:
        return [_Stretch(start_s=0, end_s=0, got=error.what)]
    return _stretches(bad)


def _parts(blocks: Iterator[Samples]) -> Iterator[Wave]:
    """Sound in parts of PART samples, the last one shorter."""
    held: list[Wave] = []
    count = 0
    for block in blocks:
        held.append(np.asarray(block[0], np.float32))
        count += block.shape[1]
        while count >= PART:
            line = np.concatenate(held)
            yield line[:PART]
            held = [line[PART:]]
            count -= PART
    if count:
        yield np.concatenate(held)


def _same_length(one: Wave | None, other: Wave | None) -> tuple[Wave, Wave]:
    """Both, the shorter filled up with silence, to whole windows."""
    sides = [np.zeros(0, np.float32) if side is None else side for side in (one, other)]
    length = -(-max(len(side) for side in sides) // HALF) * HALF
    wanted, came = (np.pad(side, (0, length - len(side))) for side in sides)
    return wanted, came


def _compare(wanted: Wave, came: Wave, *, start_s: float) -> list[tuple[float, str]]:
    """When the windows begin that differ, in seconds, each with what came in words."""
    loud, other = _differing(wanted, came)
    bad = loud & other
    if _longest(bad) < RUN:
        return []
    for lag in range(1, SLACK + 1):
        for one, two in ((wanted[lag:], came[:-lag]), (wanted[:-lag], came[lag:])):
            _, still = _differing(*_same_length(one, two))
            bad &= still[: len(bad)]
    if _longest(bad) < RUN:
        return []
    words = _shift(wanted, came, bad)
    return [(start_s + at * HALF / RATE, words) for at in np.flatnonzero(bad)]


def _differing(wanted: Wave, came: Wave) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each window whether it is loud on one side at least, and whether the sides differ."""
    both = _energy(wanted) + _energy(came)
    apart = _energy(wanted - came)
    return both > LOUD**2 * 2 * HALF, apart > OTHER * both


def _energy(wave: Wave) -> NDArray[np.float64]:
    halves = np.square(wave, dtype=np.float64).reshape(-1, HALF).sum(axis=1)
    return np.asarray(halves + np.append(halves[1:], 0), np.float64)


def _longest(bad: NDArray[np.bool_]) -> int:
    """The most windows in a row that are bad."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.view(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _shift(wanted: Wave, came: Wave, bad: NDArray[np.bool_]) -> str:
    """In words how the sound that came stands to the one wanted, by their correlation around the
    bad windows."""
    first, last = np.flatnonzero(bad)[[0, -1]]
    begin, until = max(0, first * HALF - RATE), (last + 2) * HALF + RATE
    one, two = wanted[begin:until], came[begin:until]
    power = float(np.sqrt(np.square(one).sum() * np.square(two).sum()))
    quiet = [float(np.median(_energy(wave)[bad])) <= LOUD**2 * HALF for wave in (came, wanted)]
    if quiet[0]:
        return "silence"
    if quiet[1] or not power:
        return "sound where there is none"
    size = 1 << (len(one) + len(two)).bit_length()
    spectrum = np.fft.rfft(two, size) * np.conj(np.fft.rfft(one, size))
    product = np.fft.irfft(spectrum, size)
    reach = min(FARTHEST, len(one) - 1)
    lags = np.arange(-reach, reach + 1)
    alike = product[lags] / power
    best = int(alike.argmax())
    if alike[best] < SURE or abs(lags[best]) <= SLACK:
        return "another sound"
    return f"{abs(lags[best]) / RATE:.3f} s {'late' if lags[best] > 0 else 'early'}"


def _stretches(bad: Sequence[tuple[float, str]]) -> list[_Stretch]:
    """Bad windows as stretches: near ones, and the same fault again within some seconds."""
    found: list[_Stretch] = []
    for start_s, got in bad:
        end_s = start_s + 2 * HALF / RATE
        reach = SAME_S if found and found[-1].got == got else NEAR_S
        if found and start_s - found[-1].end_s < reach:
            found[-1] = _Stretch(start_s=found[-1].start_s, end_s=end_s, got=found[-1].got)
        else:
            found.append(_Stretch(start_s=start_s, end_s=end_s, got=got))
    return found


def _packets(film: Path, index: int, cut: Cut) -> list[_Stretch]:
    """Where a copied stream's packets are not the source's; nothing if they are cut otherwise."""
    if cut.index is None:
        return []
    due, _ = _prints(cut.path, cut.index)
    came, times_s = _prints(film, index)
    differences = align(due, came)
    # What comes before the film's start, or after the last packet, is left out on purpose.
    inner = [
        d for d in differences if 0 < d.start < d.end < len(due) or d.found_end > d.found_start
    ]
    same = len(came) - sum(d.found_end - d.found_start for d in differences)
    if same < OWN_SHARE * len(came):
        return []
    found = []
    for difference in inner:
        start = min(difference.found_start, len(times_s) - 1)
        end = min(max(difference.found_end, start + 1), len(times_s) - 1)
        count = difference.found_end - difference.found_start
        got = f"{count} other(s)" if count else f"{difference.end - difference.start} missing"
        found.append(_Stretch(start_s=times_s[start], end_s=times_s[end], got=got))
    return found


def _prints(path: Path, index: int) -> tuple[list[bytes], list[float]]:
    """The digests of a stream's packets, and when each begins, in seconds."""
    digests, times = list[bytes](), list[float]()
    with av.open(str(path), metadata_errors="replace") as file:
        for packet in file.demux(file.streams[index]):
            if packet.size:
                digests.append(hashlib.blake2b(bytes(packet), digest_size=16).digest())
                times.append(float(seconds(packet.pts, packet.time_base)))
    return digests, times


def _finding(
    number: int, stretch: _Stretch, expected: FilmExpectation, what: str, due: str
) -> Finding:
    first, last = (
        max(0, bisect_right(expected.times_s, Fraction(time)) - 1)
        for time in (stretch.start_s, stretch.end_s)
    )
    return Finding(
        what=what,
        where=f"sound {number}, {stretch.start_s:.2f}-{stretch.end_s:.2f} s",
        expected=due,
        got=stretch.got,
        frames=(first, max(first, last) + 1),
    )
