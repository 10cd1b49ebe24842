"""A face, front or turned: skin, ears, eyes that look and blink, mouth that talks.

Units of a head: the chin is at y = 132, the crown at −128, the eyes on y = 30.
"""

from __future__ import annotations

from tasks.synthetic.cast import Acting, Actor
from tasks.synthetic.cel import INK, Cel, Rgb, ink_of, light_of, shade_of, skin_shade
from tasks.synthetic.curves import Outline, blend, ellipse, line, moved, outline

Drawn = list[list[float]]


def face_outline(acting: Acting) -> Outline:
    """Cheeks and chin; turning moves the chin and flattens the far cheek."""
    half: list[tuple[float, float]] = [
        (52, -110), (90, -64), (101, -8), (98, 34), (85, 78), (54, 112), (20, 130),
    ]  # fmt: skip
    right: Drawn = [[x, y] for x, y in half]
    left: Drawn = [[-x, y] for x, y in reversed(half)]
    drawn: Drawn = [[0, -120], *right, [0, 134 + 7 * acting.mouth], *left]
    return outline([_turned(p, acting) for p in drawn])


def draw_face(cel: Cel, actor: Actor, acting: Acting, *, cast: Outline, pen: float) -> None:
    """Ears, face with the fringe's shadow `cast` on it, and the features."""
    line_ink = ink_of(actor.skin)
    yaw = acting.yaw
    for side in (-1, 1):
        reach = 104 - 12 * yaw * side
        ear: Drawn = [[0, -22], [14, -30], [24, -16], [22, 8], [12, 30], [2, 34]]
        shape = outline([[side * (x + reach - 8), y + 34] for x, y in ear])
        inner = line([[side * (x * 0.55 + reach), y * 0.6 + 36] for x, y in ear[1:5]])
        hollow = moved(shape, x=-4.0 * side, y=9)
        cel.paint(
            shape,
            actor.skin,
            f"{actor.name} skin",
            shadow=skin_shade(actor.skin),
            shadows=[hollow],
            pen=pen,
            ink=line_ink,
        )
        cel.ink(inner, pen * 0.7, colour=line_ink)
    face = face_outline(acting)
    cheek = moved(outline([[-140, -140], [52 + 30 * yaw, -140], [76 + 26 * yaw, 0],
                           [66 + 24 * yaw, 70], [22 + 24 * yaw, 150], [-140, 150]]))  # fmt: skip
    far = _beyond(cheek)
    cel.paint(
        face,
        actor.skin,
        f"{actor.name} skin",
        shadow=skin_shade(actor.skin),
        shadows=[far, cast],
        pen=pen * 1.1,
        ink=line_ink,
    )
    _cheeks(cel, acting, face)
    for side in (-1, 1):
        _eye(cel, actor, acting, side, pen)
    _nose(cel, actor, acting, pen, line_ink)
    _mouth(cel, actor, acting, pen, line_ink)


def draw_brows(cel: Cel, actor: Actor, acting: Acting, *, pen: float) -> None:
    """Brows, drawn over the fringe as the convention is."""
    for side in (-1, 1):
        tilt = acting.brow * side
        drawn: Drawn = [
            [side * 24, -22 + 11 * tilt * side], [side * 46, -32 - acting.brow * 1.5],
            [side * 72, -25 - 5 * tilt * side],
        ]  # fmt: skip
        brow = line([_feature(p, acting) for p in drawn])
        cel.ink(brow, pen * 1.7, colour=ink_of(actor.hair), taper=0.3)


def _cheeks(cel: Cel, acting: Acting, face: Outline) -> None:
    for side in (-1, 1):
        x, y = _feature([side * 66, 74], acting)
        cel.veil(ellipse(x, y, 20, 10), (246, 130, 120), 0.28, within=face)


def _eye(cel: Cel, actor: Actor, acting: Acting, side: int, pen: float) -> None:
    lid = min(max(acting.lid, 0.0), 1.0)
    upper: Drawn = [[-25, 9, 1], [-19, -12], [-4, -25], [13, -24], [25, -8], [29, 6, 1]]
    shut: Drawn = [[-25, 12, 1], [-17, 18], [-4, 22], [11, 22], [22, 17], [29, 9, 1]]
    lower: Drawn = [[29, 6, 1], [24, 20], [10, 28], [-8, 28], [-20, 21], [-25, 9, 1]]
    low_shut: Drawn = [[29, 9, 1], [22, 18], [11, 23], [-4, 23], [-17, 19], [-25, 12, 1]]
    top, bottom = blend(upper, shut, lid), blend(lower, low_shut, lid * 0.95)
    squeeze = 1 - 0.24 * max(acting.yaw * side, 0)

    def place(drawn: Drawn) -> Drawn:
        return [
            [*_feature([side * (48 + x * squeeze), 30 + y], acting, depth=1.0), *rest]
            for x, y, *rest in drawn
        ]

    white = outline(place([*top, *bottom[1:-1]]))
    if lid < 0.92:
        cel.paint(white, (252, 250, 250), f"{actor.name} eye white", pen=0)
        cel.inside(
            outline(place([*top, *[[x, y + 9] for x, y, *_ in reversed(top)]])),
            (196, 196, 220), f"{actor.name} eye shade", white,
        )  # fmt: skip
        _iris(cel, actor, acting, side, white, squeeze, pen)
    lash = [*top, *[[x * 0.96, y + 6.5 + 2 * lid] for x, y, *_ in reversed(top[1:-1])]]
    cel.paint(outline(place(lash)), INK, f"{actor.name} lash", pen=0)
    wing: Drawn = [[22, -10, 1], [35, -5 + 11 * lid, 1], [27, 6, 1]]
    cel.paint(outline(place(wing)), INK, f"{actor.name} lash", pen=0)
    cel.ink(line(place(bottom[:3])), pen * 0.9, colour=ink_of(actor.skin), taper=0.2)
    crease = [[x * 0.92, y - 9 + 5 * lid] for x, y, *_ in top[1:5]]
    cel.ink(line(place(crease)), pen * 0.6, colour=ink_of(actor.skin), taper=0.2)


