"""Painted interiors and the flat grounds of action shots."""

from __future__ import annotations

import numpy as np

from tasks.synthetic.cel import Rgb, light_of, shade_of
from tasks.synthetic.easel import Easel
from tasks.synthetic.landscapes import MOODS

WOODS: dict[str, Rgb] = {
    "day": (196, 148, 98),
    "dusk": (176, 108, 78),
    "morning": (214, 176, 128),
    "night": (84, 74, 102),
}


def paint_classroom(easel: Easel, mood: str) -> None:
    """A classroom's window side: sky in tall panes, curtains, boards and desks."""
    tone = MOODS[mood]
    wood = WOODS[mood]
    wall = _mix((238, 230, 210), tone.low, 0.35) if not tone.stars else (70, 74, 112)
    easel.gradient([(-450, shade_of(wall, amount=0.25)), (-200, wall), (300, wall)])
    for k in range(-3, 4):
        x = k * 330.0
        easel.box(
            x - 142, -400, x + 142, 90, (250, 246, 236) if not tone.stars else (104, 108, 148)
        )
        for y0, y1 in ((-388, -196), (-184, 78)):
            for side in (-132.0, 5.0):
                _pane(easel, x + side, y0, x + side + 127, y1, mood)
        easel.box(x - 156, 88, x + 156, 106, shade_of(wall, amount=0.7))
        easel.box(x - 156, 84, x + 156, 92, light_of(wall, amount=0.7))
        _curtain(easel, x + 165, wall)
    easel.box(easel.x0, 150, easel.x1, 290, shade_of(wood, amount=0.25))
    easel.box(easel.x0, 144, easel.x1, 156, shade_of(wood, amount=0.8))
    for at in np.arange(easel.x0, easel.x1, 64):
        easel.box(at, 156, at + 3, 290, shade_of(wood, amount=0.65))
    easel.box(easel.x0, 284, easel.x1, 480, _mix(wood, (90, 60, 50), 0.25))
    for at in range(-2600, 2600, 130):
        easel.area(
            [(at * 0.5, 288), (at * 0.5 + 2, 288), (at + 4, 480), (at - 2, 480)], shade_of(wood)
        )
    for k in range(-3, 4):
        _desk(easel, k * 360.0 + 150, 250, wood)
    easel.smear(1.8, cell=26)
    right, down = easel.across(), easel.down()
    shaft = np.clip(1 - np.abs(((right - down * 0.55) % 330) - 165) / np.float32(105), 0, 1)
    easel.tinge(tone.glow, shaft * np.clip((down + 60) / np.float32(400), 0, 1) * np.float32(0.34))
    easel.mottle(0.05, cell=44)


def paint_cafe(easel: Easel, mood: str) -> None:
    """A small cafe: shelves with jars, a hanging lamp, a counter."""
    wood = WOODS[mood]
    chance = easel.chance
    wall = shade_of(_mix((118, 150, 138), wood, 0.25), amount=0.55)
    easel.gradient([(-450, shade_of(wall)), (-100, wall), (450, shade_of(wall, amount=0.5))])
    for shelf in (-230.0, -60.0, 110.0):
        easel.box(easel.x0, shelf, easel.x1, shelf + 16, wood)
        easel.box(easel.x0, shelf + 11, easel.x1, shelf + 30, shade_of(wood))
        x = easel.x0
        while x < easel.x1:
            wide, high = chance.uniform(26, 58), chance.uniform(50, 118)
            hue = (
                (206, 96, 70), (224, 178, 92), (94, 138, 148), (222, 212, 190), (128, 90, 110),
                (110, 146, 96),
            )[int(chance.integers(6))]  # fmt: skip
            if chance.uniform() < 0.82:
                easel.box(x, shelf - high, x + wide, shelf, hue)
                easel.box(x + wide * 0.66, shelf - high, x + wide, shelf, shade_of(hue))
                easel.box(x + wide * 0.14, shelf - high + 6, x + wide * 0.26, shelf - 8,
                          light_of(hue))  # fmt: skip
                easel.box(x + wide * 0.2, shelf - high - 12, x + wide * 0.8, shelf - high + 2,
                          shade_of(wood, amount=0.6))  # fmt: skip
            x += wide + chance.uniform(3, 20)
    easel.box(easel.x0, 292, easel.x1, 480, shade_of(wood, amount=0.3))
    easel.box(easel.x0, 282, easel.x1, 304, light_of(wood, amount=0.4))
    for at in np.arange(easel.x0, easel.x1, 118):
        easel.box(at, 304, at + 5, 480, shade_of(wood))
    easel.smear(2.2, cell=24)
    for at in (-520.0, 60.0, 640.0):
        easel.halo(at, -250, 520, (255, 214, 140), 0.55)
        easel.box(at - 2, -470, at + 2, -330, (52, 40, 40))
        easel.area([(at - 62, -268), (at - 26, -330), (at + 26, -330), (at + 62, -268)],
                   (232, 168, 92))  # fmt: skip
        easel.area([(at - 62, -268), (at + 62, -268), (at + 50, -256), (at - 50, -256)],
                   (255, 244, 206))  # fmt: skip
    easel.mottle(0.06, cell=40)


