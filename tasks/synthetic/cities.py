"""Painted towns: a street of houses by day, a skyline and a roof by night."""

from __future__ import annotations

import numpy as np

from tasks.synthetic.cel import Rgb, light_of, shade_of
from tasks.synthetic.easel import Easel
from tasks.synthetic.landscapes import MOODS, Mood

WALLS: tuple[Rgb, ...] = (
    (236, 220, 192), (214, 178, 148), (222, 226, 218), (196, 206, 212), (230, 196, 168),
    (204, 190, 170),
)  # fmt: skip
ROOFS: tuple[Rgb, ...] = ((172, 84, 62), (92, 104, 128), (128, 92, 82), (74, 116, 112))


def paint_town(easel: Easel, mood: str) -> None:
    """Far roofs in haze, a band of blocks behind the houses."""
    tone = MOODS[mood]
    chance = easel.chance
    x = easel.x0
    while x < easel.x1:
        wide, high = chance.uniform(50, 130), chance.uniform(60, 230)
        paint = _mix(tone.far, WALLS[int(chance.integers(len(WALLS)))], 0.3)
        paint = _lit(paint, tone)
        easel.box(x, 210 - high, x + wide, 460, paint)
        easel.box(x + wide * 0.72, 210 - high, x + wide, 460, shade_of(paint, amount=0.5))
        for row in np.arange(226 - high, 200, 24):
            for column in np.arange(x + 9, x + wide * 0.7 - 9, 20):
                easel.box(column, row, column + 9, row + 12, shade_of(paint, amount=0.45))
        x += wide * chance.uniform(0.9, 1.25)
    easel.smear(2.2, cell=18)
    easel.tinge(tone.low, np.clip((easel.down() + 60) / np.float32(420), 0, 0.7))
    easel.mottle(0.05, cell=20)


def paint_street(easel: Easel, mood: str) -> None:
    """Houses, hedges and a wall along a pavement."""
    tone = MOODS[mood]
    chance = easel.chance
    x = easel.x0 - 40
    while x < easel.x1:
        wide = chance.uniform(300, 430)
        if chance.uniform() < 0.8:
            _house(easel, x, wide, tone)
        else:
            _garden(easel, x, wide, tone)
        x += wide + chance.uniform(10, 60)
    wall = _lit((206, 196, 184), tone)
    easel.box(easel.x0, 196, easel.x1, 300, wall)
    easel.box(easel.x0, 190, easel.x1, 202, light_of(wall, amount=0.5))
    easel.box(easel.x0, 278, easel.x1, 300, shade_of(wall, amount=0.6))
    for at in np.arange(easel.x0, easel.x1, 92):
        easel.box(at, 204, at + 2.5, 296, shade_of(wall, amount=0.5))
    road = _lit((178, 174, 178), tone)
    easel.box(easel.x0, 298, easel.x1, 470, road)
    easel.box(easel.x0, 298, easel.x1, 312, shade_of(road, amount=0.7))
    for at in np.arange(easel.x0, easel.x1, 150):
        slope = 0.22 * at
        easel.area(
            [(at, 312), (at + 3, 312), (at + 3 + slope * 0.2, 470), (at + slope * 0.2 - 4, 470)],
            shade_of(road, amount=0.35),
        )
    easel.box(easel.x0, 372, easel.x1, 376, shade_of(road, amount=0.35))
    for at in np.arange(easel.x0 + 180, easel.x1, 640):
        post = _lit((120, 112, 110), tone)
        easel.box(at - 9, -470, at + 9, 306, post)
        easel.box(at + 3, -470, at + 9, 306, shade_of(post))
        for bar in (-330, -280):
            easel.box(at - 70, bar, at + 70, bar + 10, shade_of(post, amount=0.7))
    easel.smear(2.0, cell=22)
    easel.mottle(0.07, cell=34)
    cast = easel.noise(150, octaves=3, stretch=1.6)
    easel.light(1 - 0.2 * np.clip(cast * 4 - 0.6, 0, 1) * (easel.down() > 150))


def paint_skyline(easel: Easel, mood: str) -> None:
    """Towers with lit windows; the seed decides how near: odd ones are nearer and darker."""
    tone = MOODS[mood]
    chance = easel.chance
    near = bool(int(chance.integers(0, 1 << 30)) and mood == "night")
    x = easel.x0
    while x < easel.x1:
        wide, high = chance.uniform(70, 150), chance.uniform(160, 520)
        paint = _mix(tone.hill, tone.far, float(chance.uniform(0.0, 0.7)))
        top = 330 - high
        easel.box(x, top, x + wide, 470, paint)
        easel.box(x + wide * 0.66, top, x + wide, 470, shade_of(paint, amount=0.8))
        if chance.uniform() < 0.4:
            easel.box(x + wide * 0.3, top - 34, x + wide * 0.5, top, paint)
            easel.box(x + wide * 0.39, top - 80, x + wide * 0.41, top, paint)
        lamps = np.array([(255, 224, 150), (255, 196, 110), (190, 220, 255)])
        for row in np.arange(top + 14, 460, 19):
            for column in np.arange(x + 9, x + wide * 0.64 - 8, 15):
                if near and chance.uniform() < 0.42:
                    r, g, b = lamps[int(chance.integers(3))] * chance.uniform(0.6, 1)
                    easel.box(column, row, column + 7.5, row + 10, (int(r), int(g), int(b)))
                else:
                    easel.box(column, row, column + 7.5, row + 10, shade_of(paint, amount=0.4))
        x += wide * chance.uniform(0.8, 1.15)
    easel.smear(1.2, cell=12)
    haze = np.clip((easel.down() - 40) / np.float32(420), 0, 0.6)
    easel.tinge(_mix(tone.low, (220, 130, 160), 0.25), haze)
    easel.mottle(0.06, cell=24)


