"""Set-ups out of doors: landscapes, walks, the creature, the city by night."""

from __future__ import annotations

import math

from tasks.synthetic.cast import Acting
from tasks.synthetic.cel import Cel
from tasks.synthetic.creature import CREATURES, draw_creature
from tasks.synthetic.curves import affine, ellipse
from tasks.synthetic.effects import (
    along,
    draw_bird,
    draw_dust,
    draw_lamps,
    draw_moon,
    draw_scarf,
    ease,
    jot,
)
from tasks.synthetic.figure import GROUND, STRIDE, Gait, draw_figure
from tasks.synthetic.scene import Camera, Glow, Item, under
from tasks.synthetic.take import Take

PAN = 230.0


def stage_landscape(take: Take) -> list[Item]:
    """A slow pan over the land; birds on twos; someone on the hill, hair in the wind."""
    camera = Camera(x=-PAN + 2 * PAN * ease(take.progress * 0.92 + 0.04))
    items = take.place(camera, travel=PAN)
    seed = take.shot.seed
    birds, fly = Cel(), take.acted("birds")
    for i in range(5):
        flap = math.sin(2 * math.pi * (2.1 * fly + jot(seed, i)))
        x = -520 + 96 * i + 40 * jot(seed, i, 1) + 150 * fly
        y = -170 - 46 * abs(i - 2) + 30 * jot(seed, i, 2) - 26 * fly
        birds.add(draw_bird(x, y, 0.34 + 0.08 * jot(seed, i, 3), flap))
    items.append(under(camera, birds.marks, depth=0.3))
    wind = 0.6 * math.sin(2.6 * take.acted("figure"))
    stand = Cel()
    figure = draw_figure(
        take.actor(0), Acting(yaw=0.5, sway=-0.7 + wind, smile=0.5), Gait(still=True), pen=4.4
    )
    stand.veil(ellipse(330, 372, 74, 12), (20, 40, 30), 0.35)
    stand.add(figure, affine(x=330, y=372 - GROUND * 0.46, sx=0.46))
    items.append(under(camera, stand.marks))
    return [*items, take.light()]


def stage_walk(take: Take) -> list[Item]:
    """A walk on twos, held in frame by a pan on ones."""
    scale = 1.02
    pace = 1.05
    travel = STRIDE * scale * pace
    span = len(take.shot) / float(take.short.rate) * travel / 2
    camera = Camera(x=-span + travel * take.now)
    items = take.place(camera, travel=span + 60)
    step = take.acted("body")
    walker = Cel()
    foot = 352.0
    walker.veil(ellipse(0, foot, 120, 15), (30, 24, 50), 0.32)
    acting = Acting(
        yaw=0.75,
        sway=-0.35 + 0.3 * math.sin(4 * math.pi * pace * step + 1),
        mouth=along([0, 0, 0.5, 0.8, 0.3, 0.6, 0.1, 0], take.drawing("mouth")),
        lid=_blink(take),
        smile=0.6,
    )
    figure = draw_figure(
        take.actor(0), acting, Gait(phase=(pace * step + jot(take.shot.seed, 1)) % 1.0)
    )
    walker.add(figure, affine(y=foot - GROUND * scale, sx=scale))
    items.append(under(Camera(), walker.marks))
    return [*items, take.light()]


def stage_creature(take: Take) -> list[Item]:
    """It jumps on ones; nearer, it looks about and blinks. The same grove for both sizes."""
    seed = take.shot.seed
    kind = CREATURES[seed % len(CREATURES)]
    if take.shot.near:
        return _creature_near(take, kind_index=seed % len(CREATURES))
    camera = Camera(y=20)
    items = take.place(camera, detail=1.0)
    s = take.acted("body")
    period = 0.62
    hop, into = math.floor(s / period), (s / period) % 1.0
    x = -420 + 250 * (hop + _hop_travel(into))
    ground = 330.0
    marks = Cel()
    height, stretch = _hop(into)
    marks.veil(
        ellipse(x, ground, 96 * (1 - height / 700), 15 * (1 - height / 700)), (16, 40, 28), 0.4
    )
    ears = 0.9 * math.cos(2 * math.pi * into + 0.6)
    body = draw_creature(
        kind, stretch=stretch, lid=float(into < 0.16), mouth=height / 240, ears=ears
    )
    marks.add(body, affine(x=x, y=ground - height, turn=0.12 * math.sin(2 * math.pi * into)))
    if s > period * 0.9:
        landed = -420 + 250 * (hop if into < 0.6 else hop + 1)
        age = (into + 0.1) / 0.55 if into < 0.6 else (into - 0.9) / 0.55
        marks.add(draw_dust(landed, ground, age))
    items.append(under(camera, marks.marks))
    return [*items, take.light()]


