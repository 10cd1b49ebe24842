"""Subtitles on the film's clock: copied, cut to ranges, or turned into another text format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet

from tasks.assemble.source import seconds

CLOCK = Fraction(1, 1000)
"""Subtitles are kept in whole milliseconds: ASS has hundredths, SRT and WebVTT thousandths."""
_DRAWING = re.compile(rb"\{[^}]*\\p[1-9]")
_EMPTY_MOV_TEXT = b"\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something shown from `start_s` to `end_s`; equal where the format does not say until when.

    `packet` is the coded form; `text` ASS text with its inline tags, where it was asked for.
    """

    start_s: Fraction
    end_s: Fraction
    packet: Packet[Any] | None = None
    text: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """The cues of one subtitle stream in order, and its ASS header where text was asked for."""

    cues: tuple[Cue, ...]
    header: bytes = b""


def read_cues(path: Path, indices: Iterable[int], *, texts: frozenset[int]) -> dict[int, Cues]:
    """Cues of several subtitle streams on the source's clock, in one pass over the file.

    `texts` are the indices whose cues are also wanted as ASS text; drawings are left out there.
    """
    found: dict[int, list[Cue]] = {index: [] for index in indices}
    headers: dict[int, bytes] = {}
    if not found:
        return {}
    with av.open(str(path), metadata_errors="replace") as file:
        for packet in file.demux([file.streams[index] for index in found]):
            if packet.size == 0 or packet.pts is None or bytes(packet) == _EMPTY_MOV_TEXT:
                continue
            index = packet.stream.index
            start = seconds(packet.pts, packet.time_base)
            end = start + seconds(packet.duration, packet.time_base)
            if index not in texts:
                found[index].append(Cue(start_s=start, end_s=end, packet=packet))
                continue
            for shown in packet.decode():
                line = getattr(shown, "ass", b"")
                if line and not _DRAWING.search(line):
                    text = line.split(b",", 8)[-1]
                    found[index].append(Cue(start_s=start, end_s=end, text=text))
        for index in texts:
            stream = cast(SubtitleStream, file.streams[index])
            headers[index] = stream.codec_context.subtitle_header or b""
    return {
        index: Cues(
            cues=tuple(sorted(cues, key=lambda cue: cue.start_s)), header=headers.get(index, b"")
        )
        for index, cues in found.items()
    }


def move_cues(
    cues: Iterable[Cue], *, start_s: Fraction, end_s: Fraction | None, film_s: Fraction
) -> list[Cue]:
    """Cues shown within `[start_s, end_s)`, clipped to it, moved so that it begins at `film_s`."""
    moved = []
    for cue in cues:
        begin = max(cue.start_s, start_s)
        finish = cue.end_s if end_s is None else min(cue.end_s, end_s)
        open_ended = cue.start_s == cue.end_s
        if open_ended and (cue.start_s < start_s or (end_s is not None and begin >= end_s)):
            continue
        if not open_ended and finish <= begin:
            continue
        shift = film_s - start_s
        moved.append(replace(cue, start_s=begin + shift, end_s=max(begin, finish) + shift))
    return moved


def flatten_cues(cues: Sequence[Cue]) -> list[Cue]:
    """Text cues as formats hold them that show one thing at a time: no two overlap.

    Where several are on screen at once, their texts follow one another on lines of their own.
    """
    edges = sorted({time for cue in cues for time in (cue.start_s, cue.end_s)})
    waiting = sorted(cues, key=lambda cue: cue.start_s)
    flat: list[Cue] = []
    active: list[Cue] = []
    at = 0
    for begin, finish in pairwise(edges):
        while at < len(waiting) and waiting[at].start_s <= begin:
            active.append(waiting[at])
            at += 1
        active = [cue for cue in active if cue.end_s > begin]
        text = rb"\N".join(cue.text for cue in active)
        if not text:
            continue
        if flat and flat[-1].end_s == begin and flat[-1].text == text:
            flat[-1] = replace(flat[-1], end_s=finish)
        else:
            flat.append(Cue(start_s=begin, end_s=finish, text=text))
    return flat


def copied_packets(
    cues: Iterable[Cue], *, renumber: bool
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Packets of cues as they are, on the film's clock.

    `renumber`, for ASS only, gives its lines a new reading order: players drop a line whose
    number they have seen, and joined sources number theirs alike.
    """
    for number, cue in enumerate(cues):
        if cue.packet is None:
            continue
        packet = cue.packet
        if renumber:
            packet = Packet(b"%d,%s" % (number, bytes(packet).split(b",", 1)[-1]))
        yield cue.start_s, _stamp(packet, cue)


def converted_packets(
    cues: Sequence[Cue], *, context: SubtitleCodecContext
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Packets of text cues in the format of an open encoder, on the film's clock."""
    for number, cue in enumerate(flatten_cues(cues)):
        line = b"%d,0,Default,,0,0,0,,%s" % (number, cue.text)
        length = round((cue.end_s - cue.start_s) / CLOCK)
        packet = context.encode_subtitle(SubtitleSet.create(line, 0, length))
        yield cue.start_s, _stamp(packet, cue)


def _stamp(packet: Packet[Any], cue: Cue) -> Packet[Any]:
    packet.time_base = CLOCK
    start, end = round(cue.start_s / CLOCK), round(cue.end_s / CLOCK)
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet
