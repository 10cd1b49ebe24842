"""A whole character walking, running or standing, seen three-quarters from the side, facing right.

Units: the hip is at (0, 0), the ground at y = 284, the crown near y = −390.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from tasks.synthetic.cast import Acting, Actor
from tasks.synthetic.cel import Cel, Rgb, ink_of, shade_of, skin_shade
from tasks.synthetic.curves import Outline, affine, limb, line, moved, outline
from tasks.synthetic.face import draw_brows, draw_face
from tasks.synthetic.hair import draw_back_hair, draw_front_hair, fringe

GROUND = 284.0
THIGH, SHIN = 134.0, 132.0
STRIDE = 300.0
"""World units that a walk cycle covers; the pan of the background goes by it."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gait:
    """Where in its cycle a figure is. `run` 0 walks, 1 runs; `still` stops the legs."""

    phase: float = 0.0
    run: float = 0.0
    still: bool = False


@lru_cache(maxsize=16)
def draw_figure(actor: Actor, acting: Acting, gait: Gait, *, pen: float = 3.2) -> Cel:
    """The figure: far limbs first, then body and head, the near arm last."""
    cel = Cel()
    turn = 2 * math.pi * gait.phase
    bob = 0.0 if gait.still else -(6 + 16 * gait.run) * math.cos(2 * turn)
    lean = 0.04 + 0.34 * gait.run if not gait.still else 0.0
    hip = (0.0, bob)
    neck = (math.sin(lean) * 176, bob - math.cos(lean) * 176)
    sleeve, region = _sleeve(actor)
    far_arm, near_arm = _arms(neck, gait)
    _arm(cel, actor, far_arm, shade_of(sleeve), f"{region} far", pen)
    for far, shift in ((True, 0.5), (False, 0.0)):
        foot, tilt = _foot((gait.phase + shift) % 1.0, gait)
        knee = _knee(hip, foot)
        _leg(cel, actor, hip, knee, foot, tilt, far, pen)
    _body(cel, actor, hip, neck, gait, pen)
    head = Cel()
    posed = replace(acting, yaw=acting.yaw or 0.8)
    back = Cel()
    draw_back_hair(back, actor, posed, pen=pen * 1.4)
    draw_face(head, actor, posed, cast=moved(fringe(actor, posed), x=6, y=15), pen=pen * 1.4)
    draw_front_hair(head, actor, posed, pen=pen * 1.4)
    draw_brows(head, actor, posed, pen=pen * 1.3)
    place = affine(x=neck[0] + 12, y=neck[1] - 98, turn=lean * 0.45 + acting.roll, sx=0.68)
    behind = Cel()
    behind.add(back, place)
    cel.marks[:0] = behind.marks
    cel.add(head, place)
    _arm(cel, actor, near_arm, sleeve, region, pen)
    return cel


def _foot(phase: float, gait: Gait) -> tuple[Point, float]:
    """Ankle position and the foot's tilt: stance for half the cycle, then swing."""
    if gait.still:
        return (-26.0 + 52 * (phase < 0.5), GROUND - 26), 0.0
    reach = STRIDE / 4 + 42 * gait.run
    lift = 40 + 66 * gait.run
    if phase < 0.5:
        u = phase * 2
        heel = -0.38 * max(1 - u * 5, 0) + 0.55 * max(u * 4 - 3, 0)
        return (reach * (1 - 2 * u), GROUND - 26 - 16 * max(u * 4 - 3, 0)), heel
    u = phase * 2 - 1
    ease = u - math.sin(2 * math.pi * u) / (2 * math.pi)
    rise = math.sin(math.pi * u) ** 0.9
    x = -reach + 2 * reach * ease
    return (x, GROUND - 26 - lift * rise - 16 * max(1 - u * 5, 0)), 0.75 * (1 - u) - 0.38 * u


def _knee(hip: Point, foot: Point) -> Point:
    dx, dy = foot[0] - hip[0], foot[1] - hip[1]
    far = min(math.hypot(dx, dy), THIGH + SHIN - 0.5)
    along = (THIGH**2 - SHIN**2 + far**2) / (2 * far)
    out = math.sqrt(max(THIGH**2 - along**2, 0.0))
    ux, uy = dx / math.hypot(dx, dy), dy / math.hypot(dx, dy)
    return hip[0] + ux * along + uy * out, hip[1] + uy * along - ux * out