def stage_city(take: Take) -> list[Item]:
    """The city at night: a slow push in, lights that come and go on threes, the moon."""
    zoom = 1.0 + 0.22 * ease(take.progress)
    camera = Camera(x=26 * take.progress, y=-20, zoom=zoom)
    layers = take.place(camera, travel=60, detail=1.25)
    moon = Camera(zoom=1 + (zoom - 1) * 0.1)
    disc = under(moon, draw_moon(330, -250, 74).marks)
    glow = Glow(330 * moon.zoom, -250 * moon.zoom, 330, (120, 120, 150), 0.8)
    lamps = under(camera, draw_lamps(take.shot.seed, take.drawing("lamps")).marks, depth=0.6)
    return [layers[0], glow, disc, *layers[1:], lamps]


def stage_roof(take: Take) -> list[Item]:
    """Someone on a roof at night; only hair and scarf move, on threes."""
    camera = Camera(zoom=1.12, y=30)
    layers = take.place(camera, detail=1.12)
    wind = take.acted("cloth")
    actor = take.actor(0)
    acting = Acting(yaw=0.62, sway=-0.9 + 0.45 * math.sin(5.2 * wind), look_x=0.4, lid=_blink(take))
    scale = 1.18
    foot = 404.0
    cel = Cel()
    cel.veil(ellipse(40, foot, 150, 17), (8, 8, 26), 0.5)
    figure = draw_figure(actor, acting, Gait(still=True))
    tail = draw_scarf(-6, -176, 5.2 * wind, actor.accent)
    cel.add(tail, affine(x=40, y=foot - GROUND * scale, sx=scale))
    cel.add(figure, affine(x=40, y=foot - GROUND * scale, sx=scale))
    moon = draw_moon(-330, -260, 60)
    glow = Glow(-330, -260, 300, (110, 110, 140), 0.8)
    sky, *rest = layers
    return [
        sky, glow, under(Camera(), moon.marks), *rest, under(camera, cel.marks), take.light(),
    ]  # fmt: skip


def _creature_near(take: Take, *, kind_index: int) -> list[Item]:
    camera = Camera(x=110, y=170, zoom=1.9)
    items = take.place(Camera(x=110, y=110, zoom=1.6), travel=110, detail=1.6, blur=5)
    cel = Cel()
    cel.veil(ellipse(110, 330, 110, 16), (16, 40, 28), 0.4)
    s = take.acted("body")
    breath = 1 + 0.05 * math.sin(2 * math.pi * 1.3 * s)
    body = draw_creature(
        CREATURES[kind_index],
        stretch=breath,
        lid=_blink(take),
        mouth=along([0, 0, 0.3, 0.9, 1, 0.6, 0.2, 0], take.drawing("body") * 0.5),
        ears=0.5 * math.sin(2 * math.pi * 1.3 * s + 0.8),
    )
    cel.add(body, affine(x=110, y=330, turn=0.05 * math.sin(2 * math.pi * 0.65 * s)))
    items.append(under(camera, cel.marks))
    return [*items, take.light()]


def _hop(into: float) -> tuple[float, float]:
    """Height and stretch within a jump: crouch, spring, fall, landing."""
    if into < 0.2:
        return 0.0, 1 - 0.34 * math.sin(math.pi * into / 0.4)
    if into < 0.9:
        u = (into - 0.2) / 0.7
        start = 0.66 + (1.26 - 0.66) * min(u * 6, 1.0)
        stretch = start + (1.0 - 1.26) * math.sin(math.pi * u) * (u > 1 / 6)
        return 4 * 235 * u * (1 - u), stretch
    u = (into - 0.9) / 0.1
    return 0.0, 1.22 - 0.44 * u + 0.22 * max(u - 0.5, 0) * 2


def _hop_travel(into: float) -> float:
    return min(max((into - 0.2) / 0.7, 0.0), 1.0)


def _blink(take: Take) -> float:
    """The lid on the eyes' own exposure: a blink once in the shot, a quick one."""
    at = take.pose("eyes") - 2 * (3 + int(jot(take.shot.seed, 77) * 5))
    return along([0.0, 0.7, 1.0, 0.55, 0.0], at / 2)
