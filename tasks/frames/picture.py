"""Describes a picture: size, pixel shape, colour, depth. Read, carried, written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

Matrix = Literal["rgb", "bt601", "bt709", "bt2020nc", "smpte240m", "fcc"]
"""Y'CbCr matrix: bt601 stands for both bt470bg and smpte170m (the same coefficients)."""
Range = Literal["limited", "full"]
Siting = Literal["left", "center", "topleft", "top", "bottomleft", "bottom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Size and colour of every frame of a track.

    `pix_fmt` is the source's (ffmpeg's name). `matrix`, `range` and `siting` are what conversion
    uses; `matrix_tag`, `primaries` and `transfer` are ffmpeg's names as the source had them, empty
    where untagged (`guessed` then names, in words, what was assumed and by which rule).
    `hdr` holds mastering-display and light-level side data as ffmpeg option text, else empty.
    """

    width: int
    height: int
    pix_fmt: str = "yuv420p"
    depth: int = 8
    sar: Fraction = Fraction(1)
    matrix: Matrix = "bt709"
    range: Range = "limited"
    siting: Siting = "left"
    matrix_tag: str = ""
    primaries: str = ""
    transfer: str = ""
    hdr: str = ""
    guessed: tuple[str, ...] = ()

    def scaled(self, factor: int) -> Picture:
        """The same picture `factor` times as wide and high."""
        return replace(self, width=self.width * factor, height=self.height * factor)
