"""Windows over a frame for networks that see a limited way: equal in shape, exact in result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil

LEAST_EDGE = 96
"""Least edge, in pixels with the halo, of a window: below some 83x83 (20,480 values of three
channels, torch 2.13 `use_mkldnn`) torch takes another convolution, whose last bits differ."""

LARGEST_AREA = 1 << 18
"""Most pixels of a window where nobody names a tile size: larger ones run no faster (measured on
one CPU core, a megapixel frame: whole 639 ms and 951 MiB, tiles of 256 648 ms and 292 MiB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Windows covering a frame that was padded by the halo (and to `LEAST_EDGE`, at its end).

    Every window is `height` x `width` pixels, halo not included; `corners` are their top left
    pixels. Windows may overlap: where they do they agree.
    """

    height: int
    width: int
    corners: tuple[tuple[int, int], ...]
    pad_bottom: int
    pad_right: int


def plan_tiles(height: int, width: int, *, tile: int, halo: int) -> Tiling:
    """Windows of about `tile` pixels a side (0: the frame, up to `LARGEST_AREA` a window)."""
    if tile == 0:
        tile = max(height, width) if height * width <= LARGEST_AREA else int(LARGEST_AREA**0.5)
    least = max(1, LEAST_EDGE - 2 * halo)
    rows, window_height = _starts(max(height, least), tile=tile, least=least)
    columns, window_width = _starts(max(width, least), tile=tile, least=least)
    return Tiling(
        height=window_height,
        width=window_width,
        corners=tuple(product(rows, columns)),
        pad_bottom=max(0, least - height),
        pad_right=max(0, least - width),
    )


def _starts(length: int, *, tile: int, least: int) -> tuple[tuple[int, ...], int]:
    """Where windows along one side start, and their common edge, at most `tile` but for `least`."""
    count = ceil(length / max(tile, least))
    edge = max(ceil(length / count), least)
    return tuple(min(at * edge, length - edge) for at in range(count)), edge
