"""Finds key frames that are safe to start at: every later frame must decode exactly."""

from __future__ import annotations

from collections.abc import Iterator

SEEKABLE_CODECS = frozenset(
    ("h264", "hevc", "vvc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "ffv1")
)
"""Predicting codecs whose key flag can be trusted (H.264's after `starts_clean`). Others that
predict (gif, apng, wmv, …) are decoded from their first frame."""

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_RECOVERY_POINT = 6
"""SEI payload type of ITU-T H.264 D.1.8."""


def starts_clean(packet: bytes, *, codec: str, extradata: bytes) -> bool:
    """Whether decoding may start at this packet, flagged as a key frame by the container.

    For H.264 only an IDR picture, or one with a recovery point of 0 frames, will do: an encoder
    that refreshes gradually flags pictures from which the image is whole only many frames later.
    """
    if codec != "h264":
        return codec in SEEKABLE_CODECS
    for unit in _h264_units(packet, extradata):
        kind = unit[0] & 31
        if kind == _H264_IDR:
            return True
        if kind == _H264_SEI and _recovery_frames(unit) == 0:
            return True
        if kind == _H264_SLICE:
            return False
    return False


def is_hidden(packet: bytes | memoryview, *, codec: str) -> bool:
    """Whether a packet shows nothing: VP8's alternate reference frames (RFC 6386, 9.1)."""
    return codec == "vp8" and len(packet) > 0 and not packet[0] & 16


def _h264_units(packet: bytes, extradata: bytes) -> Iterator[bytes]:
    if extradata[:1] == b"\x01" and len(extradata) > 4:
        yield from _length_prefixed(packet, (extradata[4] & 3) + 1)
    else:
        for part in packet.split(b"\x00\x00\x01")[1:]:
            if part:
                yield part


def _length_prefixed(packet: bytes, width: int) -> Iterator[bytes]:
    at = 0
    while at + width < len(packet):
        size = int.from_bytes(packet[at : at + width], "big")
        at += width
        if size:
            yield packet[at : at + size]
        at += size


def _recovery_frames(sei: bytes) -> int | None:
    """`recovery_frame_cnt` of an SEI unit's recovery point, None if it has none."""
    data = sei[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    at = 0
    while at + 2 < len(data):
        kind, at = _ff_coded(data, at)
        size, at = _ff_coded(data, at)
        if kind == _RECOVERY_POINT:
            return _exp_golomb(data[at : at + size])
        at += size
    return None


def _ff_coded(data: bytes, at: int) -> tuple[int, int]:
    total = 0
    while at < len(data):
        total += data[at]
        at += 1
        if data[at - 1] != 255:
            break
    return total, at


def _exp_golomb(data: bytes) -> int | None:
    bits = "".join(f"{byte:08b}" for byte in data)
    zeros = len(bits) - len(bits.lstrip("0"))
    code = bits[zeros : 2 * zeros + 1]
    return int(code, 2) - 1 if len(code) == zeros + 1 else None
