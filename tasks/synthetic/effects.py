"""What animators draw beside characters: speed lines, dust, birds, lights, and things on a desk."""

from __future__ import annotations

import math

from tasks.synthetic.cel import INK, Cel, Rgb
from tasks.synthetic.curves import Outline, affine, ellipse, line, moved, outline, polygon

_MASK = (1 << 64) - 1


def jot(seed: int, *index: int) -> float:
    """A fixed number in [0, 1) for a place in a series (the SplitMix64 finaliser)."""
    z = (seed * 0x9E3779B97F4A7C15) & _MASK
    for i in index:
        z = (z + (i + 1) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return (z >> 11) / (1 << 53)


def along(values: list[float], at: float) -> float:
    """A series read between its entries; held at its ends."""
    at = min(max(at, 0.0), len(values) - 1.0)
    low = min(int(at), len(values) - 2) if len(values) > 1 else 0
    if len(values) == 1:
        return values[0]
    return values[low] + (values[low + 1] - values[low]) * (at - low)


def ease(t: float) -> float:
    """Slow in, slow out."""
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def draw_focus_lines(seed: int, drawing: float, *, colour: Rgb, inner: float) -> Cel:
    """Lines that converge on the centre; every drawing is a new set, between two they slide."""
    cel = Cel()
    count = 70
    low = math.floor(drawing)
    for i in range(count):
        a0, a1 = (jot(seed, low + k, i, 0) for k in (0, 1))
        r0, r1 = (jot(seed, low + k, i, 1) for k in (0, 1))
        w0, w1 = (jot(seed, low + k, i, 2) for k in (0, 1))
        f = drawing - low
        turn = 2 * math.pi * (i + 0.8 * (a0 + (a1 - a0) * f)) / count
        near = inner * (0.85 + 0.7 * (r0 + (r1 - r0) * f))
        wide = 0.006 + 0.022 * (w0 + (w1 - w0) * f)
        tip = (near * 1.25 * math.cos(turn), near * math.sin(turn))
        ends = [
            (1500 * math.cos(turn + s * wide), 1500 * math.sin(turn + s * wide)) for s in (1, -1)
        ]
        cel.veil(polygon([tip, *ends]), colour, 0.85)
    return cel


def draw_streaks(seed: int, drawing: float, *, colour: Rgb, band: float = 430.0) -> Cel:
    """Level speed lines rushing to the left."""
    cel = Cel()
    for i in range(34):
        y = -band + 2 * band * jot(seed, i, 5)
        speed = 260 + 240 * jot(seed, i, 6)
        long = 260 + 560 * jot(seed, i, 7)
        wide = 1.5 + 6 * jot(seed, i, 8) ** 2
        x = 1100 - (speed * drawing + 2400 * jot(seed, i, 9)) % 2600
        cel.veil(polygon([(x, y), (x + long, y - wide), (x + long, y + wide)]), colour, 0.7)
    return cel


def draw_dust(x: float, y: float, age: float, *, colour: Rgb = (236, 228, 206)) -> Cel:
    """Puffs that spread and shrink; `age` runs from 0 to 1."""
    cel = Cel()
    if not 0 <= age < 1:
        return cel
    for side in (-1, 1):
        for k in range(3):
            far = (50 + 62 * k) * (0.35 + 0.9 * math.sqrt(age))
            size = (34 - 7 * k) * (1 - age) ** 0.7 * (0.6 + 0.9 * age)
            puff = ellipse(x + side * far, y - 8 - 22 * age * (k + 1), size, size * 0.8)
            cel.paint(puff, colour, "dust", shadows=[moved(puff, x=8, y=10)], pen=2.2)
    return cel


def draw_bird(x: float, y: float, size: float, flap: float) -> Cel:
    """A far bird; `flap` from −1 (wings down) to 1."""
    cel = Cel()
    tip = -34 * flap
    shape = outline([
        [-60, tip, 1], [-30, tip * 0.7 - 12], [0, 0, 1], [30, tip * 0.7 - 12], [60, tip, 1],
        [28, tip * 0.5 + 2], [6, 12], [-6, 12], [-28, tip * 0.5 + 2],
    ])  # fmt: skip
    cel.paint(shape, (250, 250, 252), "bird", shadows=[moved(shape, y=9)], pen=4.5)
    out = Cel()
    out.add(cel, affine(x=x, y=y, sx=size))
    return out


def draw_burst(seed: int, *, spikes: int, radius: float, colour: Rgb, rim: Rgb) -> Cel:
    """A jagged star of impact."""
    cel = Cel()
    for scale, paint, region in ((1.0, rim, "burst rim"), (0.78, colour, "burst")):
        points = []
        for i in range(2 * spikes):
            turn = math.pi * i / spikes
            reach = radius * scale * (0.42 if i % 2 else 0.8 + 0.5 * jot(seed, i))
            points.append([1.35 * reach * math.cos(turn), reach * math.sin(turn)])
        cel.paint(polygon(points), paint, region, pen=5)
    return cel


def draw_desk_things(seed: int, accent: Rgb) -> Cel:
    """A mug, a letter, a pen and a photograph, seen from above at a slant."""
    cel = Cel()
    _cast(cel, outline([[-420, -150, 1], [60, -230, 1], [140, 220, 1], [-350, 300, 1]]))
    paper = polygon([[-420, -150], [60, -230], [140, 220], [-350, 300]])
    fold = polygon([[-20, -300], [300, -300], [300, 340], [60, 340]])
    cel.paint(paper, (250, 246, 234), "letter", shadows=[fold], pen=3)
    for k in range(8):
        y = -110 + 46 * k
        start, end = -370 + 8 * k, 40 - 150 * jot(seed, k) * (k % 3 == 2)
        x = float(start)
        while x < end + 8 * k:
            stop = min(x + 40 + 60 * jot(seed, k, int(x)), end + 8 * k)
            word = [
                [u, y - 0.166 * (u + 170) + 10 * math.sin(u * 0.3) * (jot(seed, k, int(u)) - 0.3)]
                for u in range(int(x), int(stop), 9)
            ]
            if len(word) > 2:
                cel.ink(line(word), 2.4, colour=(66, 74, 120), taper=0.8)
            x = stop + 14
    photo = Cel()
    _cast(photo, polygon([[-150, -120], [150, -120], [150, 130], [-150, 130]]))
    photo.paint(polygon([[-150, -120], [150, -120], [150, 130], [-150, 130]]), (246, 244, 238),
                "photo", pen=3)  # fmt: skip
    view = polygon([[-132, -102], [132, -102], [132, 86], [-132, 86]])
    photo.paint(view, (150, 200, 226), "photo sky", pen=0)
    hill = outline([[-140, 40], [-60, -6], [20, 30], [90, -14], [150, 20], [150, 120], [-140, 120]])
    photo.inside(hill, (112, 160, 96), "photo hill", view)
    photo.inside(ellipse(70, -60, 24, 24), (255, 236, 170), "photo sun", view)
    for x, paint in ((-40.0, accent), (22.0, (74, 88, 136))):
        photo.inside(ellipse(x, 44, 22, 40), paint, "photo coat", view)
        photo.inside(ellipse(x, -12, 19, 21), (250, 220, 192), "photo face", view)
        photo.inside(ellipse(x, -24, 20, 15), (92, 62, 56), "photo hair", view)
    photo.ink(view, 2.6)
    cel.add(photo, affine(x=470, y=-190, turn=0.16))
    _mug(cel, accent)
    pen = Cel()
    _cast(pen, outline([[-190, -11], [150, -11], [205, 0], [150, 11], [-190, 11]]))
    barrel = outline([[-190, -11, 1], [140, -11, 1], [140, 11, 1], [-190, 11, 1]])
    pen.paint(barrel, (46, 58, 92), "pen", shadows=[moved(barrel, y=12)], pen=2.6)
    pen.paint(polygon([[140, -11], [206, 0], [140, 11]]), (226, 196, 120), "nib", pen=2.6)
    pen.paint(polygon([[-120, -12], [-104, -12], [-104, 12], [-120, 12]]), (226, 196, 120), "band",
              pen=2)  # fmt: skip
    cel.add(pen, affine(x=120, y=300, turn=-0.35))
    return cel


def draw_scarf(x: float, y: float, wind: float, colour: Rgb, *, pen: float = 3.2) -> Cel:
    """A scarf's tail in the wind, rooted at (x, y); `wind` is the wave's phase in radians."""
    cel = Cel()
    top, bottom = [], []
    for k in range(7):
        t = k / 6
        wave = 34 * t * math.sin(wind - 3.4 * t)
        wide = 16 + 12 * t
        px, py = x - 230 * t, y + 26 * t + wave
        top.append([px, py - wide])
        bottom.append([px + 8 * t, py + wide])
    top[0].append(1)
    top[-1].append(1)
    bottom[-1].append(1)
    bottom[0].append(1)
    shape = outline([*top, *reversed(bottom)])
    cel.paint(shape, colour, "scarf", shadows=[moved(shape, y=20)], pen=pen)
    for t in (0.8, 0.88):
        wave = 34 * t * math.sin(wind - 3.4 * t)
        px, py, wide = x - 230 * t, y + 26 * t + wave, 16 + 12 * t
        cel.ink(line([[px, py - wide], [px + 8 * t, py + wide]]), pen * 1.6, colour=(240, 236, 226),
                taper=0.9)  # fmt: skip
    return cel


def draw_moon(x: float, y: float, radius: float) -> Cel:
    """A full moon with its seas."""
    cel = Cel()
    disc = ellipse(x, y, radius, radius, samples=64)
    cel.paint(disc, (250, 244, 214), "moon", shadows=[moved(disc, x=radius * 0.2, y=radius * 0.2)],
              shadow=(238, 226, 190), pen=0)  # fmt: skip
    for dx, dy, r in ((-0.35, -0.2, 0.2), (0.15, -0.45, 0.13), (-0.1, 0.4, 0.16), (0.4, 0.1, 0.1)):
        cel.inside(ellipse(x + dx * radius, y + dy * radius, r * radius, r * radius * 0.85),
                   (224, 214, 184), "moon sea", disc)  # fmt: skip
    return cel


def draw_lamps(seed: int, drawing: float) -> Cel:
    """Lit windows and signs of the city that go on and off from drawing to drawing."""
    cel = Cel()
    low = math.floor(drawing)
    for i in range(46):
        x = -900 + 1800 * jot(seed, i, 1)
        y = 60 + 300 * jot(seed, i, 2)
        here, there = (jot(seed, i, 3, low + k) > 0.45 for k in (0, 1))
        lit = here + (there - here) * (drawing - low)
        if lit > 0:
            w, h = 8 + 5 * jot(seed, i, 4), 10 + 8 * jot(seed, i, 5)
            paint = ((255, 224, 150), (255, 170, 96), (150, 220, 255), (255, 130, 170))[i % 4]
            cel.veil(polygon([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]), paint, lit)
    return cel


def _mug(cel: Cel, accent: Rgb) -> None:
    x, y = -560.0, 60.0
    cel.veil(ellipse(x + 60, y + 130, 190, 74), (60, 36, 40), 0.35)
    handle = outline([[x + 110, y - 60], [x + 190, y - 70], [x + 206, y + 10], [x + 160, y + 76],
                      [x + 96, y + 84], [x + 100, y + 52], [x + 150, y + 34], [x + 166, y - 14],
                      [x + 150, y - 34], [x + 112, y - 26]])  # fmt: skip
    cel.paint(handle, accent, "mug", shadows=[moved(handle, x=14, y=18)], pen=3.4)
    body = outline([[x - 140, y - 110, 1], [x - 132, y + 60], [x - 92, y + 134], [x, y + 154],
                    [x + 92, y + 134], [x + 132, y + 60], [x + 140, y - 110, 1]])  # fmt: skip
    shine = outline([[x - 112, y - 60], [x - 84, y - 54], [x - 76, y + 60], [x - 100, y + 50]])
    cel.paint(body, accent, "mug", shadows=[moved(body, x=150, y=0)], lights=[shine], pen=3.4)
    cel.paint(ellipse(x, y - 110, 140, 46), (244, 238, 226), "mug rim", pen=3.4)
    tea = ellipse(x, y - 104, 116, 34)
    cel.paint(tea, (150, 84, 48), "tea", shadows=[moved(tea, y=-26)], pen=2.4)
    cel.inside(ellipse(x - 40, y - 98, 34, 8), (206, 142, 92), "tea glint", tea)
    star = []
    for i in range(10):
        reach, turn = (44 if i % 2 == 0 else 19), math.pi * i / 5 - math.pi / 2
        star.append([x - 20 + reach * math.cos(turn), y + 30 + reach * math.sin(turn)])
    cel.paint(polygon(star), (250, 246, 236), "mug star", pen=2.4)


def _cast(cel: Cel, shape: Outline) -> None:
    cel.veil(moved(shape, x=16, y=20), INK, 0.28)
