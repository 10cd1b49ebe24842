"""A character from the waist up: the shot that talks.

Head units; the neck meets the shoulders at y = 176.
"""

from __future__ import annotations

import math
from functools import lru_cache

from tasks.synthetic.cast import Acting, Actor
from tasks.synthetic.cel import Cel, ink_of, light_of, shade_of, skin_shade
from tasks.synthetic.curves import Outline, affine, limb, line, moved, outline
from tasks.synthetic.face import draw_brows, draw_face, face_outline
from tasks.synthetic.hair import draw_back_hair, draw_front_hair, fringe

Drawn = list[list[float]]


@lru_cache(maxsize=16)
def draw_bust(actor: Actor, acting: Acting, *, pen: float = 3.4) -> Cel:
    """Body, then the head tilted about the neck; a raised hand last."""
    cel = Cel()
    tilt = affine(turn=acting.roll)
    pivot = 140.0
    shift = [-(tilt[0, 1] * pivot), pivot - tilt[1, 1] * pivot]
    tilt[:, 2] = [shift[0], shift[1] + 5 * acting.nod]
    back, front = Cel(), Cel()
    draw_back_hair(back, actor, acting, pen=pen)
    cast = moved(fringe(actor, acting), x=7, y=15)
    draw_face(front, actor, acting, cast=cast, pen=pen)
    draw_front_hair(front, actor, acting, pen=pen)
    draw_brows(front, actor, acting, pen=pen)
    cel.add(back, tilt)
    draw_torso(cel, actor, acting, pen=pen)
    cel.add(front, tilt)
    if acting.hand > 0:
        _raised_hand(cel, actor, acting, pen)
    return cel


def draw_torso(cel: Cel, actor: Actor, acting: Acting, *, pen: float) -> None:
    """Neck, shoulders and the outfit."""
    rise = -4 * acting.breath
    neck = outline([[-36, 90], [-34, 150], [-48, 190, 1], [0, 226], [48, 190, 1], [34, 150],
                    [36, 90]])  # fmt: skip
    chin = moved(face_outline(acting), x=8, y=34)
    cel.paint(
        neck,
        actor.skin,
        f"{actor.name} skin",
        shadow=skin_shade(actor.skin),
        shadows=[chin],
        pen=pen,
        ink=ink_of(actor.skin),
    )
    body = outline(_shifted([
        [-46, 176, 1], [-100, 196], [-152, 214], [-186, 262], [-200, 360], [-212, 620, 1],
        [212, 620, 1], [200, 360], [186, 262], [152, 214], [100, 196], [46, 176, 1], [0, 230],
    ], rise))  # fmt: skip
    side = outline(_shifted([[96, 150], [128, 260], [104, 420], [120, 640], [280, 640],
                             [280, 150]], rise))  # fmt: skip
    {"sailor": _sailor, "hoodie": _hoodie, "coat": _coat}[actor.outfit](
        cel, actor, body, side, rise, pen
    )
    for s in (-1, 1):
        seam = line(_shifted([[s * 146, 330], [s * 140, 420], [s * 150, 600]], rise))
        cel.ink(seam, pen, taper=0.2)
        fold = line(_shifted([[s * 142, 352], [s * 112, 372], [s * 96, 402]], rise))
        cel.ink(fold, pen * 0.7, taper=0.1)


def _sailor(cel: Cel, actor: Actor, body: Outline, side: Outline, rise: float, pen: float) -> None:
    name = actor.name
    cel.paint(body, actor.shirt, f"{name} shirt", shadows=[side], pen=pen)
    collar = outline(_shifted([
        [-50, 172, 1], [-92, 190], [-126, 218, 1], [-104, 268], [-60, 300], [0, 356, 1],
        [60, 300], [104, 268], [126, 218, 1], [92, 190], [50, 172, 1], [28, 226], [0, 262, 1],
        [-28, 226],
    ], rise))  # fmt: skip
    cel.paint(collar, actor.cloth, f"{name} collar", shadows=[moved(side, x=-40)], pen=pen)
    for s in (-1, 1):
        stripe = line(_shifted([[s * 112, 224], [s * 92, 262], [s * 54, 288], [s * 4, 334]], rise))
        cel.ink(stripe, pen * 1.3, colour=(246, 244, 240), taper=0.9)
    for s in (-1, 1):
        tail = outline(_shifted([[0, 350, 1], [s * 30, 392], [s * 42, 452, 1], [s * 14, 440],
                                 [s * 2, 400]], rise))  # fmt: skip
        cel.paint(tail, actor.accent, f"{name} ribbon", shadows=[moved(tail, x=14, y=4)], pen=pen)
        loop = outline(_shifted([[0, 348, 1], [s * 34, 322], [s * 62, 330], [s * 58, 366],
                                 [s * 30, 370]], rise))  # fmt: skip
        cel.paint(loop, actor.accent, f"{name} ribbon", shadows=[moved(loop, x=6, y=18)], pen=pen)
    knot = outline(_shifted([[-13, 336], [13, 336], [15, 364], [-15, 364]], rise))
    cel.paint(knot, actor.accent, f"{name} ribbon", pen=pen)


