"""A round creature that jumps: squash and stretch keep its volume.

Units: it stands on y = 0, about 200 high at rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tasks.synthetic.cel import INK, Cel, Rgb, shade_of
from tasks.synthetic.curves import affine, ellipse, line, moved, outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Creature:
    """Its colours."""

    fur: Rgb
    belly: Rgb
    leaf: Rgb


CREATURES: tuple[Creature, ...] = (
    Creature(fur=(250, 196, 92), belly=(255, 242, 214), leaf=(86, 156, 76)),
    Creature(fur=(128, 190, 206), belly=(236, 248, 244), leaf=(236, 116, 128)),
    Creature(fur=(226, 148, 164), belly=(255, 236, 228), leaf=(118, 172, 92)),
    Creature(fur=(168, 150, 206), belly=(242, 236, 250), leaf=(244, 196, 84)),
)


def draw_creature(
    kind: Creature, *, stretch: float, lid: float, mouth: float, ears: float, pen: float = 3.4
) -> Cel:
    """`stretch` 1 at rest, above 1 tall and thin; `ears` lag behind (−1 up, 1 down)."""
    cel = Cel()
    wide = 1 / math.sqrt(stretch)
    for side in (-1, 1):
        droop = 26 * ears
        ear = outline([
            [side * 30, -176, 1], [side * 50, -226 + droop * 0.4], [side * 92, -258 + droop],
            [side * 112, -232 + droop], [side * 98, -186 + droop * 0.5], [side * 74, -140, 1],
        ])  # fmt: skip
        cel.paint(ear, kind.fur, "creature fur", shadows=[moved(ear, x=20, y=26)], pen=pen)
        inner = moved(ear, x=side * 24, y=-62 + droop * 0.2, scale=0.66)
        cel.paint(inner, kind.belly, "creature ear", pen=pen * 0.6, clip=ear)
    tail = outline([[70, -40], [118, -52 + 14 * ears], [142, -86 + 30 * ears],
                    [160, -54 + 24 * ears], [128, -14], [70, -8]])  # fmt: skip
    cel.paint(tail, kind.fur, "creature fur", shadows=[moved(tail, x=16, y=22)], pen=pen)
    body = outline([
        [0, -208], [62, -196], [104, -146], [118, -84], [100, -24], [52, -2], [0, 0], [-52, -2],
        [-100, -24], [-118, -84], [-104, -146], [-62, -196],
    ])  # fmt: skip
    dark = outline([[48, -240], [70, -150], [72, -70], [20, -16], [-70, -6], [-80, 30], [180, 30],
                    [180, -240]])  # fmt: skip
    shine = outline([[-84, -136], [-62, -172], [-30, -186], [-42, -164], [-64, -136], [-72, -112]])
    cel.paint(body, kind.fur, "creature fur", shadows=[dark], lights=[shine], pen=pen * 1.15)
    belly = ellipse(-4, -52, 66, 48)
    cel.paint(
        belly, kind.belly, "creature belly", shadows=[moved(belly, x=78, y=10)], pen=pen * 0.6
    )
    for side in (-1, 1):
        foot = ellipse(side * 44, -6, 32, 15)
        cel.paint(foot, kind.fur, "creature fur", shadows=[moved(foot, x=6, y=11)], pen=pen)
        x = side * 42 - 4
        open_eye = 1 - min(max(lid, 0.0), 1.0)
        if open_eye > 0.12:
            eye = ellipse(x, -124, 13, 19 * open_eye)
            cel.paint(eye, INK, "creature eye", pen=0)
            cel.inside(ellipse(x - 4, -131, 5, 6), (255, 255, 255), "creature glint", eye)
        else:
            cel.ink(line([[x - 15, -122], [x, -116], [x + 15, -122]]), pen * 1.3)
        cel.veil(ellipse(side * 70 - 4, -98, 15, 9), (244, 110, 110), 0.4)
    smile = outline([[-18, -102, 1], [-4, -97], [10, -102, 1], [6, -100 + 26 * mouth],
                     [-4, -96 + 32 * mouth], [-14, -100 + 26 * mouth]])  # fmt: skip
    if mouth > 0.08:
        cel.paint(smile, (150, 52, 58), "creature mouth", pen=pen * 0.8)
    else:
        cel.ink(line([[-18, -104], [-4, -97], [10, -104]]), pen)
    stem = outline([[-6, -204, 1], [-2, -226], [8 + 8 * ears, -244], [4, -204, 1]])
    cel.paint(stem, shade_of(kind.leaf), "creature stem", pen=pen * 0.8)
    for side in (-1, 1):
        leaf = outline([[4 + 6 * ears, -240, 1], [side * 30 + 4, -268 + 12 * ears],
                        [side * 62 + 4, -252 + 22 * ears, 1], [side * 34 + 4, -236 + 14 * ears]]
        )  # fmt: skip
        cel.paint(leaf, kind.leaf, "creature leaf", shadows=[moved(leaf, y=14)], pen=pen * 0.9)
    squashed = Cel()
    squashed.add(cel, affine(sx=wide, sy=stretch))
    return squashed
