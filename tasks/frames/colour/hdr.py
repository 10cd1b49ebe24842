"""Mastering display and light levels in each encoder's notation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cluster.errors import InputError

_MASTERING = re.compile(
    r"master-display=G\((\d+),(\d+)\)B\((\d+),(\d+)\)R\((\d+),(\d+)\)"
    r"WP\((\d+),(\d+)\)L\((\d+),(\d+)\)"
)
_LIGHT = re.compile(r"max-cll=(\d+),(\d+)")

XY_UNIT = 50000
"""Chromaticity is in units of 1/50000 (SMPTE ST 2086)."""
NIT_UNIT = 10000
"""Luminance is in units of 1/10000 cd/m2 (SMPTE ST 2086)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdr:
    """HDR side data; `Picture.hdr` is its `text()`.

    `mastering`: x, y of green, blue, red and white in units of 1/50000, then the greatest and
    least luminance in units of 1/10000 cd/m2. `light`: MaxCLL and MaxFALL in cd/m2.
    Either may be empty.
    """

    mastering: tuple[int, ...] = ()
    light: tuple[int, ...] = ()

    def text(self) -> str:
        """`master-display=G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min):max-cll=cll,fall`: x265's words."""
        parts = []
        if self.mastering:
            parts.append("master-display=" + _chromaticities([str(v) for v in self.mastering]))
        if self.light:
            parts.append(f"max-cll={self.light[0]},{self.light[1]}")
        return ":".join(parts)

    def x264_params(self) -> str:
        """The same for libx264's `-x264-params`."""
        return self.text().replace("master-display", "mastering-display").replace("max-cll", "cll")

    def svtav1_params(self) -> str:
        """The same for libsvtav1's `-svtav1-params`: decimal fractions and cd/m2."""
        parts = []
        if self.mastering:
            values = [f"{v / XY_UNIT:.5f}" for v in self.mastering[:8]]
            values += [f"{v / NIT_UNIT:.4f}" for v in self.mastering[8:]]
            parts.append("mastering-display=" + _chromaticities(values))
        if self.light:
            parts.append(f"content-light={self.light[0]},{self.light[1]}")
        return ":".join(parts)


def parse_hdr(text: str) -> Hdr:
    """The side data that `Hdr.text` wrote; InputError for words it does not write."""
    rest = text
    found: list[tuple[int, ...]] = []
    for pattern in (_MASTERING, _LIGHT):
        match = pattern.search(rest)
        found.append(tuple(int(value) for value in match.groups()) if match else ())
        rest = rest.replace(match[0], "") if match else rest
    if rest.strip(":"):
        raise InputError(f"HDR side data {rest.strip(':')!r}", remedy="expected Hdr.text()'s words")
    return Hdr(mastering=found[0], light=found[1])


def _chromaticities(v: list[str]) -> str:
    return f"G({v[0]},{v[1]})B({v[2]},{v[3]})R({v[4]},{v[5]})WP({v[6]},{v[7]})L({v[8]},{v[9]})"
