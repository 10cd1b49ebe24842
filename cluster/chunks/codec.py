"""One frame as bytes: (H, W, 3) uint16 in, the same array out, bit for bit.

`zstd` filters before it packs, all in arithmetic modulo 2^16 so that any frame survives: low bits
that are zero everywhere are shifted out; the first and third channel become differences from the
second; each value becomes the difference from what its left, upper and upper-left neighbours
predict (the plane predictor, left + up - upper left); signs are folded (0, -1, 1, -2 → 0, 1, 2, 3);
the low and the high bytes are packed apart. Measured on frames of ../shared/data/anime_sequence
scaled to 1080p, 8-bit codes, CPU time on one core, part of raw / pack / unpack: this .14 / 25 /
20 ms; the same zstd without the filter .39 / 23 / 9; JPEG XL effort 1 .15 / 13 / 50 with the shift
and .30 / 13 / 47 without. On film and on photographs the filter halves to thirds what plain zstd
gives; only drawings of a few flat colours (a GIF) pack as well without it.

Planes, as a delivery takes them, are packed by `pack_planes`: each row as its difference from the
row above, then zstd. The same frames at 2160p, 4:2:0 of 8 bits, part of raw / pack / unpack: this
.13 / 35 / 22 ms; by the plane predictor .13 / 35 / 47, without a filter .18 / 36 / 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import zstandard
from numpy.typing import NDArray

from cluster.errors import StoreError

Codec = Literal["zstd", "jxl", "raw"]
CODECS: tuple[Codec, ...] = get_args(Codec)

Pixels = NDArray[np.uint16]
"""(H, W, 3) uint16."""
Planes = tuple[NDArray[np.unsignedinteger[Any]], ...]
"""(rows, columns) each, all of them uint8 or all uint16."""

ZSTD_LEVEL = 1
"""Level 3 packs no better after the filter and takes half as long again."""
JXL_EFFORT = 1
BAND_ROWS = 64
"""Rows filtered at a time: a band stays in the cache, which halves the time of a 1080p frame."""
_LITTLE_ENDIAN = np.dtype("<u2")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFrame:
    """A frame packed to bytes; its values were shifted right by `shift` bits first."""

    codec: str
    shift: int
    data: bytes


def pack(pixels: Pixels, *, codec: str) -> PackedFrame:
    """Pack a frame. StoreError if there is no such codec or it is not installed."""
    if codec == "raw":
        data = np.ascontiguousarray(pixels, _LITTLE_ENDIAN).tobytes()
        return PackedFrame(codec=codec, shift=0, data=data)
    shift = _zero_bits(pixels)
    if codec == "zstd":
        packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        return PackedFrame(
            codec=codec, shift=shift, data=packer.compress(_filter(pixels, shift).data)
        )
    if codec == "jxl":
        shifted = np.ascontiguousarray(pixels >> shift)
        data = _jpeg_xl().jpegxl_encode(shifted, lossless=True, effort=JXL_EFFORT, numthreads=1)
        return PackedFrame(codec=codec, shift=shift, data=data)
    raise _unknown(codec)


def unpack_into(target: Pixels, packed: PackedFrame) -> None:
    """Unpack a frame into `target`, which has its shape. StoreError if that cannot be done."""
    if packed.codec == "raw":
        target[...] = np.frombuffer(packed.data, _LITTLE_ENDIAN).reshape(target.shape)
    elif packed.codec == "zstd":
        unpacker = zstandard.ZstdDecompressor()
        size = target.nbytes
        planes = np.frombuffer(unpacker.decompress(packed.data, max_output_size=size), np.uint8)
        _unfilter_into(target, planes, packed.shift)
    elif packed.codec == "jxl":
        pixels = _jpeg_xl().jpegxl_decode(packed.data, numthreads=1)
        np.left_shift(pixels.reshape(target.shape), packed.shift, out=target)
    else:
        raise _unknown(packed.codec)


def pack_planes(planes: Planes, *, codec: str) -> PackedFrame:
    """Pack planes. JPEG XL is for codes alone: where it is asked for, planes are packed by zstd."""
    if codec == "raw":
        data = b"".join(
            plane.astype(_little(plane.dtype), copy=False).tobytes() for plane in planes
        )
        return PackedFrame(codec=codec, shift=0, data=data)
    filtered = [_differences_down(plane) for plane in planes]
    if planes[0].itemsize == 2:
        folded = [((rows << 1) ^ (rows.view(np.int16) >> 15).view(np.uint16)) for rows in filtered]
        filtered = [rows.astype(np.uint8) for rows in folded]
        filtered += [(rows >> 8).astype(np.uint8) for rows in folded]
    packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    return PackedFrame(
        codec="zstd",
        shift=0,
        data=packer.compress(np.concatenate([rows.ravel() for rows in filtered]).data),
    )


def unpack_planes(
    packed: PackedFrame, shapes: Sequence[tuple[int, int]], dtype: np.dtype[Any]
) -> Planes:
    """The planes of these (rows, columns). StoreError if that cannot be done."""
    sizes = [rows * columns for rows, columns in shapes]
    total = sum(sizes)
    if packed.codec == "raw":
        whole = np.frombuffer(packed.data, _little(dtype), count=total).astype(dtype, copy=False)
    elif packed.codec == "zstd":
        unpacker = zstandard.ZstdDecompressor()
        size = total * dtype.itemsize
        whole = np.frombuffer(unpacker.decompress(packed.data, max_output_size=size), np.uint8)
        if dtype.itemsize == 2:
            low, high = whole.reshape(2, total)
            words = high.astype(np.uint16) << 8
            words |= low
            whole = (words >> 1) ^ -(words & 1)
    else:
        raise _unknown(packed.codec)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    planes = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return tuple(planes if packed.codec == "raw" else map(_sums_down, planes))


def _differences_down(plane: NDArray[Any]) -> NDArray[Any]:
    """Each row less the row above, modulo 2^bits."""
    rest = np.array(plane, order="C")
    rest[1:] -= plane[:-1]
    return rest


def _sums_down(rest: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `_differences_down`; row by row, three times as fast as numpy's `cumsum`."""
    plane = np.empty_like(rest)
    plane[:1] = rest[:1]
    for row in range(1, len(rest)):
        np.add(rest[row], plane[row - 1], out=plane[row])
    return plane


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _zero_bits(pixels: Pixels) -> int:
    """How many low bits are zero in every value."""
    bits = int(np.bitwise_or.reduce(pixels, axis=None))
    return (bits & -bits).bit_length() - 1 if bits else 0


