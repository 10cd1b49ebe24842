"""Set-ups of action: a run with speed lines, a face with focus lines, frames of impact."""

from __future__ import annotations

import math

from tasks.synthetic.bust import draw_bust
from tasks.synthetic.cast import Acting
from tasks.synthetic.cel import Cel
from tasks.synthetic.curves import affine, ellipse
from tasks.synthetic.effects import (
    along,
    draw_burst,
    draw_focus_lines,
    draw_streaks,
    ease,
    jot,
)
from tasks.synthetic.figure import GROUND, STRIDE, Gait, draw_figure
from tasks.synthetic.scene import Camera, Item, under
from tasks.synthetic.take import Take


def stage_rush(take: Take) -> list[Item]:
    """A run on twos, the street racing past on ones, speed lines redrawn on twos."""
    pace = 2.3
    travel = STRIDE * 1.55 * pace
    span = len(take.shot) / float(take.short.rate) * travel / 2
    shake = 5 * math.sin(21 * take.now)
    items = take.place(Camera(x=-span + travel * take.now, y=shake), travel=span + 120, blur=4)
    step = take.acted("body")
    runner = Cel()
    foot, scale = 380.0, 1.24
    runner.veil(ellipse(20, foot, 150, 17), (30, 24, 50), 0.32)
    acting = Acting(
        yaw=0.7, brow=0.8, mouth=0.75, smile=-0.2, wide=0.4,
        sway=-1.6 + 0.4 * math.sin(9 * step), lid=0.0,
    )  # fmt: skip
    gait = Gait(phase=(pace * step + jot(take.shot.seed, 3)) % 1.0, run=1.0)
    runner.add(draw_figure(take.actor(0), acting, gait), affine(y=foot - GROUND * scale, sx=scale))
    lines = draw_streaks(take.shot.seed, take.drawing("lines"), colour=(255, 250, 240))
    items.append(under(Camera(y=shake), runner.marks))
    items.append(under(Camera(), lines.marks))
    return [*items, take.light()]


def stage_focus(take: Take) -> list[Item]:
    """A fierce face, lines converging on it on twos, the camera rushing in on ones."""
    zoom = 1.0 + 0.2 * ease(take.progress)
    items = take.place(Camera(zoom=zoom), detail=1.0)
    lines = draw_focus_lines(
        take.shot.seed, take.drawing("lines"), colour=(255, 255, 255), inner=430
    )
    items.append(under(Camera(), lines.marks))
    s = take.acted("body")
    acting = Acting(
        yaw=-0.3, brow=1.0, smile=-0.5, wide=0.5, look_x=-0.1,
        mouth=along([0, 0.2, 0.7, 1, 1, 0.9, 1], take.drawing("body")),
        sway=1.1 + 0.5 * math.sin(8 * s), roll=-0.08,
    )  # fmt: skip
    bust = draw_bust(take.actor(0), acting, pen=4.0)
    items.append(under(Camera(x=-14, y=44, zoom=1.9 * zoom), bust.marks))
    return items


def stage_impact(take: Take) -> list[Item]:
    """One frame: a star of impact over hard lines."""
    seed = take.shot.seed
    items = take.place(Camera())
    paint = ((255, 240, 120), (255, 255, 255), (120, 230, 255))[int(3 * jot(seed, 1))]
    rim = ((230, 60, 50), (40, 40, 60), (40, 60, 180))[int(3 * jot(seed, 1))]
    lines = draw_focus_lines(seed, 0.0, colour=(20, 16, 30), inner=300)
    star = Cel()
    star.add(
        draw_burst(seed, spikes=13, radius=330, colour=paint, rim=rim),
        affine(turn=0.3 * jot(seed, 2)),
    )
    return [*items, under(Camera(), lines.marks), under(Camera(), star.marks)]
