"""Probes what a source holds besides its pictures, and where its streams begin on its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from cluster.errors import InputError

AudioMode = Literal["copy", "aac", "flac", "opus", "none"]
Kind = Literal["audio", "subtitle", "attachment", "cover"]

HEAD_PACKETS = 2000
"""How far probing reads before it gives up on a stream that shows nothing."""
HEAD_VIDEO_PACKETS = 34
"""Enough packets to hold the first shown frame: twice the 16 frames a codec may reorder, and 2."""
CLOCK_SLACK = Fraction(1, 1000)
"""Starts this close together differ by the rounding of a container's clock only."""

_TECHNICAL = {
    "encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "major_brand",
    "minor_version", "compatible_brands", "handler_name", "vendor_id", "filename", "mimetype",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRange:
    """`[start_s, end_s)` of a source, on the source's own clock (its timestamps as stored).

    `end_s` None goes to the end of the source; only the last range of a film may do so.
    A `silent` range is as long, without sound, subtitles and chapters.
    """

    path: Path
    start_s: Fraction
    end_s: Fraction | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Passthrough:
    """Where the film's sound, subtitles, fonts, chapters and words come from, in film order.

    The film's clock starts at 0 with the first range's start. One range without an end is a whole
    source: its streams are copied. Otherwise sound is cut to the sample and encoded once.
    `audio` "copy" means: as it is where the container holds it and nothing needs cutting, else
    encoded once; "aac", "flac" and "opus" encode once in any case.
    """

    ranges: tuple[SourceRange, ...]
    audio: AudioMode = "copy"
    subtitles: bool = True
    chapters: bool = True
    attachments: bool = True

    @property
    def whole(self) -> bool:
        """Whether the film is one whole source, in order."""
        return len(self.ranges) == 1 and self.ranges[0].end_s is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStream:
    """A stream that is not moving pictures.

    For sound, `first_s` is the time of the first packet and `audible_s` of the first sample that
    a decoder gives out: encoder delay and edit lists lie between them.
    """

    index: int
    kind: Kind
    codec: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: int = 0
    time_base: Fraction = Fraction(1, 1000)
    rate: int = 0
    channels: int = 0
    layout: str = ""
    bits: int = 16
    first_s: Fraction = Fraction(0)
    audible_s: Fraction = Fraction(0)

    @property
    def language(self) -> str:
        """ISO 639-2 code as the source has it, empty where it says none."""
        said = self.metadata.get("language", "")
        return "" if said == "und" else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A probed source. `chapters` are (start s, end s, metadata); `video_start_s` the first frame's
    time, None without video; `video` the metadata and disposition of the video stream."""

    path: Path
    format: str
    streams: tuple[SourceStream, ...]
    chapters: tuple[tuple[Fraction, Fraction, Mapping[str, str]], ...]
    metadata: Mapping[str, str]
    video_start_s: Fraction | None
    video_metadata: Mapping[str, str]
    video_disposition: int

    def of(self, kind: Kind) -> tuple[SourceStream, ...]:
        """Streams of one kind in the source's order."""
        return tuple(stream for stream in self.streams if stream.kind == kind)

    def origin_s(self, *, video_start_s: Fraction | None = None) -> Fraction:
        """The time on the source's clock that is 0 on the clock of a film of the whole source.

        The first frame's time (`video_start_s` where the caller knows it better than the
        container's rounded timestamp), unless sound that can be heard begins earlier: then the
        sound's, and the film's first frame starts that much later than 0.
        """
        video_s = self.video_start_s if video_start_s is None else video_start_s
        # Sound is heard from within a tick of a rounded time: the tick itself is the better guess.
        heard = [
            round(stream.audible_s / stream.time_base) * stream.time_base
            for stream in self.of("audio")
        ]
        if video_s is None:
            return min(heard, default=Fraction(0))
        earliest = min(heard, default=video_s)
        return earliest if earliest < video_s - CLOCK_SLACK else video_s


def probe_source(path: Path) -> Source:
    """Read a source's streams, and enough packets to know where each begins.

    Errors: InputError.
    """
    try:
        with av.open(str(path), metadata_errors="replace") as file:
            starts = _Starts.read(file)
            streams = tuple(
                described
                for stream in file.streams
                if (described := _describe(stream, starts)) is not None
            )
            video = main_video(file)
            return Source(
                path=path,
                format=file.format.name,
                streams=streams,
                chapters=tuple(
                    (
                        seconds(chapter["start"], chapter["time_base"]),
                        seconds(chapter["end"], chapter["time_base"]),
                        dict(chapter["metadata"]),
                    )
                    for chapter in file.chapters()
                ),
                metadata=spoken(file.metadata),
                video_start_s=starts.video_s,
                video_metadata=spoken(video.metadata) if video else {},
                video_disposition=int(video.disposition) if video else 0,
            )
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"cannot read the source: {error}", where=str(path)) from error