def paint_roof(easel: Easel, mood: str) -> None:
    """The roof the night is watched from: parapet, rail, water tank."""
    tone = MOODS[mood]
    slab = _mix(tone.near, tone.hill, 0.5)
    easel.box(easel.x0, 318, easel.x1, 480, slab)
    easel.box(easel.x0, 310, easel.x1, 330, light_of(slab, amount=0.35))
    easel.box(easel.x0, 330, easel.x1, 346, shade_of(slab))
    for at in np.arange(easel.x0, easel.x1, 118):
        easel.box(at, 212, at + 7, 314, shade_of(slab))
        easel.box(at, 212, at + 2.5, 314, light_of(slab, amount=0.3))
    for bar in (210, 256):
        easel.box(easel.x0, bar, easel.x1, bar + 7, shade_of(slab))
        easel.box(easel.x0, bar, easel.x1, bar + 2.5, light_of(slab, amount=0.45))
    tank = _mix(tone.far, tone.hill, 0.4)
    easel.box(-700, 60, -470, 312, tank)
    easel.box(-560, 60, -470, 312, shade_of(tank))
    easel.area([(-720, 66), (-585, 8), (-450, 66)], light_of(tank, amount=0.2))
    for band in (120, 190, 260):
        easel.box(-700, band, -470, band + 5, shade_of(tank))
    easel.smear(1.6, cell=18)
    easel.mottle(0.1, cell=30)


def _house(easel: Easel, x: float, wide: float, tone: Mood) -> None:
    chance = easel.chance
    wall = _lit(WALLS[int(chance.integers(len(WALLS)))], tone)
    roof = _lit(ROOFS[int(chance.integers(len(ROOFS)))], tone)
    eave = float(chance.uniform(-170, -70))
    easel.box(x, eave, x + wide, 300, wall)
    easel.box(x + wide * 0.78, eave, x + wide, 300, shade_of(wall, amount=0.7))
    easel.box(x, eave, x + wide, eave + 26, shade_of(wall, amount=0.8))
    ridge = eave - float(chance.uniform(90, 150))
    over = 24
    easel.area(
        [(x - over, eave), (x + wide * 0.16, ridge), (x + wide * 0.84, ridge),
         (x + wide + over, eave), (x + wide + over, eave + 12), (x - over, eave + 12)],
        roof,
    )  # fmt: skip
    for k in range(1, 7):
        y = ridge + (eave - ridge) * k / 7
        t = k / 7
        left, right = x + wide * 0.16 * (1 - t) - over * t, x + wide * (0.84 + 0.16 * t) + over * t
        easel.box(left, y, right, y + 3, shade_of(roof, amount=0.55))
    easel.box(x - over, eave + 7, x + wide + over, eave + 14, shade_of(roof))
    glass, frame = _lit((150, 190, 212), tone), _lit((246, 242, 232), tone)
    if tone.stars:
        glass = (255, 214, 140)
    for row in (eave + 44, eave + 168):
        for k in range(3):
            if chance.uniform() < 0.8 and row < 120:
                cx = x + wide * (0.17 + 0.27 * k)
                _window(easel, cx - 30, row, cx + 30, row + 76, glass, frame)


def _window(
    easel: Easel, x0: float, y0: float, x1: float, y1: float, glass: Rgb, frame: Rgb
) -> None:
    easel.box(x0 - 7, y0 - 7, x1 + 7, y1 + 7, frame)
    easel.box(x0, y0, x1, y1, glass)
    easel.area([(x0, y1), (x0, y0 + 30), (x0 + 34, y0), (x0 + 56, y0)], light_of(glass, amount=0.6))
    easel.box((x0 + x1) / 2 - 2.5, y0, (x0 + x1) / 2 + 2.5, y1, frame)
    easel.box(x0 - 12, y1 + 7, x1 + 12, y1 + 15, shade_of(frame, amount=0.6))


def _garden(easel: Easel, x: float, wide: float, tone: Mood) -> None:
    chance = easel.chance
    count = 420
    u = chance.uniform(-1, 1, count)
    crown = 150 + 120 * np.sqrt(1 - u**2) * (0.75 + 0.25 * np.cos(u * 9 + x))
    at = np.stack([x + wide * (u + 1) / 2, 240 - crown * chance.uniform(0, 1, count) ** 0.7], 1)
    at = at[np.argsort(at[:, 1])]
    half = chance.uniform(11, 26, count)
    mix = np.clip(chance.normal(0.3, 0.3, count), 0, 0.9)[:, None]
    paint = np.array(tone.leaf) * (1 - mix) + np.array(tone.grass) * mix
    easel.dabs(at, np.stack([half, half * 0.7], 1), chance.uniform(-0.6, 0.6, count), paint)


def _lit(paint: Rgb, tone: Mood) -> Rgb:
    """A local colour in the light of the mood."""
    if tone.stars:
        return _mix(shade_of(shade_of(paint)), tone.middle, 0.45)
    r, g, b = (round(p * (0.35 + 0.65 * q / 255)) for p, q in zip(paint, tone.low, strict=True))
    return r, g, b


def _mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    r, g, b_ = (round(p + (q - p) * t) for p, q in zip(a, b, strict=True))
    return r, g, b_
