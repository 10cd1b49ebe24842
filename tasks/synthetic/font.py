"""A small TrueType font, made here from pen strokes: capitals, figures and a few signs.

It is part of the project and under its licence. Lower case is small capitals. Format: the OpenType
specification's sfnt tables `cmap` (format 4), `glyf`, `head`, `hhea`, `hmtx`, `loca`, `maxp`,
`name`, `OS/2` and `post`.
"""

from __future__ import annotations

import itertools
import math
import struct
from functools import cache

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


@cache
def font_bytes() -> bytes:
    """The font file: a valid TrueType sfnt, the same bytes every time."""
    glyphs = _glyphs()
    order = sorted(glyphs)
    outlines = [_outline([[(60, 0), (60, 700), (460, 700), (460, 0)]]), b""]
    advances = [520, 320]
    codes: dict[int, int] = {ord(" "): 1}
    for code in order:
        contours, advance = glyphs[code]
        codes[code] = len(outlines)
        outlines.append(_outline(contours))
        advances.append(advance)
    loca, at = [0], 0
    for data in outlines:
        at += len(data)
        loca.append(at)
    count = len(outlines)
    points = max((struct.unpack(">h", d[:2])[0] for d in outlines if d), default=0)
    tables = {
        b"OS/2": _os2(min(codes), max(codes)),
        b"cmap": _cmap(codes),
        b"glyf": b"".join(outlines),
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, EM, 0, 0, 0, -160, EM, 900,
            0, 8, 2, 1, 0,
        ),
        b"hhea": struct.pack(">IhhhHhhhhhhhhhhhH", 0x10000, 880, -160, 0, max(advances), 0, 0, EM,
                             1, 0, 0, 0, 0, 0, 0, 0, count),
        b"hmtx": b"".join(struct.pack(">Hh", a, 0) for a in advances),
        b"loca": b"".join(struct.pack(">I", a) for a in loca),
        b"maxp": struct.pack(">IHHHHHHHHHHHHHH", 0x10000, count, points * 8, points, 0, 0, 1, 0, 0,
                             0, 0, 0, 0, 0, 0),
        b"name": _name(),
        b"post": struct.pack(">IIhhIIIII", 0x30000, 0, -100, 50, 0, 0, 0, 0, 0),
    }  # fmt: skip
    return _sfnt(tables)


Contour = list[tuple[int, int]]


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


def _outline(contours: list[Contour]) -> bytes:
    points = [p for contour in contours for p in contour]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    ends, total = [], 0
    for contour in contours:
        total += len(contour)
        ends.append(total - 1)
    data = struct.pack(">hhhhh", len(contours), min(xs), min(ys), max(xs), max(ys))
    data += b"".join(struct.pack(">H", e) for e in ends) + struct.pack(">H", 0)
    data += b"\x01" * len(points)
    for values in (xs, ys):
        steps = [values[0], *(b - a for a, b in itertools.pairwise(values))]
        data += b"".join(struct.pack(">h", step) for step in steps)
    return data + b"\0" * (-len(data) % 4)


def _cmap(codes: dict[int, int]) -> bytes:
    """Format 4: one segment a character, and the closing one."""
    order = sorted(codes)
    count = len(order) + 1
    reach = 1 << (count.bit_length() - 1)
    ends = [*order, 0xFFFF]
    deltas = [(codes[c] - c) & 0xFFFF for c in order] + [1]
    body = struct.pack(">HHHH", count * 2, reach * 2, reach.bit_length() - 1, (count - reach) * 2)
    body += struct.pack(f">{count}H", *ends) + struct.pack(">H", 0)
    body += struct.pack(f">{count}H", *ends) + struct.pack(f">{count}H", *deltas)
    body += struct.pack(f">{count}H", *([0] * count))
    table = struct.pack(">HHH", 4, len(body) + 6, 0) + body
    return struct.pack(">HHHHI", 0, 1, 3, 1, 12) + table


def _name() -> bytes:
    words = {
        0: "Made by douga", 1: FAMILY, 2: "Regular", 3: f"{FAMILY} 1", 4: FAMILY, 5: "Version 1.0",
        6: FAMILY.replace(" ", ""), 13: "Apache License 2.0",
    }  # fmt: skip
    records, text = b"", b""
    for number, word in words.items():
        data = word.encode("utf-16-be")
        records += struct.pack(">HHHHHH", 3, 1, 0x409, number, len(data), len(text))
        text += data
    return struct.pack(">HHH", 0, len(words), 6 + len(records)) + records + text


def _os2(first: int, last: int) -> bytes:
    return struct.pack(
        ">HhHHHhhhhhhhhhhh10sIIII4sHHHhhhHHIIhhHHH", 4, 560, 400, 5, 0, 500, 500, 0, 100, 500, 500,
        0, 300, 50, 300, 0, bytes(10), 1, 0, 0, 0, b"DOUG", 0x40, first, min(last, 0xFFFF), 880,
        -160, 0, 900, 200, 1, 0, 500, 700, 0, 32, 0,
    )  # fmt: skip


def _sfnt(tables: dict[bytes, bytes]) -> bytes:
    count = len(tables)
    reach = 1 << (count.bit_length() - 1)
    head = struct.pack(
        ">IHHHH", 0x10000, count, reach * 16, reach.bit_length() - 1, (count - reach) * 16
    )
    at = 12 + 16 * count
    directory, body = b"", b""
    for tag in sorted(tables):
        data = tables[tag]
        padded = data + b"\0" * (-len(data) % 4)
        directory += struct.pack(">4sIII", tag, checksum(padded), at + len(body), len(data))
        body += padded
    whole = head + directory + body
    adjustment = (0xB1B0AFBA - checksum(whole)) & 0xFFFFFFFF
    place = at + sum(len(tables[t]) + -len(tables[t]) % 4 for t in sorted(tables) if t < b"head")
    return whole[: place + 8] + struct.pack(">I", adjustment) + whole[place + 12 :]


def checksum(data: bytes) -> int:
    """The sfnt checksum: big-endian 32-bit words added up."""
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 4}I", data)
    return sum(words) & 0xFFFFFFFF
