"""Hair: what hangs behind the head and what falls over the face, in four cuts.

Head units, as in face.py. Locks bend with the actor's `sway`.
"""

from __future__ import annotations

import itertools
import math

from tasks.synthetic.cast import Acting, Actor
from tasks.synthetic.cel import Cel, ink_of
from tasks.synthetic.curves import Outline, line, moved, outline

Drawn = list[list[float]]

CROWN: Drawn = [[-121, -36], [-108, -102], [-62, -146], [0, -158], [62, -146], [108, -102],
                [121, -36]]  # fmt: skip


def draw_back_hair(cel: Cel, actor: Actor, acting: Acting, *, pen: float) -> None:
    """The mass behind head and neck, in the hair's shadow tone where it hangs free."""
    make = {"bob": _bob, "long": _long, "short": _short, "tails": _tails}[actor.hair_style]
    make(cel, actor, acting, pen)


def fringe(actor: Actor, acting: Acting) -> Outline:
    """The front hair as one shape: crown, and spikes over the brow."""
    tips: Drawn
    if actor.hair_style == "short":
        crown: Drawn = [
            [-112, 26, 1], [-124, -20], [-140, -40, 1], [-122, -64], [-120, -84], [-130, -112, 1],
            [-98, -118], [-76, -138], [-74, -172, 1], [-40, -156], [-4, -160], [22, -190, 1],
            [42, -156], [74, -142], [112, -148, 1], [106, -112], [118, -80], [144, -62, 1],
            [124, -34], [114, 22, 1],
        ]  # fmt: skip
        tips = [[104, -20, 1], [88, 20, 1], [70, -44, 1], [40, 6, 1], [26, -52, 1], [-20, 12, 1],
                [-30, -44, 1], [-66, 16, 1], [-78, -32, 1], [-100, 30, 1]]  # fmt: skip
    else:
        crown = [[-112, 64, 1], *CROWN, [112, 64, 1]]
        tips = [[97, -8, 1], [78, 14, 1], [64, -42, 1], [42, 12, 1], [26, -46, 1], [-4, 20, 1],
                [-22, -40, 1], [-48, 14, 1], [-62, -34, 1], [-80, 20, 1], [-96, -6, 1]]  # fmt: skip
    falling = _spiked([[112, 64, 1], *tips, [-112, 64, 1]])[1:-1]
    drawn = [_swept(p, acting) for p in [*crown, *falling]]
    return outline(drawn)


def draw_front_hair(cel: Cel, actor: Actor, acting: Acting, *, pen: float) -> None:
    """Side locks, the fringe with its shine and its strands."""
    if actor.hair_style in ("bob", "long", "tails"):
        for side in (-1, 1):
            _lock(cel, actor, acting, side, pen)
    shape = fringe(actor, acting)
    turn = 26 * acting.yaw
    shine = outline(
        [_swept(p, acting) for p in [
            [-92 + turn, -66, 1], [-72 + turn, -92], [-36 + turn, -108], [4 + turn, -110],
            [34 + turn, -104, 1], [30 + turn, -88, 1], [18 + turn, -97, 1], [8 + turn, -78, 1],
            [-6 + turn, -96, 1], [-18 + turn, -66, 1], [-32 + turn, -92, 1], [-48 + turn, -58, 1],
            [-58 + turn, -82, 1], [-76 + turn, -50, 1], [-78 + turn, -72, 1],
        ]]
    )  # fmt: skip
    dark = outline(
        [[66 + turn * 0.6, -170], [150, -120], [150, 90], [84, 90], [70 + turn * 0.6, 0],
         [84 + turn * 0.5, -70]]
    )  # fmt: skip
    name = f"{actor.name} hair"
    cel.paint(
        shape, actor.hair, name, shadows=[dark], lights=[shine], pen=pen * 1.1,
        ink=ink_of(actor.hair), taper=0.4,
    )  # fmt: skip
    for start, middle, end in (
        ((-22, -40), (-26, -80), (-14, -118)),
        ((26, -46), (26, -88), (8, -126)),
        ((64, -44), (66, -84), (42, -122)),
        ((-62, -34), (-66, -72), (-44, -112)),
    ):
        strand = line([_swept([float(x), float(y)], acting) for x, y in (start, middle, end)])
        cel.ink(strand, pen * 0.75, colour=ink_of(actor.hair), taper=0.15, clip=shape)


def _bob(cel: Cel, actor: Actor, acting: Acting, pen: float) -> None:
    s = acting.sway
    drawn: Drawn = [
        [-118, -30], [-106, -104], [-60, -146], [0, -156], [60, -146], [106, -104], [118, -30],
        [128, 60], [134 + 8 * s, 128], [120 + 14 * s, 166, 1], [92 + 9 * s, 148],
        [78 + 12 * s, 172, 1], [40 + 6 * s, 152], [0, 158], [-40 + 6 * s, 152],
        [-76 + 12 * s, 174, 1], [-92 + 9 * s, 148], [-122 + 14 * s, 164, 1], [-134 + 8 * s, 126],
        [-128, 60],
    ]  # fmt: skip
    _mass(cel, actor, outline(drawn), acting, pen)


