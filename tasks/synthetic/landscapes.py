"""Painted outdoors: skies, mountains, hills, meadows and groves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.synthetic.cel import Rgb
from tasks.synthetic.easel import Easel


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The colour script of a time of day."""

    top: Rgb
    middle: Rgb
    low: Rgb
    cloud: Rgb
    cloud_shade: Rgb
    far: Rgb
    hill: Rgb
    near: Rgb
    grass: Rgb
    leaf: Rgb
    glow: Rgb
    stars: bool = False


MOODS: dict[str, Mood] = {
    "day": Mood(
        top=(46, 116, 200), middle=(112, 180, 230), low=(212, 236, 240),
        cloud=(255, 254, 248), cloud_shade=(168, 192, 222), far=(134, 172, 204),
        hill=(98, 154, 116), near=(70, 132, 74), grass=(128, 178, 72), leaf=(58, 112, 52),
        glow=(255, 250, 220),
    ),
    "dusk": Mood(
        top=(70, 62, 132), middle=(222, 116, 110), low=(255, 206, 132),
        cloud=(255, 202, 156), cloud_shade=(158, 92, 132), far=(138, 96, 138),
        hill=(104, 78, 104), near=(78, 66, 78), grass=(128, 98, 70), leaf=(58, 50, 60),
        glow=(255, 226, 150),
    ),
    "morning": Mood(
        top=(116, 176, 208), middle=(182, 216, 214), low=(252, 236, 204),
        cloud=(255, 250, 236), cloud_shade=(206, 204, 214), far=(168, 192, 202),
        hill=(136, 176, 142), near=(106, 150, 104), grass=(170, 190, 104), leaf=(88, 128, 78),
        glow=(255, 244, 206),
    ),
    "night": Mood(
        top=(10, 14, 44), middle=(30, 40, 92), low=(86, 84, 146),
        cloud=(84, 92, 150), cloud_shade=(40, 46, 94), far=(44, 54, 104),
        hill=(28, 40, 76), near=(20, 32, 56), grass=(30, 50, 62), leaf=(16, 28, 46),
        glow=(210, 220, 255), stars=True,
    ),
}  # fmt: skip


def paint_sky(easel: Easel, mood: str) -> None:
    """A gradient wash with cumulus clouds, and stars at night."""
    tone = MOODS[mood]
    easel.gradient([(-450, tone.top), (-60, tone.middle), (240, tone.low), (450, tone.low)])
    chance = easel.chance
    streak = easel.noise(120, octaves=4, stretch=5)
    easel.tinge(tone.cloud, np.clip(streak - 0.12, 0, 1) * np.float32(0.55))
    if tone.stars:
        count = int((easel.x1 - easel.x0) / 8)
        at = np.stack(
            [chance.uniform(easel.x0, easel.x1, count), chance.uniform(-460, 120, count)], 1
        )
        size = chance.uniform(0.8, 2.4, count)[:, None] * np.ones((1, 2))
        paint = np.array([[225, 230, 255]]) * chance.uniform(0.5, 1, count)[:, None]
        easel.dabs(at, size, np.zeros(count), paint)
    x = easel.x0 - 100.0
    while x < easel.x1:
        width = chance.uniform(220, 520)
        base = chance.uniform(-60, 190)
        _cloud(easel, x + width / 2, base, width, width * chance.uniform(0.3, 0.5), tone)
        x += width * chance.uniform(0.75, 1.5)
    easel.smear(9, cell=34)
    easel.blur(2.2)
    easel.mottle(0.025, cell=40, stretch=2)


def paint_mountains(easel: Easel, mood: str) -> None:
    """A far range with lit and shaded faces, pale with distance."""
    tone = MOODS[mood]
    chance = easel.chance
    x = np.arange(easel.x0 - 40, easel.x1 + 80, 34.0)
    ridge = _ridge(easel, x, 40.0, 90.0)
    easel.area(np.vstack([np.stack([x, ridge], 1), [[x[-1], 460], [x[0], 460]]]), tone.far)
    lit = _mix(tone.far, tone.cloud, 0.42)
    for i in range(1, len(x) - 1):
        if ridge[i] <= ridge[i - 1] and ridge[i] <= ridge[i + 1]:
            drop = chance.uniform(60, 130)
            face = [
                (x[i], ridge[i]),
                (x[i] - drop * 0.9, ridge[i] + drop),
                (x[i] - drop * 0.45, ridge[i] + drop * 0.72),
                (x[i] - drop * 0.1, ridge[i] + drop * 0.95),
            ]
            easel.area(face, lit)
    easel.smear(8, cell=20)
    easel.tinge(tone.low, np.clip((easel.down() - 60) / np.float32(300), 0, 0.8))
    easel.mottle(0.05, cell=30)