def _filter(pixels: Pixels, shift: int) -> NDArray[np.uint8]:
    height, width, _ = pixels.shape
    packed = np.empty((2, 3, height, width), np.uint8)
    above = np.zeros((3, 1, width), np.uint16)
    for top in range(0, height, BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        planes = np.right_shift(pixels[rows].transpose(2, 0, 1), shift, order="C")
        planes[0] -= planes[1]
        planes[2] -= planes[1]
        across = planes.copy()
        across[:, :, 1:] -= planes[:, :, :-1]
        rest = across.copy()
        rest[:, :1] -= above
        rest[:, 1:] -= across[:, :-1]
        above = across[:, -1:]
        signed = rest.view(np.int16)
        folded = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
        packed[0, :, rows] = folded & 0xFF
        packed[1, :, rows] = folded >> 8
    return packed


def _unfilter_into(target: Pixels, packed: NDArray[np.uint8], shift: int) -> None:
    height, width, _ = target.shape
    low, high = packed.reshape(2, 3, height, width)
    above = np.zeros((3, width), np.uint16)
    for top in range(0, height, BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        planes = high[:, rows].astype(np.uint16)
        planes <<= 8
        planes |= low[:, rows]
        sign = -(planes & 1)
        planes >>= 1
        planes ^= sign
        planes[:, 0] += above
        for row in range(1, planes.shape[1]):
            planes[:, row] += planes[:, row - 1]
        above = planes[:, -1].copy()
        np.add.accumulate(planes, axis=2, out=planes)
        planes[0] += planes[1]
        planes[2] += planes[1]
        np.left_shift(planes.transpose(1, 2, 0), shift, out=target[rows])


def _jpeg_xl() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise StoreError(
            "a frame is kept as JPEG XL and imagecodecs is not installed",
            remedy="pip install 'imagecodecs>=2026.3', or set DOUGA_CELL=zstd for new frames",
        ) from error
    return imagecodecs


def _unknown(codec: str) -> StoreError:
    return StoreError(
        f"no frame codec {codec!r}", remedy=f"DOUGA_CELL must be one of {', '.join(CODECS)}"
    )