def _long(cel: Cel, actor: Actor, acting: Acting, pen: float) -> None:
    s = acting.sway

    def bend(x: float, y: float, *corner: float) -> list[float]:
        low = max(y - 40, 0) / 320
        return [x + s * 60 * low * low + 10 * s * low * math.sin(x / 30), y, *corner]

    drawn: Drawn = [
        [-118, -30], [-106, -104], [-60, -146], [0, -156], [60, -146], [106, -104], [118, -30],
        bend(132, 80), bend(142, 190), bend(136, 300), bend(124, 372, 1), bend(104, 322),
        bend(78, 392, 1), bend(52, 334), bend(10, 398, 1), bend(-22, 336), bend(-62, 394, 1),
        bend(-90, 326), bend(-122, 376, 1), bend(-138, 296), bend(-142, 190), bend(-132, 80),
    ]  # fmt: skip
    _mass(cel, actor, outline(drawn), acting, pen)


def _short(cel: Cel, actor: Actor, acting: Acting, pen: float) -> None:
    s = 4 * acting.sway
    drawn: Drawn = [
        [-112, -40], [-100, -104], [0, -150], [100, -104], [112, -40], [118, 30], [122 + s, 72, 1],
        [98, 66], [92 + s, 112, 1], [50, 100], [0, 110], [-50, 100], [-90 + s, 114, 1], [-98, 66],
        [-120 + s, 76, 1], [-116, 30],
    ]  # fmt: skip
    _mass(cel, actor, outline(drawn), acting, pen)


def _tails(cel: Cel, actor: Actor, acting: Acting, pen: float) -> None:
    s = acting.sway
    name = f"{actor.name} hair"
    for side in (-1, 1):

        def bend(x: float, y: float, *corner: float, side: int = side) -> list[float]:
            low = (y + 70) / 360
            return [side * x + s * 70 * low * low, y - 14 * abs(s) * low, *corner]

        drawn = [
            bend(104, -92, 1), bend(140, -106), bend(184, -60), bend(204, 40), bend(206, 140),
            bend(190, 236), bend(166, 300, 1), bend(164, 240), bend(142, 268, 1), bend(142, 150),
            bend(132, 50), bend(122, -20),
        ]  # fmt: skip
        shape = outline(drawn)
        cel.paint(
            shape, actor.hair, name, shadows=[moved(shape, x=34, y=24)], pen=pen,
            ink=ink_of(actor.hair),
        )  # fmt: skip
        for offset in (150.0, 172.0):
            strand = line([bend(offset - 20, -70), bend(offset, 40), bend(offset + 2, 190)])
            cel.ink(strand, pen * 0.7, colour=ink_of(actor.hair), taper=0.15, clip=shape)
    cap: Drawn = [[-116, -30], *CROWN[1:-1], [116, -30], [104, 60], [60, 96], [-60, 96], [-104, 60]]
    _mass(cel, actor, outline(cap), acting, pen)
    for side in (-1, 1):
        tie: Drawn = [[side * 100, -108], [side * 122, -112], [side * 124, -80], [side * 104, -76]]
        cel.paint(outline(tie), actor.accent, f"{actor.name} ribbon", pen=pen * 0.8)


def _mass(cel: Cel, actor: Actor, shape: Outline, acting: Acting, pen: float) -> None:
    under = outline([[-96, 20], [-84, 90], [-88, 420], [94, 420], [88, 90], [96, 20], [0, -30]])
    under = moved(under, x=8 * acting.yaw + 12)
    cel.paint(
        shape, actor.hair, f"{actor.name} hair", shadows=[under], pen=pen * 1.1,
        ink=ink_of(actor.hair), taper=0.4,
    )  # fmt: skip


def _lock(cel: Cel, actor: Actor, acting: Acting, side: int, pen: float) -> None:
    length = {"bob": 104.0, "long": 190.0, "tails": 120.0}.get(actor.hair_style, 90.0)
    s = acting.sway * 22

    def bend(x: float, t: float, *corner: float) -> list[float]:
        point = [side * x + s * t * t, -70 + (length + 70) * t]
        return [*_swept(point, acting)[:2], *corner]

    drawn = [bend(84, 0.0, 1), bend(122, 0.1), bend(127, 0.45), bend(124, 0.75), bend(108, 1.0, 1),
             bend(103, 0.72), bend(97, 0.42)]  # fmt: skip
    shape = outline(drawn)
    shadows = [moved(shape, x=15, y=0)] if side > 0 else [moved(shape, x=22, y=10)]
    cel.paint(
        shape, actor.hair, f"{actor.name} hair", shadows=shadows, pen=pen, ink=ink_of(actor.hair)
    )


def _spiked(drawn: Drawn) -> Drawn:
    """Corners joined by curved edges, as locks of hair end."""
    out: Drawn = []
    for a, b in itertools.pairwise(drawn):
        out.append(a)
        mx, my = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        dx, dy = b[0] - a[0], b[1] - a[1]
        bulge = 0.13 if dy > 0 else -0.05
        out.append([mx - dy * bulge * -1, my + dx * bulge * -1])
    out.append(drawn[-1])
    return out


def _swept(point: list[float], acting: Acting) -> list[float]:
    """A point of the front hair moved by turning, nodding and the wind."""
    x, y, *rest = point
    low = min(max((y + 130) / 160, 0.0), 1.3)
    drift = acting.sway * 9 * low * low * (1 + 0.3 * math.sin(x / 17))
    bow = 1 - min(abs(x) / 125, 1.0) ** 2
    return [x + acting.yaw * 20 * low * bow + drift, y + 9 * acting.nod * low * bow, *rest]
