"""Reads a finished film's facts by demuxing it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from cluster.errors import InputError
from tasks.assemble.source import is_cover, main_video, seconds, skipped_samples, spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFacts:
    """A sound stream, heard from `start_s` to `end_s`."""

    codec: str
    language: str
    title: str
    rate: int
    start_s: Fraction
    end_s: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleFacts:
    """A subtitle stream and when its cues begin."""

    codec: str
    language: str
    title: str
    starts_s: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFacts:
    """A film as it is. `times_s` are in show order; `clock_s` is one tick of the pictures' clock;
    `format` is "matroska" (webm too), "mp4" or "mov".

    `disorder` says in words what is wrong with the order of packets, empty if nothing. Tags are
    code points of ITU-T H.273 (0 or 2: not said), range 1 limited, 2 full. `said_s` is how long
    the container says that it is, `last_s` when the last packet of any stream ends.
    """

    format: str
    times_s: tuple[Fraction, ...]
    end_s: Fraction
    clock_s: Fraction
    codec: str
    width: int
    height: int
    pix_fmt: str
    sar: Fraction
    range: int
    matrix: int
    primaries: int
    transfer: int
    disorder: str = ""
    said_s: Fraction | None = None
    last_s: Fraction = Fraction(0)
    sounds: tuple[SoundFacts, ...] = ()
    subtitles: tuple[SubtitleFacts, ...] = ()
    chapters: tuple[tuple[Fraction, Fraction, str], ...] = ()
    attachments: tuple[str, ...] = ()
    covers: int = 0


def read_facts(film: Path) -> FilmFacts:
    """Demux a film. Errors: InputError if it is no film at all."""
    try:
        with av.open(str(film)) as file:
            return _read(file, film)
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"cannot read the film: {error}", where=str(film)) from error


def measure_sound(path: Path, index: int) -> SoundFacts | None:
    """When a sound stream of a source is heard, on its clock; None if it has no packets."""
    with av.open(str(path), metadata_errors="replace") as file:
        stream = file.streams[index]
        assert isinstance(stream, AudioStream)
        meter = _Meter(stream)
        for packet in file.demux(stream):
            meter.take(packet)
        return meter.facts()


class _Meter:
    """When sound is heard, from its packets."""

    def __init__(self, stream: AudioStream) -> None:
        self.stream = stream
        self.start_s: Fraction | None = None
        self.end_s = Fraction(0)

    def take(self, packet: Packet[Any]) -> None:
        if packet.size == 0 or packet.pts is None:
            return
        rate = self.stream.codec_context.sample_rate
        time = seconds(packet.pts, packet.time_base)
        head, tail = skipped_samples(packet)
        if self.start_s is None and (head or not packet.is_discard):
            self.start_s = time + Fraction(head, rate)
        duration = seconds(packet.duration, packet.time_base)
        self.end_s = max(self.end_s, time + duration - Fraction(tail, rate))

    def facts(self) -> SoundFacts | None:
        if self.start_s is None:
            return None
        words = _words(self.stream)
        return SoundFacts(
            codec=self.stream.codec_context.codec.canonical_name,
            language=words[0],
            title=words[1],
            rate=self.stream.codec_context.sample_rate,
            start_s=self.start_s,
            end_s=self.end_s,
        )


@dataclass(slots=True)
class _Pictures:
    """Times of the pictures' packets as they come."""

    times_s: list[Fraction] = field(default_factory=list)
    end_s: Fraction = Fraction(0)
    last_dts: int | None = None
    disorder: str = ""

    def take(self, packet: Packet[Any]) -> None:
        if packet.size == 0 or packet.is_discard:
            return
        number = len(self.times_s)
        if packet.pts is None:
            self.disorder = self.disorder or f"packet {number} has no time"
            return
        if packet.dts is not None:
            if self.last_dts is not None and packet.dts <= self.last_dts:
                self.disorder = self.disorder or f"packet {number} is decoded before the last one"
            if packet.dts > packet.pts:
                self.disorder = self.disorder or f"packet {number} is shown before it is decoded"
            self.last_dts = packet.dts
        time = seconds(packet.pts, packet.time_base)
        self.times_s.append(time)
        self.end_s = max(self.end_s, time + seconds(packet.duration, packet.time_base))


def _read(file: InputContainer, film: Path) -> FilmFacts:
    video = main_video(file)
    if video is None:
        raise InputError("expected a film, got no pictures", where=str(film))
    pictures = _Pictures()
    meters = {stream.index: _Meter(stream) for stream in file.streams.audio}
    starts: dict[int, list[Fraction]] = {s.index: [] for s in file.streams.subtitles}
    last_s = Fraction(0)
    for packet in file.demux([video, *file.streams.audio, *file.streams.subtitles]):
        index = packet.stream.index
        if packet.size and packet.pts is not None:
            last_s = max(last_s, seconds(packet.pts + (packet.duration or 0), packet.time_base))
        if packet.stream is video:
            pictures.take(packet)
        elif index in meters:
            meters[index].take(packet)
        elif packet.size > 2 and packet.pts is not None:
            # mp4 fills the time between cues with empty ones of two bytes.
            starts[index].append(seconds(packet.pts, packet.time_base))
    context = video.codec_context
    brand = file.metadata.get("major_brand", "")
    return FilmFacts(
        format="mov" if brand.startswith("qt") else "mp4" if brand else "matroska",
        times_s=tuple(sorted(pictures.times_s)),
        end_s=pictures.end_s,
        clock_s=video.time_base or Fraction(1, 1000),
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        pix_fmt=context.pix_fmt or "",
        sar=video.sample_aspect_ratio or Fraction(1),
        range=int(context.color_range),
        matrix=int(context.colorspace),
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
        disorder=pictures.disorder,
        said_s=None if file.duration is None else Fraction(file.duration, av.time_base),
        last_s=last_s,
        sounds=tuple(facts for meter in meters.values() if (facts := meter.facts()) is not None),
        subtitles=tuple(
            _subtitle_facts(stream, tuple(starts[stream.index]))
            for stream in file.streams.subtitles
        ),
        chapters=tuple(
            (
                seconds(chapter["start"], chapter["time_base"]),
                seconds(chapter["end"], chapter["time_base"]),
                chapter["metadata"].get("title", ""),
            )
            for chapter in file.chapters()
        ),
        attachments=tuple(
            stream.metadata.get("filename", "")
            for stream in file.streams
            if isinstance(stream, AttachmentStream)
        ),
        covers=sum(isinstance(s, VideoStream) and is_cover(s) for s in file.streams),
    )


def _subtitle_facts(stream: SubtitleStream, starts_s: tuple[Fraction, ...]) -> SubtitleFacts:
    language, title = _words(stream)
    return SubtitleFacts(
        codec=stream.codec_context.codec.canonical_name,
        language=language,
        title=title,
        starts_s=starts_s,
    )


def _words(stream: Stream) -> tuple[str, str]:
    words = spoken(stream.metadata)
    language = words.get("language", "")
    return "" if language == "und" else language, words.get("title", "")