def _hoodie(cel: Cel, actor: Actor, body: Outline, side: Outline, rise: float, pen: float) -> None:
    name = actor.name
    cel.paint(body, actor.cloth, f"{name} cloth", shadows=[side], pen=pen)
    inner = outline(_shifted([[-48, 180], [0, 268], [48, 180], [0, 214]], rise))
    cel.paint(inner, actor.shirt, f"{name} shirt", pen=pen * 0.8)
    for s in (-1, 1):
        hood = outline(_shifted([
            [s * 40, 156, 1], [s * 88, 158], [s * 124, 190], [s * 108, 236], [s * 56, 272],
            [s * 2, 300, 1], [s * 22, 248], [s * 42, 200],
        ], rise))  # fmt: skip
        dark = moved(hood, x=18, y=22) if s < 0 else moved(hood, x=26, y=16)
        lit = outline(_shifted([[-110, 176], [-84, 168], [-92, 200]], rise))
        cel.paint(
            hood, actor.cloth, f"{name} cloth", shadows=[dark], lights=[lit] if s < 0 else [],
            pen=pen,
        )  # fmt: skip
    zipper = line(_shifted([[0, 300], [2, 440], [0, 620]], rise))
    cel.ink(zipper, pen * 1.2, taper=0.8)
    for s in (-1, 1):
        cord = line(_shifted([[s * 34, 262], [s * 38, 320], [s * 32, 372]], rise))
        cel.ink(cord, pen * 2.6, taper=0.9)
        cel.ink(cord, pen * 1.3, colour=actor.accent, taper=0.9)
    pocket = outline(_shifted([[-118, 470, 1], [-60, 456], [60, 456], [118, 470, 1], [134, 590, 1],
                               [-134, 590, 1]], rise))  # fmt: skip
    cel.ink(pocket, pen * 0.9)


def _coat(cel: Cel, actor: Actor, body: Outline, side: Outline, rise: float, pen: float) -> None:
    name = actor.name
    cel.paint(body, actor.cloth, f"{name} cloth", shadows=[side], pen=pen)
    inner = outline(_shifted([[-52, 176, 1], [0, 232], [52, 176, 1], [34, 320], [0, 470, 1],
                              [-34, 320]], rise))  # fmt: skip
    cel.paint(
        inner, actor.shirt, f"{name} shirt", shadows=[moved(inner, x=34, y=-6)], pen=pen * 0.9
    )
    tie = outline(_shifted([[-13, 236, 1], [13, 236, 1], [8, 262], [19, 400], [0, 446, 1],
                            [-19, 400], [-8, 262]], rise))  # fmt: skip
    cel.paint(tie, actor.accent, f"{name} tie", shadows=[moved(tie, x=12)], pen=pen * 0.9)
    for s in (-1, 1):
        wing = outline(_shifted([[s * 50, 170, 1], [s * 64, 204], [s * 34, 254, 1], [s * 6, 232, 1],
                                 [s * 30, 206]], rise))  # fmt: skip
        cel.paint(wing, light_of(actor.shirt, amount=0.3), f"{name} collar", pen=pen * 0.9)
        lapel = outline(_shifted([
            [s * 58, 176, 1], [s * 92, 190], [s * 112, 250, 1], [s * 84, 264, 1], [s * 98, 300, 1],
            [s * 4, 478, 1], [s * 36, 320], [s * 56, 240],
        ], rise))  # fmt: skip
        tone = actor.cloth if s < 0 else shade_of(actor.cloth, amount=0.4)
        cel.paint(
            lapel, tone, f"{name} lapel {'left' if s < 0 else 'right'}",
            shadows=[moved(lapel, x=16, y=30)], pen=pen,
        )  # fmt: skip
    edge = line(_shifted([[0, 474], [3, 540], [0, 620]], rise))
    cel.ink(edge, pen, taper=0.6)


def _raised_hand(cel: Cel, actor: Actor, acting: Acting, pen: float) -> None:
    lift = acting.hand
    swing = 0.35 * acting.wave
    elbow = [-262 + 10 * acting.wave, 470 - 90 * lift]
    wrist = [elbow[0] - 10 + 190 * math.sin(swing) * lift, elbow[1] - 190 * lift + 60 * (1 - lift)]
    middle = [(elbow[0] + wrist[0]) / 2, (elbow[1] + wrist[1]) / 2]
    upper = limb([[-150, 270], [-206, 380 - 40 * lift], elbow], [44, 48, 44])
    sleeve = limb([[elbow[0] - 6, elbow[1] + 34], elbow, middle], [40, 46, 40])
    bare = limb([elbow, middle, wrist], [28, 26, 22])
    cloth = actor.shirt if actor.outfit == "sailor" else actor.cloth
    region = f"{actor.name} {'shirt' if actor.outfit == 'sailor' else 'cloth'}"
    skin, ink = f"{actor.name} skin", ink_of(actor.skin)
    hand = Cel()
    palm = outline([
        [-22, 12, 1], [-30, -20], [-36, -58], [-28, -66], [-20, -50], [-16, -80], [-7, -86],
        [-3, -56], [2, -88], [12, -90], [14, -54], [22, -78], [31, -76], [30, -42], [34, -26],
        [52, -42], [60, -34], [44, -4], [22, 14, 1],
    ])  # fmt: skip
    hand.paint(
        palm,
        actor.skin,
        skin,
        shadow=skin_shade(actor.skin),
        shadows=[moved(palm, x=22, y=26)],
        pen=pen,
        ink=ink,
    )
    for x in (-17.0, 0.0, 17.0):
        hand.ink(line([[x, -52], [x * 0.9, -34]]), pen * 0.7, colour=ink, taper=0.2)
    cel.paint(upper, cloth, region, shadows=[moved(upper, x=26, y=20)], pen=pen)
    cel.paint(
        bare, actor.skin, skin, shadow=skin_shade(actor.skin), shadows=[moved(bare, x=18)],
        pen=pen, ink=ink,
    )  # fmt: skip
    cel.add(hand, affine(x=wrist[0], y=wrist[1], turn=swing * 1.3, sx=1.12))
    cel.paint(sleeve, cloth, region, shadows=[moved(sleeve, x=30, y=4)], pen=pen)


def _shifted(drawn: list[list[float]], dy: float) -> Drawn:
    return [[x, y + dy, *rest] for x, y, *rest in drawn]
