"""Cuts a frame into windows of equal shape; the result is exactly that of the whole frame."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A window at `top`, `left` and the rectangle of the frame, half-open, that it makes."""

    top: int
    left: int
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Windows inside a frame for networks that pad their own edges; all of one shape.

    The frame is first padded at its end by `pad_bottom` and `pad_right`. What a patch makes of
    its window is at least the halo away from every edge of it that is not the frame's, so that it
    is what the network would make of the whole frame.
    """

    height: int
    width: int
    patches: tuple[Patch, ...]
    pad_bottom: int
    pad_right: int


def plan_patches(
    height: int, width: int, *, tile: int, halo: int | None, multiple: int = 1
) -> Patches:
    """Windows that make about `tile` pixels a side (0: the frame, up to `LARGEST_AREA` a window,
    more where the halo would cost more than it saves). One window where `halo` is None, and where
    a side is so short that windows across it would fall below `LEAST_EDGE`."""
    tall, wide = (ceil(edge / multiple) * multiple for edge in (height, width))
    small = min(tall, wide) < LEAST_EDGE or (tile == 0 and tall * wide <= LARGEST_AREA)
    if halo is None or small:
        rows, columns = [(0, (0, tall))], [(0, (0, wide))]
        window_height, window_width = tall, wide
    else:
        tile = tile or max(int(LARGEST_AREA**0.5), 4 * halo)
        rows, window_height = _shifts(tall, tile=tile, halo=halo, multiple=multiple)
        columns, window_width = _shifts(wide, tile=tile, halo=halo, multiple=multiple)
    return Patches(
        height=window_height,
        width=window_width,
        patches=tuple(
            Patch(top=top, left=left, rows=down, columns=across)
            for (top, down), (left, across) in product(rows, columns)
        ),
        pad_bottom=tall - height,
        pad_right=wide - width,
    )


def _shifts(
    length: int, *, tile: int, halo: int, multiple: int
) -> tuple[list[tuple[int, tuple[int, int]]], int]:
    """Where windows along one side start and what each makes, and the windows' common edge.

    A window at either end makes more than the others: its outer edge is the frame's.
    """
    reach = ceil(halo / multiple) * multiple
    inner = max(multiple, tile // multiple * multiple)
    least = ceil(LEAST_EDGE / multiple) * multiple
    edge = max(inner + 2 * reach, least)
    if edge >= length:
        return [(0, (0, length))], length
    made: list[tuple[int, tuple[int, int]]] = []
    done = 0
    while done < length:
        start = min(max(0, done - reach), length - edge)
        end = length if start + edge == length else start + edge - reach
        made.append((start, (done, end)))
        done = end
    return made, edge


def _starts(length: int, *, tile: int, least: int) -> tuple[tuple[int, ...], int]:
    """Where windows along one side start, and their common edge, at most `tile` but for `least`."""
    count = ceil(length / max(tile, least))
    edge = max(ceil(length / count), least)
    return tuple(min(at * edge, length - edge) for at in range(count)), edge