def main_video(file: InputContainer) -> VideoStream | None:
    """The stream of moving pictures: the first video stream that is not cover art."""
    return next((s for s in file.streams.video if not is_cover(s)), None)


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a still picture that belongs to the file."""
    return bool(int(stream.disposition) & Disposition.attached_pic)


def spoken(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that a person wrote: without what a muxer or encoder said of the old file."""
    kept = {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _TECHNICAL and not key.upper().startswith("_STATISTICS")
    }
    # ffmpeg writes a track's title in mp4 as "name", and reads it back under that word.
    if "name" in kept:
        kept.setdefault("title", kept.pop("name"))
    return kept


def seconds(ticks: int | None, time_base: Fraction | None) -> Fraction:
    """Exact seconds of a packet's or frame's time; 0 where it has none."""
    return (ticks or 0) * (time_base or Fraction(1))


def skipped_samples(packet: Packet[Any]) -> tuple[int, int]:
    """Samples that a decoder drops at a packet's start and end (two little-endian uint32)."""
    if not packet.has_sidedata("skip_samples"):
        return 0, 0
    data = bytes(packet.get_sidedata("skip_samples"))
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")


@dataclass(slots=True)
class _Starts:
    """First packet and first audible sample of every sound stream; first frame of the video."""

    first: dict[int, Fraction] = field(default_factory=dict)
    audible: dict[int, Fraction] = field(default_factory=dict)
    video_s: Fraction | None = None

    @classmethod
    def read(cls, file: InputContainer) -> _Starts:
        starts = cls()
        video = main_video(file)
        sound = list(file.streams.audio)
        shown: list[Fraction] = []
        seen = 0
        for packet in file.demux([*([video] if video else []), *sound]):
            if packet.size == 0 or packet.pts is None:
                continue
            seen += 1
            time = seconds(packet.pts, packet.time_base)
            if packet.stream is video:
                if not packet.is_discard and len(shown) < HEAD_VIDEO_PACKETS:
                    shown.append(time)
            else:
                starts._hear(packet, time)
            done = (not video or len(shown) == HEAD_VIDEO_PACKETS) and len(starts.audible) == len(
                sound
            )
            if done or seen >= HEAD_PACKETS:
                break
        starts.video_s = min(shown, default=None)
        return starts

    def _hear(self, packet: Packet[Any], time: Fraction) -> None:
        index = packet.stream.index
        self.first.setdefault(index, time)
        skip, _ = skipped_samples(packet)
        if index not in self.audible and (skip or not packet.is_discard):
            context = packet.stream.codec_context  # None for a codec that libav does not know
            late = Fraction(skip, context.sample_rate) if context and context.sample_rate else 0
            self.audible[index] = time + late


def _describe(stream: Stream, starts: _Starts) -> SourceStream | None:
    plain = SourceStream(
        index=stream.index,
        kind="attachment",
        codec="",
        metadata={key: stream.metadata.get(key, "") for key in ("filename", "mimetype")},
        disposition=int(stream.disposition),
        time_base=stream.time_base or Fraction(1, 1000),
    )
    if isinstance(stream, AttachmentStream):
        return plain
    if stream.codec_context is None:
        return None
    codec = stream.codec_context.codec.canonical_name
    if isinstance(stream, VideoStream):
        return replace(plain, kind="cover", codec=codec) if is_cover(stream) else None
    plain = replace(plain, codec=codec, metadata=spoken(stream.metadata))
    if isinstance(stream, SubtitleStream):
        return replace(plain, kind="subtitle")
    if not isinstance(stream, AudioStream):
        return None
    context = stream.codec_context
    first_s = starts.first.get(stream.index, Fraction(0))
    return replace(
        plain,
        kind="audio",
        rate=context.sample_rate,
        channels=context.channels,
        layout=context.layout.name,
        bits=32 if _is_lossless(codec) and context.format.bytes == 4 else 16,
        first_s=first_s,
        audible_s=starts.audible.get(stream.index, first_s),
    )


def _is_lossless(codec: str) -> bool:
    return codec.startswith("pcm_") or codec in {"flac", "alac", "truehd", "mlp", "tta", "wavpack"}