def _iris(
    cel: Cel, actor: Actor, acting: Acting, side: int, white: Outline, squeeze: float, pen: float
) -> None:
    x, y = _feature(
        [side * 48 + 8 * acting.look_x + side * 1.5, 31 + 6 * acting.look_y], acting, depth=1.0
    )
    rx, ry = 18.5 * squeeze, 25
    iris = ellipse(x, y, rx, ry)
    name = actor.name
    cel.inside(iris, actor.eyes, f"{name} iris", white)
    cap = outline(
        [[x - 30, y - 40], [x + 30, y - 40], [x + 22, y - 2], [x, y + 3], [x - 22, y - 2]]
    )
    cel.inside(cap, shade_of(shade_of(actor.eyes)), f"{name} iris dark", iris, white)
    glint = ellipse(x, y + 15, rx * 0.6, 7)
    cel.inside(glint, light_of(actor.eyes), f"{name} iris light", iris, white)
    cel.inside(ellipse(x, y, rx * 0.44, ry * 0.46), INK, f"{name} pupil", white)
    cel.ink(iris, pen * 0.9, colour=shade_of(shade_of(shade_of(actor.eyes))), clip=white)
    cel.inside(ellipse(x - 7, y - 10, 6.4, 7.4), (255, 255, 255), f"{name} eye glint", white)
    cel.inside(ellipse(x + 7.5, y + 9, 3.2, 3.8), (255, 255, 255), f"{name} eye glint", white)


def _nose(cel: Cel, actor: Actor, acting: Acting, pen: float, ink: Rgb) -> None:
    turn = 1 if acting.yaw >= 0 else -1
    drawn: Drawn = [[2 * turn, 54], [5 * turn, 62], [-2 * turn, 66]]
    cel.ink(
        line([_feature(p, acting, depth=1.35) for p in drawn]), pen * 0.8, colour=ink, taper=0.2
    )


def _mouth(cel: Cel, actor: Actor, acting: Acting, pen: float, ink: Rgb) -> None:
    opening = min(max(acting.mouth, 0.0), 1.0)
    half = 15 + 13 * acting.wide
    curl = 7 * acting.smile
    top: Drawn = [[-half, 92 - curl, 1], [-half * 0.4, 93 + curl * 0.25 - 2 * opening],
                  [half * 0.4, 93 + curl * 0.25 - 2 * opening], [half, 92 - curl, 1]]  # fmt: skip
    deep = 4 + 34 * opening
    low: Drawn = [[half * 0.72, 92 + deep * 0.62], [half * 0.3, 92 + deep * 0.98],
                  [-half * 0.3, 92 + deep * 0.98], [-half * 0.72, 92 + deep * 0.62]]  # fmt: skip
    if opening < 0.06:
        cel.ink(line([_feature(p, acting) for p in top]), pen * 1.2, colour=ink, taper=0.3)
        return
    shape = outline([_feature(p, acting) for p in [*top, *low]])
    name = actor.name
    cel.paint(shape, (150, 52, 58), f"{name} mouth", pen=0)
    x, y = _feature([0, 92 + deep], acting)
    cel.inside(ellipse(x, y, half * 0.62, deep * 0.42), (232, 118, 116), f"{name} tongue", shape)
    teeth: Drawn = [[-half, 84 - curl], [half, 84 - curl], [half * 0.8, 95 + deep * 0.12],
                    [-half * 0.8, 95 + deep * 0.12]]  # fmt: skip
    cel.inside(
        outline([_feature(p, acting) for p in teeth]), (252, 250, 246), f"{name} teeth",
        shape,
    )  # fmt: skip
    cel.ink(shape, pen, colour=ink, taper=0.5)


def _feature(point: list[float], acting: Acting, *, depth: float = 1.1) -> list[float]:
    """A point on the face's front, moved by turning and nodding."""
    x, y, *rest = point
    bow = 1 - (x / 130) ** 2
    return [x + 26 * acting.yaw * depth * bow, y + 12 * acting.nod * depth, *rest]


def _turned(point: list[float], acting: Acting) -> list[float]:
    x, y = point
    low = min(max((y + 30) / 150, 0.0), 1.0)
    side = 1 if x > 0 else -1
    flat = 1 - 0.05 * acting.yaw * side * (1 if y > -60 else 0)
    return [x * flat + 20 * acting.yaw * low, y + 5 * acting.nod * low]


def _beyond(edge: Outline) -> Outline:
    """What lies right of an edge drawn as a left-hand area: a wide area from its right side."""
    drawn = edge.points
    right = drawn[(drawn[:, 0] > -120) & (drawn[:, 1] > -139) & (drawn[:, 1] < 149)]
    far = [[float(x), float(y)] for x, y in right]
    return outline([*far[::6], [200, 160], [200, -160]])
