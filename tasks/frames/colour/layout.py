"""How the planes of a pixel format lie: grey, Y'CbCr with its subsampling, or R'G'B'."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import av

from cluster.errors import InputError

Kind = Literal["grey", "yuv", "rgb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A pixel format without its alpha: `sub_x`, `sub_y` luma samples per chroma sample."""

    kind: Kind
    sub_x: int = 1
    sub_y: int = 1
    depth: int = 8

    def plane_shapes(self, *, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each plane; an odd size has its last chroma sample to itself."""
        if self.kind == "grey":
            return ((height, width),)
        chroma = (-(-height // self.sub_y), -(-width // self.sub_x))
        return ((height, width), chroma, chroma)


@cache
def layout_of(pix_fmt: str) -> Layout:
    """The layout of one of ffmpeg's pixel formats. InputError for one that is no picture."""
    try:
        described = av.VideoFormat(pix_fmt, 64, 64)
    except ValueError as error:
        raise InputError(f"unknown pixel format {pix_fmt!r}") from error
    colours = [part for part in described.components if not part.is_alpha]
    depth = max(part.bits for part in colours)
    if described.is_rgb or described.has_palette:
        return Layout(kind="rgb", depth=depth)
    if len(colours) == 1:
        return Layout(kind="grey", depth=depth)
    return Layout(
        kind="yuv",
        sub_x=64 // described.chroma_width(),
        sub_y=64 // described.chroma_height(),
        depth=depth,
    )
