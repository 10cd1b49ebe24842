"""Decoded frames as integer planes, at their own depth and size, with no arithmetic on samples.

Every pixel format that a decoder gives comes out planar, in a format of the same depth and
subsampling: packed samples are unpacked, bits moved down from the top of a word, palettes looked
up, alpha dropped. Only scene-linear floats (EXR) are computed on: see `_from_linear`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError

Plane = NDArray[np.uint8] | NDArray[np.uint16]
Samples = NDArray[np.unsignedinteger[Any]]
Planes = tuple[Plane, ...]
"""Y, U, V at their own sizes; R, G, B; or Y alone; (rows, columns) uint8 up to 8 bits, else
uint16. Read-only: they may be the decoder's own memory."""

_BYTES = {
    # Packed, one whole sample after the other; "-" is alpha or nothing.
    "rgb24": "RGB", "bgr24": "BGR", "rgba": "RGB-", "bgra": "BGR-", "argb": "-RGB", "abgr": "-BGR",
    "rgb0": "RGB-", "bgr0": "BGR-", "0rgb": "-RGB", "0bgr": "-BGR",
    "rgb48": "RGB", "bgr48": "BGR", "rgba64": "RGB-", "bgra64": "BGR-",
    "ya8": "Y-", "ya16": "Y-",
    "vuya": "VUY-", "vuyx": "VUY-", "ayuv": "-YUV", "uyva": "UYV-", "vyu444": "VYU",
    "ayuv64": "-YUV", "xv36": "UYV-", "xv48": "UYV-",
    # Two pixels a group.
    "yuyv422": "YUYV", "uyvy422": "UYVY", "yvyu422": "YVYU",
    "y210": "YUYV", "y212": "YUYV", "y216": "YUYV",
}  # fmt: skip
_HIGH_BITS = ("p0", "p2", "p4", "y21", "xv36")
"""Formats whose samples sit at the top of a 16-bit word."""
_BIT_FIELDS = {"x2rgb10": (20, 10, 0), "x2bgr10": (0, 10, 20)}
"""Right shifts to R, G and B in a 32-bit word of 10-bit fields."""
_FLOATS = ("gbrpf32", "gbrapf32")
_SUBSAMPLING = {
    (1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (4, 4): "410", (1, 2): "440",
}  # fmt: skip


@cache
def planar_format(coded: str) -> str:
    """The planar pixel format (ffmpeg's name) that frames in `coded` come out as.

    The same depth and subsampling; full-range twins (`yuvj420p`) lose their j, alpha goes, RGB is
    `gbrp…`, 16-bit words are little-endian. InputError for a format that is no plain picture.
    """
    described = _described(coded)
    colours = [part for part in described.components if not part.is_alpha]
    if _stem(coded) in _FLOATS:
        return "gbrp16le"
    depth = 8 if described.has_palette else max(part.bits for part in colours)
    depth = 8 if coded.startswith("mono") else depth
    suffix = "" if depth == 8 else f"{depth}le"
    if described.is_rgb or described.has_palette:
        target = f"gbrp{suffix}"
    elif len(colours) == 1:
        target = f"gray{suffix}"
    else:
        ratio = (64 // described.chroma_width(), 64 // described.chroma_height())
        target = f"yuv{_SUBSAMPLING.get(ratio, '?')}p{suffix}"
    if not _is_readable(coded) or depth < 8 or not _exists(target):
        raise InputError(
            f"pixel format {coded} is not supported",
            remedy="convert the source to a planar 8- to 16-bit format first",
        )
    return target


def has_alpha(coded: str) -> bool:
    """Whether a pixel format carries alpha, which planes do not."""
    return any(part.is_alpha for part in _described(coded).components) or coded == "pal8"


def planes_of(frame: av.VideoFrame) -> Planes:
    """The planes of one decoded frame, as `planar_format` of its format lays them out.

    Samples are the decoder's, bit for bit. Planar formats are not copied: the arrays keep the
    frame's memory alive and are read-only. InputError for a format that is no plain picture.
    """
    coded = frame.format.name
    planar_format(coded)
    stem = _stem(coded)
    if stem in _FLOATS:
        planes: list[Samples] = [_from_linear(_floats(frame, n)) for n in (2, 0, 1)]
    elif stem in _BYTES:
        planes = _packed(frame, _BYTES[stem])
    elif stem in _BIT_FIELDS:
        words = _rows(frame, 0, frame.width, 1, _word(frame, 4))[:, :, 0]
        planes = [((words >> shift) & 1023).astype(np.uint16) for shift in _BIT_FIELDS[stem]]
    elif coded == "pal8":
        palette = np.frombuffer(memoryview(frame.planes[1]), np.uint8).reshape(256, 4)
        pixels = _rows(frame, 0, frame.width, 1, np.dtype(np.uint8))[:, :, 0]
        planes = [palette[:, channel][pixels] for channel in (2, 1, 0)]
    elif coded in ("monow", "monob"):
        planes = [_bits(frame, white_is=int(coded == "monob"))]
    else:
        planes = _planar(frame)
    if stem.startswith(_HIGH_BITS):
        low = np.uint16(16 - frame.format.components[0].bits)
        planes = [np.right_shift(plane, low) for plane in planes]
    return tuple(_finished(plane) for plane in planes)


def widened(planes: Planes, *, coded: str, target: str) -> Planes:
    """Planes of a frame in `coded` as the sequence's wider format `target`, without loss.

    Grey becomes RGB, 8 bits become 16 by v * 257; nothing else is done. ValueError if `target`
    cannot hold the frame exactly.
    """
    have, want = planar_format(coded), planar_format(target)
    if have == want:
        return planes
    if not can_widen(coded, target):
        raise ValueError(f"{coded} does not fit {target}")
    if want.endswith("16le") and not have.endswith("16le"):
        planes = tuple(plane.astype(np.uint16) * np.uint16(257) for plane in planes)
    return planes * 3 if want.startswith("gbrp") and len(planes) == 1 else planes


def can_widen(coded: str, target: str) -> bool:
    """Whether `widened` can put a frame in `coded` into `target`."""
    have, want = planar_format(coded), planar_format(target)
    kinds = ("gray", "gbrp")
    return have == want or (
        have.removesuffix("16le") in kinds
        and want.removesuffix("16le") in kinds
        and kinds.index(have[:4]) <= kinds.index(want[:4])
        and (not have.endswith("16le") or want.endswith("16le"))
    )


@cache
def _described(coded: str) -> av.VideoFormat:
    try:
        return av.VideoFormat(coded, 64, 64)
    except ValueError as error:
        raise InputError(f"unknown pixel format {coded!r}") from error


def _exists(name: str) -> bool:
    try:
        av.VideoFormat(name, 64, 64)
    except ValueError:
        return False
    return True


def _stem(coded: str) -> str:
    return coded[:-2] if coded.endswith(("le", "be")) else coded


def _is_readable(coded: str) -> bool:
    described = _described(coded)
    stem = _stem(coded)
    if stem in _BYTES or stem in _BIT_FIELDS or stem in _FLOATS or described.has_palette:
        return True
    if coded in ("monow", "monob"):
        return True
    planar = described.is_planar or len(described.components) == 1
    whole = all(8 <= part.bits <= 16 for part in described.components)
    return planar and whole and not described.is_bayer and "msb" not in coded


def _planar(frame: av.VideoFrame) -> list[Samples]:
    parts = [part for part in frame.format.components if not part.is_alpha]
    size = 1 if max(part.bits for part in parts) <= 8 else 2
    planes: list[Samples] = []
    for part in parts:
        sharing = [other for other in parts if other.plane == part.plane]
        rows = _rows(frame, part.plane, part.width, len(sharing), _word(frame, size))
        # nv12 interleaves U, V; nv21 and nv42 V, U.
        place = sharing.index(part)
        if frame.format.name in ("nv21", "nv42") and len(sharing) == 2:
            place = 1 - place
        planes.append(rows[:, :, place])
    return planes


def _packed(frame: av.VideoFrame, order: str) -> list[Samples]:
    size = 1 if max(part.bits for part in frame.format.components) <= 8 else 2
    pixels = order.count("Y") if "Y" in order else 1
    groups = -(-frame.width // pixels)
    rows = _rows(frame, 0, groups, len(order), _word(frame, size))
    names = "YUV" if "U" in order else ("Y" if "Y" in order else "RGB")
    planes: list[Samples] = []
    for name in names:
        places = [place for place, found in enumerate(order) if found == name]
        plane = rows[:, :, places].reshape(frame.height, groups * len(places))
        planes.append(plane[:, : frame.width] if len(places) > 1 else plane)
    return planes


def _rows(
    frame: av.VideoFrame, plane: int, groups: int, per_group: int, dtype: np.dtype[Any]
) -> Samples:
    """A plane as (rows, groups, per_group), padding cut off, no copy."""
    memory = frame.planes[plane]
    rows = memory.buffer_size // memory.line_size
    table = np.frombuffer(memoryview(memory), np.uint8, count=rows * memory.line_size)
    used = table.reshape(rows, memory.line_size)[:, : groups * per_group * dtype.itemsize]
    return used.view(dtype).reshape(rows, groups, per_group)


def _word(frame: av.VideoFrame, size: int) -> np.dtype[Any]:
    return np.dtype(f"{'>' if frame.format.is_big_endian else '<'}u{size}")


def _bits(frame: av.VideoFrame, *, white_is: int) -> NDArray[np.uint8]:
    rows = _rows(frame, 0, -(-frame.width // 8), 1, np.dtype(np.uint8))[:, :, 0]
    bits = np.unpackbits(rows, axis=1)[:, : frame.width]
    return np.where(bits == white_is, np.uint8(255), np.uint8(0))


def _floats(frame: av.VideoFrame, plane: int) -> NDArray[np.float32]:
    order = ">f4" if frame.format.is_big_endian else "<f4"
    return _rows(frame, plane, frame.width, 1, np.dtype(order))[:, :, 0].astype(np.float32)


def _from_linear(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Scene-linear light in [0, 1] by the sRGB curve (IEC 61966-2-1) to 16 bits, else clipped."""
    light = np.clip(np.nan_to_num(light, nan=0.0, posinf=1.0, neginf=0.0), 0, 1).astype(np.float64)
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(signal * 65535), np.uint16)


def _finished(plane: Samples) -> Plane:
    if plane.dtype.itemsize > 1 and not plane.dtype.isnative:
        plane = plane.astype(plane.dtype.newbyteorder("="))
    view = plane.view()
    view.flags.writeable = False
    return cast(Plane, view)
