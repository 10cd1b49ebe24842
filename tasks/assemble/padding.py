"""A stream template that carries an encoder delay, for Matroska.

A decoder drops the first samples of most compressed sound. Matroska says how many in the track's
header (CodecDelay), mp4 in an edit list. ffmpeg's mp4 reader does not hand the number to its
Matroska writer, and PyAV has no way to set it; without it the writer moves every other stream of
the film to make room. Its Matroska reader does hand it over: so a header with one track that says
so is written here and read back. Element numbers: RFC 9559.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

import av
from av.container import InputContainer

CODEC_IDS: Mapping[str, str] = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "eac3": "A_EAC3",
    "mp3": "A_MPEG/L3",
    "mp2": "A_MPEG/L2",
    "dts": "A_DTS",
    "vorbis": "A_VORBIS",
    "opus": "A_OPUS",
}
"""Codecs whose headers are the same bytes in mp4 and in Matroska, by ffmpeg's name."""


def padded_template(
    codec: str, *, headers: bytes, rate: int, channels: int, padding: int
) -> InputContainer:
    """An open file whose only stream is `codec` sound with `padding` samples to drop first.

    The caller closes it. `headers` are the codec's own (extradata). KeyError: not in CODEC_IDS.
    """
    delay_ns = round(padding * 10**9 / rate)
    sound = _element(0xB5, struct.pack(">d", rate)) + _number(0x9F, channels)
    track = (
        _number(0xD7, 1)
        + _number(0x73C5, 1)
        + _number(0x83, 2)
        + _element(0x86, CODEC_IDS[codec].encode())
        + (_element(0x63A2, headers) if headers else b"")
        + _number(0x56AA, delay_ns)
        + _element(0xE1, sound)
    )
    head = _element(
        0x1A45DFA3, _element(0x4282, b"matroska") + _number(0x4287, 4) + _number(0x4285, 2)
    )
    info = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))
    tracks = _element(0x1654AE6B, _element(0xAE, track))
    cluster = _element(0x1F43B675, _number(0xE7, 0))
    data = head + _element(0x18538067, info + tracks + cluster)
    return av.open(io.BytesIO(data), mode="r", format="matroska")


def _element(number: int, payload: bytes) -> bytes:
    size = (1 << 56 | len(payload)).to_bytes(8, "big")
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + size + payload


def _number(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(8, "big"))
