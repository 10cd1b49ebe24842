"""Who is in the film: model sheets (colours, hair, clothes), and acting at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.synthetic.cel import Rgb

Hair = Literal["bob", "long", "short", "tails"]
Outfit = Literal["sailor", "hoodie", "coat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A character's model sheet."""

    name: str
    hair_style: Hair
    outfit: Outfit
    skin: Rgb
    hair: Rgb
    eyes: Rgb
    cloth: Rgb
    shirt: Rgb
    accent: Rgb
    legs: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """An actor at one instant. Angles in radians; the rest 0 to 1 or −1 to 1."""

    yaw: float = 0.0
    nod: float = 0.0
    roll: float = 0.0
    lid: float = 0.0
    look_x: float = 0.0
    look_y: float = 0.0
    mouth: float = 0.0
    wide: float = 0.5
    smile: float = 0.4
    brow: float = 0.0
    sway: float = 0.0
    breath: float = 0.0
    hand: float = 0.0
    wave: float = 0.0


NAMES = ("Aoi", "Ren", "Mio", "Sora", "Hana", "Kai")
SKINS: tuple[Rgb, ...] = ((255, 226, 202), (250, 214, 184), (226, 176, 138), (182, 126, 94))
HAIRS: tuple[Rgb, ...] = (
    (62, 76, 122), (126, 66, 52), (228, 186, 104), (72, 60, 66), (198, 102, 120), (92, 138, 132),
    (206, 206, 218), (210, 110, 58),
)  # fmt: skip
EYES: tuple[Rgb, ...] = (
    (64, 132, 190),
    (150, 92, 40),
    (70, 148, 96),
    (146, 82, 160),
    (190, 70, 60),
)
CLOTHS: tuple[Rgb, ...] = (
    (58, 84, 142), (196, 74, 70), (236, 184, 74), (76, 134, 116), (112, 88, 150), (78, 82, 96),
    (224, 132, 92),
)  # fmt: skip
ACCENTS: tuple[Rgb, ...] = ((208, 58, 66), (248, 200, 84), (84, 172, 196), (240, 240, 236))


def make_cast(seed: int) -> tuple[Actor, Actor, Actor]:
    """Three characters who can be told apart at a glance: no shared hair, style or cloth."""
    chance = np.random.Generator(np.random.PCG64([seed, 11]))
    names = chance.permutation(len(NAMES))
    hairs, eyes = chance.permutation(len(HAIRS)), chance.permutation(len(EYES))
    cloths, accents = chance.permutation(len(CLOTHS)), chance.permutation(len(ACCENTS))
    styles: list[Hair] = [("bob", "long", "tails")[int(chance.integers(3))], "short", "long"]
    if styles[0] == "long":
        styles[2] = "tails"
    outfits: tuple[Outfit, ...] = ("sailor", "hoodie", "coat")
    swap = bool(chance.integers(2))
    actors = []
    for i in range(3):
        skin = SKINS[int(chance.integers(3 if i < 2 else 4))]
        outfit = outfits[(2 - i if i and swap else i)]
        actors.append(
            Actor(
                name=NAMES[int(names[i])],
                hair_style=styles[i],
                outfit=outfit,
                skin=skin,
                hair=HAIRS[int(hairs[i])],
                eyes=EYES[int(eyes[i])],
                cloth=CLOTHS[int(cloths[i])],
                shirt=(248, 246, 240) if outfit != "hoodie" else (226, 224, 220),
                accent=ACCENTS[int(accents[i])],
                legs=((70, 66, 82), (86, 96, 120), (62, 58, 60))[i],
            )
        )
    return actors[0], actors[1], actors[2]
