"""Writes a film file: picture, sound, subtitles, font, chapters, tags, through PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet
from numpy.typing import NDArray

from cluster.errors import EncodeError, UsageError
from tasks.synthetic.colour import to_yuv420
from tasks.synthetic.description import Short
from tasks.synthetic.font import FILE_NAME, MIMETYPE, font_bytes
from tasks.synthetic.raster import Pixels
from tasks.synthetic.sound import make_sound
from tasks.synthetic.subtitles import ISO, TITLES, make_ass

Container = Literal["mkv", "mp4"]
CODECS = {"libx264": "libx264", "libx265": "libx265", "ffv1": "ffv1"}
_BT709 = 1
_LIMITED = 1
_SOUND_STEP = 4096
_X264 = "mbtree=0"
"""With its macroblock tree x264 gave 3 to 8 different streams in 10 runs of the same 96x64 frames
(none at 256x144 or 640x360; without it none at any size): the sample must be the same each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How the film is encoded. `gop` is the longest distance of key frames in frames.

    `options` go to the encoder as they are (`{"bf": "0"}`, `{"x264-params": "open-gop=1"}`).
    """

    codec: str = "libx264"
    crf: int = 8
    preset: str = "veryfast"
    gop: int = 48
    depth: Literal[8, 10] = 8
    container: Container = "mkv"
    options: dict[str, str] = field(default_factory=dict)


def write_film(path: Path, short: Short, frames: Iterable[Pixels], encoding: Encoding) -> None:
    """The short as one film file: bt709 limited picture, stereo sound, subtitles, chapters.

    mkv carries FLAC, two ASS tracks and the font; mp4 carries AAC and two mov_text tracks (it
    holds neither ASS nor fonts). Frame k is at k / rate exactly, to the container's tick.
    EncodeError if an encoder refuses.
    """
    if encoding.codec not in CODECS:
        raise UsageError(
            f"unknown codec {encoding.codec!r}", where="sample", remedy=f"one of {list(CODECS)}"
        )
    try:
        with av.open(str(path), "w", format=_FORMATS[encoding.container]) as out:
            _write(out, short, frames, encoding)
    except av.FFmpegError as error:
        raise EncodeError(f"cannot write the film: {error}", where=str(path)) from error


_FORMATS = {"mkv": "matroska", "mp4": "mp4"}


def _write(out: Any, short: Short, frames: Iterable[Pixels], encoding: Encoding) -> None:
    picture = _picture_stream(out, short, encoding)
    sound = _sound_stream(out, short, encoding)
    words = [_subtitle_stream(out, short, code, encoding) for code in ("en", "ja")]
    if encoding.container == "mkv":
        out.add_attachment(FILE_NAME, MIMETYPE, font_bytes())
    out.metadata["title"] = short.title
    out.set_chapters(
        [
            {
                "id": i + 1,
                "start": round(c.start / short.rate * 1000),
                "end": round(c.end / short.rate * 1000),
                "time_base": Fraction(1, 1000),
                "metadata": {"title": c.title},
            }
            for i, c in enumerate(short.chapters)
        ]
    )
    out.start_encoding()
    other = _merged([_sound_packets(sound, short), *(_words(*word, short) for word in words)])
    pending = next(other, None)
    for index, pixels in enumerate(frames):
        now = index / short.rate
        while pending is not None and pending[0] <= now:
            out.mux(pending[1])
            pending = next(other, None)
        planes = to_yuv420(pixels, depth=encoding.depth)
        frame = av.VideoFrame.from_ndarray(planes, format=_pix_fmt(encoding))
        frame.pts, frame.time_base = index, 1 / short.rate
        frame.color_range, frame.colorspace = _LIMITED, _BT709
        out.mux(picture.encode(frame))
    out.mux(picture.encode(None))
    while pending is not None:
        out.mux(pending[1])
        pending = next(other, None)


def _picture_stream(out: Any, short: Short, encoding: Encoding) -> Any:
    options = {"chroma_sample_location": "left", **encoding.options}
    if encoding.codec != "ffv1":
        options = {"crf": str(encoding.crf), "preset": encoding.preset, **options}
    if encoding.codec == "libx265":
        options.setdefault("x265-params", "log-level=error")
    if encoding.codec == "libx264":
        options["x264-params"] = f"{_X264}:{options.get('x264-params', '')}".rstrip(":")
    stream = out.add_stream(encoding.codec, rate=short.rate, options=options)
    stream.width, stream.height = short.width, short.height
    stream.pix_fmt = _pix_fmt(encoding)
    context = stream.codec_context
    context.time_base = 1 / short.rate
    context.gop_size = encoding.gop
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED
    stream.metadata["title"] = "Picture"
    stream.disposition = av.stream.Disposition.default
    return stream


def _pix_fmt(encoding: Encoding) -> str:
    return "yuv420p" if encoding.depth == 8 else "yuv420p10le"


def _sound_stream(out: Any, short: Short, encoding: Encoding) -> Any:
    codec = "flac" if encoding.container == "mkv" else "aac"
    stream = out.add_stream(codec, rate=short.sample_rate, layout="stereo")
    if codec == "aac":
        stream.bit_rate = 192_000
    stream.metadata["language"] = "eng"
    stream.metadata["title"] = "Stereo"
    stream.disposition = av.stream.Disposition.default
    return stream


def _subtitle_stream(
    out: Any, short: Short, code: Literal["en", "ja"], encoding: Encoding
) -> tuple[Any, Literal["en", "ja"], int]:
    kind = "ass" if encoding.container == "mkv" else "mov_text"
    stream = out.add_stream(kind)
    head = make_ass(short, code).split("Dialogue:")[0]
    stream.codec_context.subtitle_header = head.encode()
    stream.time_base = Fraction(1, 1000)
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.metadata["language"] = ISO[code]
    stream.metadata["title"] = TITLES[code]
    stream.disposition = (
        av.stream.Disposition.default if code == "en" else av.stream.Disposition.forced
    )
    return stream, code, 1000


Timed = tuple[Fraction, Any]


def _sound_packets(stream: Any, short: Short) -> Iterator[Timed]:
    sound = make_sound(short)
    whole = stream.codec_context.codec.name == "flac"
    pcm: NDArray[Any] = np.rint(sound * 32767).astype(np.int16) if whole else sound
    for at in range(0, sound.shape[1], _SOUND_STEP):
        part = np.ascontiguousarray(pcm[:, at : at + _SOUND_STEP])
        if whole:
            part = np.ascontiguousarray(part.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(part, format="s16" if whole else "fltp", layout="stereo")
        frame.sample_rate, frame.pts = short.sample_rate, at
        frame.time_base = Fraction(1, short.sample_rate)
        yield from ((Fraction(at, short.sample_rate), p) for p in stream.encode(frame))
    yield from ((short.seconds, p) for p in stream.encode(None))


def _words(stream: Any, code: Literal["en", "ja"], ticks: int, short: Short) -> Iterator[Timed]:
    lines = [c for c in short.captions if c.language == code]
    for number, caption in enumerate(sorted(lines, key=lambda c: c.start)):
        start = caption.start / short.rate
        first, last = round(start * ticks), round(caption.end / short.rate * ticks)
        line = f"{number},0,{caption.style},,0,0,0,,{caption.text}"
        packet = stream.codec_context.encode_subtitle(
            SubtitleSet.create(line.encode(), start=0, end=last - first, pts=first)
        )
        packet.stream, packet.time_base = stream, Fraction(1, ticks)
        packet.pts = packet.dts = first
        packet.duration = last - first
        yield start, packet


def _merged(streams: list[Iterator[Timed]]) -> Iterator[Timed]:
    """Packets of several streams in order of time."""
    heads = [(next(s, None), s) for s in streams]
    while live := [(head, s) for head, s in heads if head is not None]:
        first, source = min(live, key=lambda pair: pair[0][0])
        yield first
        heads = [(next(s, None) if s is source else head, s) for head, s in heads]