def paint_desk(easel: Easel, mood: str) -> None:
    """A table top from above, with grain and light from a window."""
    wood = WOODS[mood]
    easel.gradient([(-450, light_of(wood, amount=0.25)), (450, shade_of(wood, amount=0.35))])
    for k, y in enumerate(range(-460, 480, 172)):
        easel.box(easel.x0, y, easel.x1, y + 3, shade_of(wood))
        easel.box(easel.x0, y + 3, easel.x1, y + 6, light_of(wood, amount=0.4))
        joint = -600 + 470 * (k % 3)
        easel.box(joint, y, joint + 3, y + 172, shade_of(wood))
    grain = easel.noise(14, octaves=3, stretch=26)
    easel.tinge(shade_of(wood), np.clip(grain, 0, 1) * np.float32(0.8))
    easel.tinge(light_of(wood), np.clip(-grain, 0, 1) * np.float32(0.4))
    easel.smear(2.5, cell=40)
    skew = easel.across() + easel.down() * 0.5
    bars = (np.abs((skew + 330) % 460 - 230) < 196) & (np.abs(skew + 120) < 620)
    soft = np.broadcast_to(bars, (easel.rows, easel.columns)).astype(np.float32)
    easel.tinge(MOODS[mood].glow, soft * np.float32(0.2))
    easel.blur(1.5)
    easel.mottle(0.04, cell=24)


def paint_burst(easel: Easel, mood: str) -> None:
    """An abstract ground for action: dark at the edge, a hot centre."""
    deep, hot = {
        "day": ((26, 60, 140), (170, 226, 255)),
        "dusk": ((120, 22, 50), (255, 190, 110)),
        "morning": ((20, 96, 96), (226, 255, 206)),
        "night": ((30, 16, 70), (196, 140, 255)),
    }[mood]
    far = np.hypot(easel.across(), easel.down() * np.float32(1.25)) / np.float32(900)
    easel.gradient([(-450, deep), (450, deep)])
    easel.tinge(hot, np.clip(1 - far, 0, 1) ** 2)
    easel.mottle(0.16, cell=90, stretch=1.0)


def _pane(easel: Easel, x0: float, y0: float, x1: float, y1: float, mood: str) -> None:
    tone = MOODS[mood]
    steps = 12
    for k in range(steps):
        a, b = y0 + (y1 - y0) * k / steps, y0 + (y1 - y0) * (k + 1) / steps
        t = min(max(((a + b) / 2 + 400) / 520, 0), 1)
        easel.box(x0, a - 0.5, x1, b + 0.5, _mix(tone.middle, tone.low, t))
    chance = easel.chance
    if y1 > 0:
        count = 26
        at = np.stack(
            [chance.uniform(x0 + 12, x1 - 12, count), y1 - chance.gamma(1.6, 22, count) - 8], 1
        )
        at[:, 1] = np.clip(at[:, 1], y0 + 20, y1 - 8)
        half = np.minimum(chance.uniform(8, 17, count), y1 - at[:, 1])
        mix = chance.uniform(0, 0.6, count)[:, None]
        paint = np.array(tone.leaf) * (1 - mix) + np.array(tone.grass) * mix
        easel.dabs(at, np.stack([np.full(count, 11.0), half * 0.7], 1), np.zeros(count), paint)
    easel.area(
        [(x0 + 20, y1), (x0 + 70, y0), (x0 + 96, y0), (x0 + 46, y1)],
        _mix(_mix(tone.middle, tone.low, 0.7), tone.glow, 0.18),
    )


def _curtain(easel: Easel, x: float, wall: Rgb) -> None:
    cloth = light_of(wall, amount=0.5)
    easel.box(x - 44, -430, x + 44, 130, cloth)
    for k in range(5):
        at = x - 44 + 18 * k
        easel.area([(at, -430), (at + 7, -430), (at + 11, 130), (at - 1, 130)],
                   shade_of(cloth, amount=0.35))  # fmt: skip


def _desk(easel: Easel, x: float, y: float, wood: Rgb) -> None:
    top = light_of(wood, amount=0.25)
    easel.area([(x - 120, y), (x + 120, y), (x + 150, y + 52), (x - 150, y + 52)], top)
    easel.box(x - 150, y + 52, x + 150, y + 74, shade_of(top))
    for leg in (-138, 128):
        easel.box(x + leg, y + 74, x + leg + 12, y + 250, (96, 100, 116))


def _mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    r, g, b_ = (round(p + (q - p) * t) for p, q in zip(a, b, strict=True))
    return r, g, b_
