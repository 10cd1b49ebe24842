"""Set-ups for talk and things: close-ups, two people, an insert held still."""

from __future__ import annotations

import math

from tasks.synthetic.bust import draw_bust
from tasks.synthetic.cast import Acting
from tasks.synthetic.cel import Cel
from tasks.synthetic.curves import affine
from tasks.synthetic.effects import along, draw_desk_things, ease, jot
from tasks.synthetic.scene import Camera, Item, under
from tasks.synthetic.take import Take


def stage_talk(take: Take) -> list[Item]:
    """A close-up: mouth on threes, eyes on twos, hair on threes; the rest is one held drawing."""
    shot = take.shot
    side = 1 if shot.seed % 2 else -1
    push = 1 + (0.1 * ease(take.progress) if shot.camera == "zoom" else 0.0)
    items = take.place(
        Camera(x=side * 120, y=-20, zoom=1.3 * (1 + (push - 1) * 0.5)),
        travel=140, blur=12, detail=1.0,
    )  # fmt: skip
    turn = ease((take.pose("head") - 8) / 4)
    acting = Acting(
        yaw=side * (0.45 - 0.3 * turn),
        nod=0.25 * turn,
        roll=side * (0.02 + 0.03 * turn),
        lid=blink(take, 0),
        look_x=-side * (0.15 + 0.25 * turn),
        mouth=_talk(shot.seed, take.drawing("mouth")),
        wide=0.35 + 0.4 * jot(shot.seed, 4),
        smile=0.5,
        brow=0.3 * turn,
        sway=0.35 * math.sin(1.9 * take.acted("hair") + shot.seed),
    )
    camera = Camera(x=side * 66, y=52, zoom=1.78 * push)
    items.append(under(camera, draw_bust(take.actor(0), acting).marks))
    return [*items, take.light()]


def stage_pair(take: Take) -> list[Item]:
    """Two people, waist up: one speaks and waves, the other listens and nods."""
    shot = take.shot
    camera = Camera(y=0)
    items = take.place(Camera(y=-20, zoom=1.08), travel=0, blur=6)
    half = take.pose("mouth") > len(shot) / 2
    for place, side in ((1, 1), (0, -1)):
        speaks = (place == 0) != half
        beat = take.drawing("head")
        acting = Acting(
            yaw=-side * 0.6,
            nod=0.0 if speaks else 0.5 * abs(math.sin(0.5 * beat)),
            roll=-side * 0.03,
            lid=blink(take, place),
            look_x=-side * 0.6,
            mouth=_talk(shot.seed + place, take.drawing("mouth")) if speaks else 0.0,
            smile=0.7,
            sway=0.25 * math.sin(1.7 * take.acted("hair") + place),
            hand=1.0 if place == 0 else 0.0,
            wave=math.sin(1.05 * beat) if place == 0 else 0.0,
        )
        placed = Cel()
        bust = draw_bust(take.actor(place), acting, pen=3.8)
        placed.add(bust, affine(x=side * 270.0, y=-10.0, sx=1.04))
        items.append(under(camera, placed.marks))
    return [*items, take.light()]


def stage_insert(take: Take) -> list[Item]:
    """Things on a desk: one drawing, held for the whole shot."""
    camera = Camera(zoom=1.06)
    items = take.place(camera, detail=1.06)
    items.append(under(camera, draw_desk_things(take.shot.seed, take.actor(0).accent).marks))
    return [*items, take.light()]


def blink(take: Take, who: int) -> float:
    """One or two blinks in a shot, on the eyes' exposure."""
    first = 2 * (2 + int(jot(take.shot.seed, 77, who) * 5))
    pose = take.pose("eyes")
    shape = [0.0, 0.65, 1.0, 1.0, 0.5, 0.0]
    return max(along(shape, (pose - first) / 2), along(shape, (pose - first - 34) / 2))


def _talk(seed: int, drawing: float) -> float:
    """Mouth flaps: closed, half, open in a broken rhythm; read between two drawings."""
    flaps = (0.0, 0.45, 0.85, 0.3)
    low = math.floor(drawing)
    here, there = (flaps[int(jot(seed, 9, low + k) * 4)] if low + k > 0 else 0.0 for k in (0, 1))
    return here + (there - here) * (drawing - low)
