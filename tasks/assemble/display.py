"""The shape of a pixel, HDR side data and frame rate in a Matroska film's track header.

PyAV can set none of them for the Matroska writer: what it writes them from (the stream's own aspect
ratio, side data of the stream) has no setter, and it then calls the shape unknown. So the title of
the pictures' track is padded before writing, and when the film is whole its track entry is written
anew with the missing elements, in exactly as many bytes. Nothing else in the file moves. Element
numbers: RFC 9559.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cluster.errors import EncodeError
from tasks.frames.colour import parse_hdr
from tasks.frames.picture import Picture

ROOM = 210
"""Bytes kept for the elements: 14 for the shape, 130 for HDR, 9 for the rate, 20 for sizes that
grow."""
HEAD_BYTES = 1 << 20
"""The track header lies in the first bytes of a film, before any attachment."""

_SEGMENT, _TRACKS, _ENTRY, _NAME, _TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0x83
_VIDEO, _WIDTH, _HEIGHT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT = 0xE0, 0xB0, 0xBA, 0x54B0, 0x54BA
_DISPLAY_UNIT = 0x54B2
_COLOUR, _MAX_CLL, _MAX_FALL, _MASTERING = 0x55B0, 0x55BC, 0x55BD, 0x55D0
_CRC, _VOID = 0xBF, 0xEC
_DEFAULT_DURATION = 0x23E383
_RED_X, _WHITE_X, _MOST = 0x55D1, 0x55D7, 0x55D9
_PIXEL_TYPE_VIDEO = b"\x01"


def padded_title(title: str) -> str:
    """A track title with room behind it for `write_display` to use."""
    return title + " " * ROOM


def write_display(
    film: Path, picture: Picture, *, title: str, rate: Fraction | None = None
) -> None:
    """Write a picture's shape and HDR side data into a finished film whose track has room.

    `title` is the title without its padding. A constant `rate` is written as the frames' default
    duration, in whole nanoseconds; without it readers guess from timestamps in milliseconds.
    Errors: EncodeError if the header is not as expected.
    """
    with film.open("r+b") as file:
        head = bytearray(file.read(HEAD_BYTES))
        tracks = _find(head, 0, len(head), [_SEGMENT, _TRACKS])
        entry = next(
            part
            for part in _elements(head, tracks.body, tracks.end)
            if part.number == _ENTRY and _value(head, part, _TYPE) == _PIXEL_TYPE_VIDEO
        )
        room = entry.end - entry.body
        made = _rebuilt(bytes(head[entry.body : entry.end]), picture, title)
        if rate is not None:
            made += _number(_DEFAULT_DURATION, round(10**9 / rate))
        spare = room - len(made)
        if spare < 2:
            raise EncodeError("no room for the picture's shape in the track header")
        head[entry.body : entry.end] = made + _void(spare)
        _renew_crc(head, tracks)
        file.seek(tracks.start)
        file.write(head[tracks.start : tracks.end])


def display_size(width: int, height: int, *, sar: Fraction) -> tuple[int, int]:
    """Pixels wide and high that a picture is shown with, as ffmpeg rounds it."""
    return round(width * sar), height


@dataclass(frozen=True, slots=True)
class _Part:
    """An element at `start`, its payload in `[body, end)`."""

    number: int
    start: int
    body: int
    end: int


def _elements(data: bytes | bytearray, start: int, end: int) -> Iterator[_Part]:
    at = start
    while at < end:
        number, body = _read_number(data, at, keep_marker=True)
        size, body = _read_number(data, body, keep_marker=False)
        unknown = size == (1 << 7 * (body - at - _length(number))) - 1
        finish = end if unknown else body + size
        yield _Part(number, at, body, finish)
        at = finish


def _length(number: int) -> int:
    return (number.bit_length() + 7) // 8


def _read_number(data: bytes | bytearray, at: int, *, keep_marker: bool) -> tuple[int, int]:
    first = data[at]
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), at + length


def _find(data: bytes | bytearray, start: int, end: int, path: list[int]) -> _Part:
    for part in _elements(data, start, end):
        if part.number == path[0]:
            return part if len(path) == 1 else _find(data, part.body, end, path[1:])
    raise EncodeError("expected a Matroska track header in the film")


def _value(data: bytes | bytearray, parent: _Part, number: int) -> bytes:
    for part in _elements(data, parent.body, parent.end):
        if part.number == number:
            return bytes(data[part.body : part.end])
    return b""


def _rebuilt(entry: bytes, picture: Picture, title: str) -> bytes:
    """A track entry's payload with the picture's elements in place of the title's padding."""
    made = b""
    for part in _elements(entry, 0, len(entry)):
        payload = entry[part.body : part.end]
        if part.number == _NAME:
            made += _element(_NAME, title.encode()) if title else b""
        elif part.number == _VIDEO:
            made += _element(_VIDEO, _rebuilt_video(payload, picture))
        elif part.number not in (_VOID, _DEFAULT_DURATION):
            made += entry[part.start : part.end]
    return made


