"""From a moment of the film to what is under the camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tasks.synthetic import action, indoors, outdoors
from tasks.synthetic.description import FlashFrame, Kind, Short, Shot
from tasks.synthetic.scene import Flash, Item, Scene, identity
from tasks.synthetic.take import Take

SETUPS: dict[Kind, Callable[[Take], list[Item]]] = {
    "landscape": outdoors.stage_landscape,
    "walk": outdoors.stage_walk,
    "creature": outdoors.stage_creature,
    "city": outdoors.stage_city,
    "roof": outdoors.stage_roof,
    "talk": indoors.stage_talk,
    "pair": indoors.stage_pair,
    "insert": indoors.stage_insert,
    "rush": action.stage_rush,
    "focus": action.stage_focus,
    "impact": action.stage_impact,
}


@dataclass(frozen=True, slots=True)
class Composite:
    """What one picture is made of: a scene, under a dissolve the next or last one, and a fade.

    `share` is the part of `other` in the mix; `level` the brightness a fade leaves (1: all).
    """

    scene: Scene
    other: Scene | None = None
    share: float = 0.0
    level: float = 1.0

    def identity(self) -> str:
        """Equal for equal pictures."""
        other = "" if self.other is None else identity(self.other.items)
        return f"{identity(self.scene.items)}:{other}:{self.share.hex()}:{self.level.hex()}"


def composite_at(short: Short, time: Fraction | int) -> Composite:
    """The picture at `time` in frames: whole for the film's own, between two for in-betweens.

    After the last frame of a shot that frame stays: nothing lies between two shots.
    """
    frame = int(time // 1)
    shot = short.shot_of(frame)
    at = Fraction(frame) if frame == shot.end - 1 else Fraction(time)
    scene = scene_of(short, shot, at)
    other, share, level = None, 0.0, 1.0
    for change in short.transitions:
        if not change.start <= frame < change.end:
            continue
        span = change.end - change.start
        if change.kind == "fade_in":
            level *= float(min((at - change.start) / span, Fraction(1)))
        elif change.kind == "fade_out":
            level *= float(max(1 - (at - change.start + 1) / span, Fraction(0)))
        else:
            new = float((at - change.start + 1) / (span + 1))
            index = short.shots.index(shot)
            incoming = shot.start > change.start
            beside = short.shots[index - 1 if incoming else index + 1]
            other, share = scene_of(short, beside, at), (1 - new if incoming else new)
    return Composite(scene, other, share, level)


def scene_of(short: Short, shot: Shot, time: Fraction) -> Scene:
    """A shot's scene at `time` (frames of the film), which may lie outside it in a dissolve."""
    items = SETUPS[shot.kind](Take(short, shot, time - shot.start))
    flash = _flash_at(short, int(time // 1))
    if flash is not None and shot.start <= flash.frame < shot.end:
        items.append(Flash(negative=True) if flash.negative else Flash(alpha=0.94))
    return Scene(tuple(items))


def _flash_at(short: Short, frame: int) -> FlashFrame | None:
    return next((flash for flash in short.flashes if flash.frame == frame), None)