def _leg(
    cel: Cel, actor: Actor, hip: Point, knee: Point, foot: Point, tilt: float, far: bool, pen: float
) -> None:
    name = actor.name
    tag = " far" if far else ""
    start = (hip[0] + (8 if far else -6), hip[1] - 10)
    bare = actor.outfit == "sailor"
    paint = actor.skin if bare else actor.legs
    tone = skin_shade(actor.skin) if bare else shade_of(actor.legs)
    widths = [33.0, 28.0, 21.0, 18.0, 14.0] if bare else [38.0, 33.0, 27.0, 24.0, 23.0]
    shape = limb([start, knee, foot], widths)
    region = f"{name} {'skin' if bare else 'trousers'}{tag}"
    cel.paint(
        shape, tone if far else paint, region, shadow=tone if not far else shade_of(tone),
        shadows=[moved(shape, x=19, y=4)], pen=pen, ink=ink_of(paint) if bare else (38, 28, 36),
    )  # fmt: skip
    if bare:
        calf = ((knee[0] + foot[0] * 2) / 3, (knee[1] + foot[1] * 2) / 3)
        sock = limb([calf, foot], [17.5, 14.5])
        white: Rgb = (240, 240, 246) if not far else (196, 196, 214)
        cel.paint(sock, white, f"{name} sock{tag}", shadows=[moved(sock, x=14)], pen=pen)
    shoe = outline([[-19, -16, 1], [14, -18], [24, 0], [52, 8], [58, 22], [50, 27, 1], [-20, 27, 1],
                    [-26, 8]])  # fmt: skip
    paint = actor.accent if actor.outfit == "hoodie" else (92, 62, 54)
    boot = Cel()
    boot.paint(
        shoe, shade_of(paint) if far else paint, f"{name} shoe{tag}",
        shadows=[moved(shoe, x=6, y=22)], pen=pen,
    )  # fmt: skip
    if actor.outfit == "hoodie":
        sole = outline([[-24, 18], [56, 18], [52, 28], [-22, 28]])
        boot.paint(sole, (238, 236, 232), f"{name} sole{tag}", pen=pen * 0.8)
    cel.add(boot, affine(x=foot[0], y=foot[1], turn=tilt, sx=0.92))