def _rebuilt_video(video: bytes, picture: Picture) -> bytes:
    made = colour = b""
    for part in _elements(video, 0, len(video)):
        if part.number == _COLOUR:
            colour = video[part.body : part.end]
        elif part.number not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT, _VOID):
            made += video[part.start : part.end]
    width, height = display_size(picture.width, picture.height, sar=picture.sar)
    made += _number(_DISPLAY_WIDTH, width) + _number(_DISPLAY_HEIGHT, height)
    if picture.hdr:
        kept = (
            colour[part.start : part.end]
            for part in _elements(colour, 0, len(colour))
            if part.number not in (_MAX_CLL, _MAX_FALL, _MASTERING)
        )
        colour = b"".join(kept) + _hdr(picture.hdr)
    return made + (_element(_COLOUR, colour) if colour else b"")


def _hdr(text: str) -> bytes:
    hdr = parse_hdr(text)
    made = b""
    if hdr.light:
        made += _number(_MAX_CLL, hdr.light[0]) + _number(_MAX_FALL, hdr.light[1])
    if hdr.mastering:
        green, blue, red, white = (hdr.mastering[at : at + 2] for at in (0, 2, 4, 6))
        points = [value / 50_000 for value in (*red, *green, *blue)]
        inner = b"".join(_float(_RED_X + place, value) for place, value in enumerate(points))
        inner += _float(_WHITE_X, white[0] / 50_000) + _float(_WHITE_X + 1, white[1] / 50_000)
        inner += _float(_MOST, hdr.mastering[8] / 10_000)
        inner += _float(_MOST + 1, hdr.mastering[9] / 10_000)
        made += _element(_MASTERING, inner)
    return made


def _renew_crc(head: bytearray, tracks: _Part) -> None:
    """A checksum, where there is one, comes first and is over all that follows it."""
    first = next(_elements(head, tracks.body, tracks.end))
    if first.number == _CRC:
        crc = zlib.crc32(head[first.end : tracks.end])
        head[first.body : first.end] = crc.to_bytes(4, "little")


def _element(number: int, payload: bytes) -> bytes:
    return number.to_bytes(_length(number), "big") + _size(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _float(number: int, value: float) -> bytes:
    return _element(number, struct.pack(">d", value))


def _size(size: int) -> bytes:
    length = next(count for count in range(1, 9) if size < (1 << 7 * count) - 1)
    return (size | 1 << 7 * length).to_bytes(length, "big")


def _void(room: int) -> bytes:
    """An element of exactly `room` bytes (2 or more) that says nothing."""
    length = 1 if room - 2 < 127 else 2
    body = room - 1 - length
    return bytes([_VOID]) + (body | 1 << 7 * length).to_bytes(length, "big") + bytes(body)
