"""One instant of one shot, with what every set-up needs: clocks, painted places, light."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tasks.synthetic.cast import Actor
from tasks.synthetic.cel import Rgb
from tasks.synthetic.description import Place, Short, Shot
from tasks.synthetic.scene import Backdrop, Camera, Item, Painter, Painting, Tint

PLACES: dict[Place, tuple[tuple[Painter, float], ...]] = {
    "meadow": (("sky", 0.06), ("mountains", 0.18), ("hills", 0.45), ("meadow", 1.0)),
    "street": (("sky", 0.06), ("town", 0.4), ("street", 1.0)),
    "classroom": (("classroom", 1.0),),
    "cafe": (("cafe", 1.0),),
    "grove": (("grove", 1.0),),
    "desk": (("desk", 1.0),),
    "burst": (("burst", 1.0),),
    "city": (("sky", 0.05), ("skyline", 0.3), ("skyline", 0.6)),
    "roof": (("sky", 0.05), ("skyline", 0.3), ("roof", 1.0)),
}
"""Painted layers of a place, far to near, each with its depth."""

LIGHTS: dict[str, tuple[Rgb, Rgb]] = {
    "day": ((255, 253, 246), (236, 240, 252)),
    "dusk": ((255, 222, 190), (226, 184, 204)),
    "morning": ((255, 250, 236), (238, 236, 244)),
    "night": ((176, 184, 240), (142, 144, 214)),
}


@dataclass(frozen=True, slots=True)
class Take:
    """A shot at shot-relative `time` (frames; between two frames for in-betweens)."""

    short: Short
    shot: Shot
    time: Fraction

    @property
    def now(self) -> float:
        """The camera's clock: seconds since the shot began."""
        return float(self.time / self.short.rate)

    @property
    def progress(self) -> float:
        """How far the shot has run, 0 to 1 (beyond within a dissolve)."""
        return float(self.time) / max(len(self.shot) - 1, 1)

    @property
    def half_width(self) -> float:
        """Half the picture's width in units."""
        return 450.0 * self.short.width / self.short.height

    def pose(self, level: str) -> float:
        """The action's frame that a level shows."""
        return self.shot.level(level).pose_at(self.time)

    def acted(self, level: str) -> float:
        """The level's own clock: seconds of action, as exposed."""
        return self.pose(level) / float(self.short.rate)

    def drawing(self, level: str) -> float:
        """The level's drawing number; fractional in between."""
        sheet = self.shot.level(level)
        return sheet.pose_at(self.time) / max(sheet.on, 1)

    def actor(self, index: int) -> Actor:
        """The shot's actor by place in its cast list."""
        return self.short.cast[self.shot.actors[index]]

    def place(
        self, camera: Camera, *, travel: float = 0.0, blur: float = 0.0, detail: float = 1.0
    ) -> list[Item]:
        """The shot's painted layers; `travel` is how far from 0 the camera ever pans."""
        items: list[Item] = []
        for k, (painter, depth) in enumerate(PLACES[self.shot.place]):
            reach = self.half_width + 60 + travel * depth
            painting = Painting(
                painter=painter,
                mood=self.shot.mood,
                seed=self.shot.seed * 16 + k,
                extent=(-reach, -480.0, reach, 480.0),
                blur=blur,
                detail=1 + (detail - 1) * depth,
            )
            items.append(Backdrop(painting, tuple(camera.matrix(depth=depth).ravel().tolist())))
        return items

    def light(self) -> Tint:
        """The mood's light over everything."""
        near, far = LIGHTS[self.shot.mood]
        return Tint(near, far, 0.35, 0.6)