def _body(cel: Cel, actor: Actor, hip: Point, neck: Point, gait: Gait, pen: float) -> None:
    name = actor.name
    lean = math.atan2(neck[0] - hip[0], hip[1] - neck[1])
    swing = 0.0 if gait.still else math.sin(2 * math.pi * gait.phase)
    body = Cel()
    throat = outline([[-16, -222], [-17, -168], [20, -164], [20, -214]])
    body.paint(
        throat, actor.skin, f"{name} skin", shadow=skin_shade(actor.skin),
        shadows=[moved(throat, x=6, y=-14)], pen=pen, ink=ink_of(actor.skin),
    )  # fmt: skip
    coat = actor.outfit == "coat"
    upper, region = _sleeve(actor)
    hem = 66.0 if coat else (-6.0 if actor.outfit == "sailor" else 24.0)
    flare = 24 * swing if coat else 5 * swing
    torso = outline([
        [-20, -180, 1], [-46, -164], [-58, -118], [-54, -62],
        [-58 - abs(flare) * 0.7 - 10 * coat, hem, 1], [52 + flare, hem + 4, 1], [50, -56],
        [58, -112], [48, -162], [24, -180, 1],
    ])  # fmt: skip
    if actor.outfit == "sailor":
        waist, low = -18.0, 78.0
        skirt = outline([
            [-53, waist, 1], [-72 - 8 * swing, 30], [-92 - 12 * swing, low, 1],
            [-40, low + 8 * swing], [10, low + 6], [50, low - 6 * swing],
            [88 + 14 * swing, low - 4, 1], [66 + 8 * swing, 28], [50, waist, 1],
        ])  # fmt: skip
        body.paint(skirt, actor.cloth, f"{name} skirt", shadows=[moved(skirt, x=72, y=6)], pen=pen)
        for x in (-50.0, -18.0, 16.0, 48.0):
            pleat = line([[x * 0.75, waist + 8], [x * 1.1 + 3 * swing, 28],
                          [x * 1.4 + 9 * swing, low - 2]])  # fmt: skip
            body.ink(pleat, pen * 0.8, taper=0.2)
    body.paint(torso, upper, region, shadows=[moved(torso, x=58, y=8)], pen=pen)
    if actor.outfit == "sailor":
        flap = outline([[-48, -172, 1], [-58, -126], [-20, -112], [26, -96, 1], [40, -134],
                        [34, -178, 1], [10, -150]])  # fmt: skip
        body.paint(flap, actor.cloth, f"{name} collar", shadows=[moved(flap, x=52)], pen=pen)
        bow = outline([[26, -104, 1], [8, -84], [12, -62, 1], [28, -84], [48, -66, 1], [50, -90]])
        body.paint(bow, actor.accent, f"{name} ribbon", pen=pen * 0.9)
    elif actor.outfit == "hoodie":
        hood = outline([[-62, -190, 1], [-70, -158], [-44, -136], [8, -140], [34, -160, 1],
                        [22, -184], [-14, -176]])  # fmt: skip
        body.paint(hood, upper, region, shadows=[moved(hood, x=22, y=20)], pen=pen)
        pocket = line([[20, -44], [4, -10], [10, 8]])
        body.ink(pocket, pen * 0.9)
    else:
        lapel = outline([[8, -178, 1], [40, -174, 1], [46, -110], [34, -40, 1], [18, -120]])
        body.paint(lapel, actor.shirt, f"{name} shirt", pen=pen * 0.9)
        tie = outline([[26, -170, 1], [38, -168, 1], [44, -110], [35, -62, 1], [28, -112]])
        body.paint(tie, actor.accent, f"{name} tie", pen=pen * 0.8)
        body.ink(line([[34, -40], [36 + flare * 0.4, 10], [34 + flare, 68]]), pen)
        body.ink(line([[-50, -20], [-10, -14], [48, -18]]), pen * 0.9)
    cel.add(body, affine(x=hip[0], y=hip[1], turn=lean))


def _arms(neck: Point, gait: Gait) -> tuple[list[Point], list[Point]]:
    swing = 0.0 if gait.still else math.cos(2 * math.pi * gait.phase)
    arms = []
    for side in (1, -1):
        reach = side * swing * (0.5 + 0.42 * gait.run) + 0.06 + (0.05 if gait.still else 0.0) * side
        bend = 0.25 + 0.2 * max(reach, 0) + 1.25 * gait.run
        shoulder = (neck[0] + (12 if side > 0 else -10), neck[1] + 28)
        elbow = (shoulder[0] + 92 * math.sin(reach), shoulder[1] + 92 * math.cos(reach))
        wrist = (
            elbow[0] + 82 * math.sin(reach + bend),
            elbow[1] + 82 * math.cos(reach + bend),
        )
        arms.append([shoulder, elbow, wrist])
    return arms[0], arms[1]


def _arm(cel: Cel, actor: Actor, joints: list[Point], paint: Rgb, region: str, pen: float) -> None:
    _, elbow, wrist = joints
    turn = math.atan2(wrist[1] - elbow[1], wrist[0] - elbow[0])
    far = region.endswith("far")
    hand = outline([[-6, -12, 1], [10, -14], [26, -11], [33, 0], [28, 11], [18, 7], [12, 17],
                    [2, 14], [-6, 12, 1]])  # fmt: skip
    skin = skin_shade(actor.skin) if far else actor.skin
    fist = Cel()
    fist.paint(
        hand, skin, f"{actor.name} hand{' far' if far else ''}", shadow=skin_shade(skin),
        shadows=[moved(hand, y=14)], pen=pen, ink=ink_of(actor.skin),
    )  # fmt: skip
    cel.add(fist, affine(x=wrist[0], y=wrist[1], turn=turn))
    sleeve = limb(joints, [25, 23, 20, 18])
    cel.paint(sleeve, paint, region, shadows=[_shadowed(sleeve)], pen=pen)


def _shadowed(sleeve: Outline) -> Outline:
    return moved(sleeve, x=19, y=6)


def _sleeve(actor: Actor) -> tuple[Rgb, str]:
    if actor.outfit == "sailor":
        return actor.shirt, f"{actor.name} shirt"
    return actor.cloth, f"{actor.name} cloth"
