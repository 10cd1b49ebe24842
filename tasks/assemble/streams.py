"""Decides what happens to every stream of a source in a container. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.assemble.padding import CODEC_IDS
from tasks.assemble.source import CLOCK_SLACK, AudioMode, Passthrough, Source, SourceStream

Container = Literal["mkv", "mp4", "mov", "webm"]
How = Literal["copy", "encode", "convert"]

MUXERS: Mapping[Container, str] = {"mkv": "matroska", "mp4": "mp4", "mov": "mov", "webm": "webm"}
"""ffmpeg's name of each container."""

_PCM = frozenset(
    f"pcm_{kind}" for kind in ("s16le", "s24le", "s32le", "f32le", "f64le", "s16be", "s24be")
)
_COMMON = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
SOUND: Mapping[Container, frozenset[str]] = {
    "mkv": _COMMON
    | _PCM
    | {"flac", "opus", "vorbis", "mp2", "dts", "truehd", "mlp", "tta", "wavpack", "pcm_u8"},
    "mp4": _COMMON | _PCM | {"flac", "opus", "dts", "truehd"},
    "mov": _COMMON | _PCM,
    "webm": frozenset({"opus", "vorbis"}),
}
"""Sound that a container holds by its own standard; what ffmpeg merely tolerates is left out."""
ENCODED_AS: Mapping[Container, str] = {"mkv": "flac", "mp4": "aac", "mov": "aac", "webm": "opus"}
"""The codec of sound that cannot be copied."""
SUBTITLES: Mapping[Container, frozenset[str]] = {
    "mkv": frozenset(
        {"ass", "ssa", "subrip", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
    ),
    "mp4": frozenset({"mov_text", "dvd_subtitle"}),
    "mov": frozenset({"mov_text"}),
    "webm": frozenset({"webvtt"}),
}
TEXT = frozenset({"ass", "ssa", "subrip", "webvtt", "mov_text", "text"})
CONVERTED_TO: Mapping[Container, str] = {
    "mkv": "subrip",
    "mp4": "mov_text",
    "mov": "mov_text",
    "webm": "webvtt",
}
"""The codec of subtitle text that cannot be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """One stream of the film besides its pictures: the k-th of its kind in every source.

    `codec` is ffmpeg's codec name in the film.
    """

    stream: SourceStream
    place: int
    how: How
    codec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmPlan:
    """Streams in film order, and in words what could not stay as it was."""

    streams: tuple[StreamPlan, ...] = ()
    notes: tuple[str, ...] = ()


def carries_delay(source: Source, stream: SourceStream) -> bool:
    """Whether ffmpeg hands a stream's encoder delay from this source's reader to a muxer."""
    return stream.codec == "opus" or source.format.startswith("matroska")


def plan_streams(source: Source, *, passthrough: Passthrough, container: Container) -> FilmPlan:
    """What happens to the streams of a film's (first) source."""
    plans: list[StreamPlan] = []
    notes: list[str] = []
    for place, stream in enumerate(source.of("audio")):
        if passthrough.audio == "none":
            notes.append(f"sound {place + 1} left out as asked")
            continue
        how, codec, note = _sound(source, stream, passthrough, container)
        plans.append(StreamPlan(stream=stream, place=place, how=how, codec=codec))
        notes += [f"sound {place + 1} {note}"] if note else []
    for place, stream in enumerate(source.of("subtitle") if passthrough.subtitles else ()):
        if stream.codec in SUBTITLES[container]:
            plans.append(StreamPlan(stream=stream, place=place, how="copy", codec=stream.codec))
        elif stream.codec in TEXT:
            target = CONVERTED_TO[container]
            plans.append(StreamPlan(stream=stream, place=place, how="convert", codec=target))
            notes.append(
                f"subtitle {place + 1} converted from {stream.codec} to {target}: "
                f"{container} cannot hold it as it is"
            )
        else:
            notes.append(f"subtitle {place + 1} ({stream.codec}) left out: not in {container}")
    if passthrough.attachments:
        _plan_files(source, container, plans, notes)
    return FilmPlan(streams=tuple(plans), notes=tuple(notes))


def _sound(
    source: Source, stream: SourceStream, passthrough: Passthrough, container: Container
) -> tuple[How, str, str]:
    wanted: AudioMode = passthrough.audio
    if wanted not in ("copy", "none"):
        if wanted in SOUND[container]:
            return "encode", wanted, f"encoded once as {wanted} as asked"
        target = ENCODED_AS[container]
        return "encode", target, f"encoded once as {target}: {container} does not hold {wanted}"
    target = ENCODED_AS[container]
    if not passthrough.whole:
        why = "cut or joined"
    elif stream.codec not in SOUND[container]:
        why = f"{container} does not hold {stream.codec}"
    elif not _trimmable(source, stream, passthrough, container):
        why = f"its start is cut within a packet of {stream.codec}"
    else:
        return "copy", stream.codec, ""
    return "encode", target, f"encoded once as {target}: {why}"


def _trimmable(
    source: Source, stream: SourceStream, passthrough: Passthrough, container: Container
) -> bool:
    """Whether the container can say which first samples are not to be heard."""
    if container in ("mp4", "mov") or stream.codec in CODEC_IDS:
        return True
    cut_s = passthrough.ranges[0].start_s - stream.audible_s
    delayed = stream.audible_s > stream.first_s
    return cut_s <= CLOCK_SLACK and (not delayed or carries_delay(source, stream))


def _plan_files(
    source: Source, container: Container, plans: list[StreamPlan], notes: list[str]
) -> None:
    fonts = source.of("attachment")
    if container == "mkv":
        plans += [
            StreamPlan(stream=font, place=place, how="copy", codec="")
            for place, font in enumerate(fonts)
        ]
    elif fonts:
        names = ", ".join(font.metadata.get("filename", "") for font in fonts)
        notes.append(f"attachments left out ({names}): {container} holds none")
    covers = source.of("cover")
    if container in ("mkv", "mp4"):
        plans += [
            StreamPlan(stream=cover, place=place, how="copy", codec=cover.codec)
            for place, cover in enumerate(covers)
        ]
    elif covers:
        notes.append(f"cover art left out: {container} holds none")
