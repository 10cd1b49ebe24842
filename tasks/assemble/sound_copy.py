"""Copies sound packets without decoding: which ones, and their times on the film's clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal

from tasks.assemble.clock import PacketGrid, find_grid
from tasks.assemble.source import CLOCK_SLACK, SourceStream, seconds, skipped_samples

PREROLL_S = Fraction(1, 10)
"""Packets kept before the first sample that is heard, so that decoders are warmed up: Opus asks
for 80 ms (RFC 7845), AAC and AC-3 for one packet."""
FIXED_PACKETS = frozenset({"aac", "ac3", "eac3", "mp3", "mp2", "opus"})
"""Codecs whose packets all last the same: a shorter one is the last, cut by the container."""
LIKELY_SAMPLES = 1024
"""Samples in a packet of AAC, and in ffmpeg's of PCM: the guess for streams too short to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedSound:
    """A sound stream to be copied.

    The first `skip` packets are left out; a decoder drops `padding` samples from there on.
    `origin_s` on the source's clock is 0 on the film's. `grid` is where all packets of the source
    are, where its own clock is too coarse to say.
    """

    stream: SourceStream
    skip: int
    padding: int
    origin_s: Fraction
    grid: PacketGrid | None = None


def settle_sound(
    path: Path, stream: SourceStream, *, origin_s: Fraction, exact: bool
) -> CopiedSound:
    """Where a stream's packets go in a film whose 0 is `origin_s` on the source's clock.

    Sound before the film's start is dropped by the decoder, to the sample. `exact` asks for
    better times than a coarse source clock (Matroska's 1 ms) has, and so does an origin between
    its ticks, lest times be rounded twice; finding them reads all packets.
    """
    delay = stream.audible_s - stream.first_s
    keep_from = max(stream.audible_s, origin_s) - PREROLL_S
    between = (origin_s / stream.time_base).denominator != 1
    improve = (exact or between) and stream.time_base * stream.rate > 1
    grid: PacketGrid | None = None
    skip, start_s, audible_s = 0, stream.first_s, stream.audible_s
    if improve or stream.first_s < keep_from:
        stamps = _stamps(path, stream.index)
        if improve:
            grid = find_grid(
                stamps, time_base=stream.time_base, rate=stream.rate, hint=LIKELY_SAMPLES
            )
            # Sound that may well start with the film does: the likelier reading of a coarse clock.
            grid = grid.drawn_to(origin_s - delay) if grid else None
        skip = max(0, sum(stamp * stream.time_base <= keep_from for stamp in stamps) - 1)
        start_s = grid.at(skip) if grid else stamps[skip] * stream.time_base
        audible_s = grid.start + delay if grid else audible_s
    if origin_s - audible_s > CLOCK_SLACK:
        audible_s = origin_s
    padding = round((audible_s - start_s) * stream.rate)
    return CopiedSound(
        stream=stream, skip=skip, padding=max(0, padding), origin_s=origin_s, grid=grid
    )


def copy_sound(
    path: Path, sound: CopiedSound, *, onto: AudioStream, trims_in_packet: bool
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """The stream's packets with their film times, for the film's stream `onto`.

    `trims_in_packet`: the container tells a decoder to drop samples at the end by side data
    (Matroska), not by a shorter packet (mp4).
    """
    stamper = _Stamper(sound, trims_in_packet)
    with av.open(str(path), metadata_errors="replace") as file:
        for packet in file.demux(file.streams[sound.stream.index]):
            if packet.size == 0 or packet.pts is None:
                continue
            start = stamper.stamp(packet)
            if start is not None:
                packet.stream = onto
                yield start, packet


class _Stamper:
    """Writes the film's times on the packets of one stream."""

    def __init__(self, sound: CopiedSound, trims_in_packet: bool) -> None:
        self.sound = sound
        self.trims_in_packet = trims_in_packet
        self.seen = 0
        self.last: int | None = None
        self.usual = 0

    def stamp(self, packet: Packet[Any]) -> Fraction | None:
        """Set the packet's times; None if it is left out."""
        sound, rate = self.sound, self.sound.stream.rate
        at, self.seen = self.seen, self.seen + 1
        if at < sound.skip:
            return None
        time = sound.grid.at(at) if sound.grid else seconds(packet.pts, packet.time_base)
        tick = round((time - sound.origin_s) * rate)
        if self.last is not None:
            tick = max(tick, self.last + 1)
        elif self.trims_in_packet:
            # Matroska holds no time before 0: rounding must not move the whole film.
            tick = max(tick, -sound.padding)
        duration = round(seconds(packet.duration, packet.time_base) * rate)
        if sound.grid and not self._ends_short(packet, duration):
            duration = sound.grid.samples
        packet.duration = self._trim(packet, duration)
        packet.time_base = Fraction(1, rate)
        packet.pts = packet.dts = self.last = tick
        return Fraction(tick, rate)

    def _ends_short(self, packet: Packet[Any], duration: int) -> bool:
        """Whether a packet on a grid is known to last less than the others: FLAC's last block."""
        assert self.sound.grid is not None
        slack = self.sound.stream.time_base * self.sound.stream.rate
        _, dropped = skipped_samples(packet)
        return not dropped and 0 < duration < self.sound.grid.samples - slack

    def _trim(self, packet: Packet[Any], duration: int) -> int:
        _, dropped = skipped_samples(packet)
        if not self.trims_in_packet:
            return max(1, duration - dropped) if duration else 0
        stream = self.sound.stream
        fixed = stream.codec in FIXED_PACKETS and stream.time_base * stream.rate <= 1
        shorter = self.usual - duration
        if fixed and duration and shorter > 0 and not dropped:
            _drop_at_end(packet, shorter)
            return self.usual
        self.usual = max(self.usual, duration)
        return duration


def _drop_at_end(packet: Packet[Any], samples: int) -> None:
    kind = packet_sidedata_type_from_literal("skip_samples")
    side = PacketSideData(kind, 10)  # type: ignore[call-arg]  # missing from PyAV's stubs
    side.update(bytes(4) + samples.to_bytes(4, "little") + bytes(2))
    packet.set_sidedata(side)


def _stamps(path: Path, index: int) -> list[int]:
    with av.open(str(path), metadata_errors="replace") as file:
        return [
            packet.pts
            for packet in file.demux(file.streams[index])
            if packet.size and packet.pts is not None
        ]