def paint_hills(easel: Easel, mood: str) -> None:
    """Rolling hills with woods along their crests."""
    tone = MOODS[mood]
    for level, (base, swing, paint) in enumerate(
        [(120.0, 60.0, tone.hill), (210.0, 50.0, _mix(tone.hill, tone.near, 0.6))]
    ):
        x = np.arange(easel.x0 - 60, easel.x1 + 120, 48.0)
        crest = _ridge(easel, x, base, swing)
        easel.area(np.vstack([np.stack([x, crest], 1), [[x[-1], 470], [x[0], 470]]]), paint)
        _dapple(easel, x, crest, 150, paint, tone, count=26 + 10 * level)
        for at in np.arange(easel.x0, easel.x1, 34.0):
            if easel.chance.uniform() < 0.62:
                foot = float(np.interp(at, x, crest)) + 14
                size = easel.chance.uniform(22, 46) * (1 + 0.3 * level)
                _tree(easel, at, foot, size, _mix(tone.leaf, tone.far, 0.35 - 0.3 * level), tone)
    easel.smear(3.5, cell=14)
    easel.mottle(0.06, cell=24)


def paint_meadow(easel: Easel, mood: str) -> None:
    """Grass in brush strokes from the middle distance to the camera, with flowers."""
    tone = MOODS[mood]
    chance = easel.chance
    x = np.arange(easel.x0 - 60, easel.x1 + 120, 60.0)
    crest = _ridge(easel, x, 286.0, 16.0)
    easel.area(np.vstack([np.stack([x, crest], 1), [[x[-1], 480], [x[0], 480]]]), tone.near)
    count = int((easel.x1 - easel.x0) * 1.5)
    depth = np.sort(chance.uniform(0, 1, count) ** 0.8)
    px = chance.uniform(easel.x0, easel.x1, count)
    at = np.stack([px, np.interp(px, x, crest) + depth * 190 + 2], 1)
    size = np.stack([1.2 + 2.2 * depth, 5 + 17 * depth * chance.uniform(0.6, 1.2, count)], 1)
    turn = chance.normal(0.12, 0.24, count)
    mix = np.clip(chance.normal(0.35, 0.32, count) - 0.25 * depth, 0, 1)[:, None]
    paint = np.array(tone.near) * (1 - mix) + np.array(tone.grass) * mix
    paint = paint * chance.normal(1, 0.06, count)[:, None]
    easel.dabs(at, size, turn, paint)
    flowers = count // 16
    pick = chance.integers(count // 3, count, flowers)
    petals = np.array([(250, 246, 232), (246, 206, 90), (236, 132, 140)], np.float64)
    bright = 1.0 if not tone.stars else 0.5
    tint = petals[chance.integers(0, 3, flowers)] * bright
    easel.dabs(at[pick] - (0, 6), 2.0 + 3.0 * depth[pick, None] * np.ones((1, 2)), turn[pick], tint)


def paint_grove(easel: Easel, mood: str) -> None:
    """A clearing among big trees: trunks, masses of leaves, light on the moss."""
    tone = MOODS[mood]
    chance = easel.chance
    haze = _mix(tone.low, tone.grass, 0.45)
    easel.gradient([(-450, _mix(tone.leaf, tone.near, 0.5)), (40, haze), (250, haze), (450, haze)])
    for depth in (0.25, 0.6, 1.0):
        bark = _mix(haze, _mix(tone.leaf, (92, 62, 50), 0.6), 0.35 + 0.6 * depth)
        for at in np.arange(easel.x0, easel.x1, 230 - 60 * depth):
            x = at + chance.uniform(-70, 70)
            wide = (10 + 26 * depth) * chance.uniform(0.8, 1.3)
            if depth == 1.0 and abs(x) < 430:
                continue
            foot = 170 + 130 * depth
            trunk = [
                (x - wide, -470), (x + wide, -470), (x + wide * 0.8, foot - 60),
                (x + wide * 1.9, foot), (x - wide * 1.7, foot), (x - wide * 0.85, foot - 70),
            ]  # fmt: skip
            easel.area(trunk, bark)
            easel.area(
                [(x - wide, -470), (x - wide * 0.4, -470), (x - wide * 0.35, foot - 70),
                 (x - wide * 1.2, foot), (x - wide * 1.7, foot), (x - wide * 0.85, foot - 70)],
                _mix(bark, tone.glow, 0.25),
            )  # fmt: skip
        ground = _mix(haze, _mix(tone.near, tone.grass, 0.4), 0.4 + 0.5 * depth)
        x = np.arange(easel.x0 - 60, easel.x1 + 120, 60.0)
        rise = _ridge(easel, x, 150 + 120 * depth, 14)
        easel.area(np.vstack([np.stack([x, rise], 1), [[x[-1], 480], [x[0], 480]]]), ground)
        _leaves(easel, depth, _mix(haze, tone.leaf, 0.3 + 0.6 * depth), tone)
    easel.smear(4, cell=16)
    shaft = np.clip(easel.noise(240, octaves=2) + 0.1, 0, 1) * np.float32(0.35)
    easel.tinge(tone.glow, shaft * np.clip((easel.down() - 120) / np.float32(250), 0, 1))
    easel.mottle(0.05, cell=26)


def _leaves(easel: Easel, depth: float, paint: Rgb, tone: Mood) -> None:
    chance = easel.chance
    count = int((easel.x1 - easel.x0) * (0.22 + 0.1 * depth))
    at = np.stack(
        [
            chance.uniform(easel.x0, easel.x1, count),
            -455 + np.minimum(chance.gamma(2.0, 60 - 18 * depth, count), 300 - 70 * depth),
        ],
        1,
    )
    at = at[np.argsort(-at[:, 1])]
    size = np.stack([chance.uniform(14, 30, count), chance.uniform(9, 20, count)], 1)
    size *= 0.5 + 0.7 * depth
    mix = np.clip(chance.normal(0.12, 0.22, count), 0, 0.75)[:, None]
    tint = np.array(paint) * (1 - mix) + np.array(_mix(tone.grass, tone.glow, 0.2)) * mix
    easel.dabs(at, size, chance.uniform(0, 3.1, count), tint)


def _cloud(easel: Easel, x: float, base: float, width: float, height: float, tone: Mood) -> None:
    chance = easel.chance
    count = int(26 + width / 16)
    u = chance.uniform(-1, 1, count)
    v = chance.uniform(0, 1, count) * (1 - np.abs(u) ** 1.7)
    order = np.argsort(-v)
    u, v = u[order], v[order]
    radius = height * (0.13 + 0.15 * (1 - np.abs(u))) * chance.uniform(0.7, 1.25, count)
    at = np.stack([x + u * width / 2, base - v * height], 1)
    shade = np.array(tone.cloud_shade, np.float64)
    light = np.array(tone.cloud, np.float64)
    lift = np.clip(0.35 + 0.65 * v, 0, 1)[:, None]
    for i in range(count):
        here, r = at[i : i + 1], radius[i]
        dark = shade * (1 - 0.5 * lift[i]) + light * 0.5 * lift[i]
        bright = shade * (1 - lift[i]) + light * lift[i]
        easel.dabs(here, np.array([[r, r * 0.82]]), np.zeros(1), dark[None])
        easel.dabs(
            here - (r * 0.16, r * 0.2), np.array([[r * 0.84, r * 0.66]]), np.zeros(1), bright[None]
        )


def _tree(easel: Easel, x: float, foot: float, size: float, paint: Rgb, tone: Mood) -> None:
    chance = easel.chance
    count = 18
    u = chance.normal(0, 0.42, count)
    v = chance.uniform(0, 1, count)
    order = np.argsort(v)
    u, v = u[order], v[order]
    at = np.stack([x + u * size * (1.1 - 0.5 * v), foot - v * size * 1.5], 1)
    half = size * chance.uniform(0.16, 0.3, count)
    mix = np.clip(0.55 * v - 0.5 * u - 0.12, 0, 0.6)[:, None]
    tint = np.array(paint) * (1 - mix) + np.array(tone.grass) * mix
    easel.dabs(at, np.stack([half, half * 0.75], 1), chance.uniform(-0.5, 0.5, count), tint)


def _dapple(
    easel: Easel,
    x: np.ndarray,
    crest: np.ndarray,
    deep: float,
    paint: Rgb,
    tone: Mood,
    *,
    count: int,
) -> None:
    chance = easel.chance
    count = int(count * (easel.x1 - easel.x0) / 500)
    px = chance.uniform(easel.x0, easel.x1, count)
    drop = chance.uniform(0, 1, count)
    at = np.stack([px, np.interp(px, x, crest) + 10 + drop * deep], 1)
    size = np.stack([chance.uniform(20, 60, count), chance.uniform(3, 8, count)], 1)
    mix = chance.uniform(0, 0.4, count)[:, None]
    sign = (chance.uniform(0, 1, count) < 0.5)[:, None]
    towards = np.where(sign, np.array(tone.grass), np.array(tone.leaf))
    easel.dabs(at, size, chance.normal(0, 0.12, count), np.array(paint) * (1 - mix) + towards * mix)


def _ridge(easel: Easel, x: np.ndarray, base: float, swing: float) -> np.ndarray:
    chance = easel.chance
    y = np.full(len(x), base)
    for part, length in ((1.0, 620.0), (0.5, 270.0), (0.22, 110.0)):
        phase = chance.uniform(0, 2 * np.pi)
        y -= part * swing * np.sin(x * (2 * np.pi / length) + phase)
    return y


def _mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    r, g, b_ = (round(p + (q - p) * t) for p, q in zip(a, b, strict=True))
    return r, g, b_
