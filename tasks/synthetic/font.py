"""A small TrueType font, made here from pen strokes: capitals, figures and a few signs.

It is part of the project and under its licence. Lower case is small capitals.
"""

from __future__ import annotations

import io
import itertools
import math
from functools import cache

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._g_l_y_f import Glyph

FAMILY = "Douga Sample"
FILE_NAME = "DougaSample.ttf"
MIMETYPE = "application/x-truetype-font"

EM = 1000
PEN = 84
"""Width of a stroke in font units."""

# Strokes on a grid 4 wide and 6 high, y up: points as digit pairs, strokes parted by spaces.
_LATIN = {
    "A": "002640 1232", "B": "000626353433 0333 33424130 3000", "C": "4536160501103041",
    "D": "00062644422000", "E": "40000646 0333", "F": "000646 0333",
    "G": "453616050110304143 4323", "H": "0006 4046 0343", "I": "2026 1030 1636",
    "J": "0110203136", "K": "0006 460340", "L": "060040", "M": "0006234640", "N": "00064046",
    "O": "100105163645413010", "P": "00063645443303", "Q": "100105163645413010 2240",
    "R": "00063645443303 2340", "S": "45361605041333424130 1001 3010", "T": "2026 0646",
    "U": "060110304146", "V": "062046", "W": "0610243046", "X": "0046 0640",
    "Y": "0623 4623 2320", "Z": "06460040", "0": "100105163645413010 0145", "1": "052620 1030",
    "2": "05163645440040", "3": "0516364544334241301001 1333", "4": "30360242",
    "5": "460603334241301001", "6": "453616050110304142 4233 3303", "7": "064610",
    "8": "130405163645443313 13020110304142 4233", "9": "01103041453616050413 1343",
    ".": "2021", ",": "2110", "!": "2622 2120", "?": "05163645442322 2120", "'": "2624",
    "-": "1333", ":": "2122 2425", "/": "0046", "(": "36252130", ")": "16252110",
    "+": "2125 0343", "=": "0242 0444", '"': "1614 3634",
}  # fmt: skip

# Signs on a grid 10 wide and 10 high.
_SIGNS = {
    "一": "0595", "三": "1888 2575 0292", "丁": "0898 585130", "目": "21298981 2181 2787 2484",
    "日": "21298981 2181 2585", "月": "10292989818171 2686 2484", "山": "5952 26218186",
    "ド": "3930 3673 6857 8866", "ン": "1846 116397", "！": "5953 5150", "…": "1112 5152 8182",
}  # fmt: skip


Contour = list[tuple[int, int]]


@cache
def font_bytes() -> bytes:
    """The font file: a valid TrueType sfnt, the same bytes every time."""
    glyphs = {
        ".notdef": ([[(60, 0), (60, 700), (460, 700), (460, 0)]], 520),
        "space": ([], 320),
        **{f"u{code:04X}": glyph for code, glyph in sorted(_glyphs().items())},
    }
    codes = {int(name[1:], 16): name for name in list(glyphs)[2:]}
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(" "): "space", **codes})
    builder.setupGlyf({name: _outline(contours) for name, (contours, _) in glyphs.items()})
    builder.setupHorizontalMetrics({name: (advance, 0) for name, (_, advance) in glyphs.items()})
    builder.setupHorizontalHeader(ascent=880, descent=-160)
    builder.setupNameTable(
        {
            "copyright": "Made by douga", "familyName": FAMILY, "styleName": "Regular",
            "uniqueFontIdentifier": f"{FAMILY} 1", "fullName": FAMILY, "version": "Version 1.0",
            "psName": FAMILY.replace(" ", ""), "licenseDescription": "Apache License 2.0",
        },
        mac=False,
    )  # fmt: skip
    builder.setupOS2(
        sTypoAscender=880, sTypoDescender=-160, usWinAscent=900, usWinDescent=200,
        sxHeight=500, sCapHeight=700, achVendID="DOUG", fsType=0, fsSelection=0x40,
    )  # fmt: skip
    builder.setupPost(keepGlyphNames=False)
    builder.updateHead(created=0, modified=0)  # the same bytes every time
    data = io.BytesIO()
    builder.save(data)
    return data.getvalue()


def _glyphs() -> dict[int, tuple[list[Contour], int]]:
    """Contours and advance of every character."""
    out: dict[int, tuple[list[Contour], int]] = {}
    for character, strokes in _LATIN.items():
        out[ord(character)] = (_contours(strokes, 110, 116, 70, 42), 580)
        if character.isalpha():
            out[ord(character.lower())] = (_contours(strokes, 92, 84, 60, 42), 488)
    for character, strokes in _SIGNS.items():
        out[ord(character)] = (_contours(strokes, 92, 88, 60, -70), EM)
    return out


def _contours(strokes: str, dx: int, dy: int, left: int, base: int) -> list[Contour]:
    """Every straight piece of every stroke as its own clockwise box, with squared ends."""
    out: list[Contour] = []
    for stroke in strokes.split():
        pairs = [stroke[i : i + 2] for i in range(0, len(stroke) - 1, 2)]
        path = [(left + int(p[0]) * dx, base + int(p[1]) * dy) for p in pairs]
        for (ax, ay), (bx, by) in itertools.pairwise(path):
            long = math.hypot(bx - ax, by - ay)
            if long == 0:
                continue
            ux, uy = (bx - ax) / long * PEN / 2, (by - ay) / long * PEN / 2
            box = [
                (ax - ux - uy, ay - uy + ux), (bx + ux - uy, by + uy + ux),
                (bx + ux + uy, by + uy - ux), (ax - ux + uy, ay - uy - ux),
            ]  # fmt: skip
            out.append([(round(x), round(y)) for x, y in box])
    return out


def _outline(contours: list[Contour]) -> Glyph:
    pen = TTGlyphPen(None)
    for first, *others in contours:
        pen.moveTo(first)
        for point in others:
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()
