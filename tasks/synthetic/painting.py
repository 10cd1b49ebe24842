"""From a painting's description to its board, painted once per density."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from tasks.synthetic import cities, landscapes, rooms
from tasks.synthetic.easel import Board, Easel
from tasks.synthetic.scene import Painter, Painting

PAINTERS: dict[Painter, tuple[Callable[[Easel, str], None], bool]] = {
    "sky": (landscapes.paint_sky, False),
    "mountains": (landscapes.paint_mountains, True),
    "hills": (landscapes.paint_hills, True),
    "meadow": (landscapes.paint_meadow, True),
    "grove": (landscapes.paint_grove, False),
    "town": (cities.paint_town, True),
    "street": (cities.paint_street, True),
    "skyline": (cities.paint_skyline, True),
    "roof": (cities.paint_roof, True),
    "classroom": (rooms.paint_classroom, False),
    "cafe": (rooms.paint_cafe, False),
    "desk": (rooms.paint_desk, False),
    "burst": (rooms.paint_burst, False),
}
"""Name → painter, and whether it leaves parts of the board clear."""


@lru_cache(maxsize=8)
def painted(painting: Painting, density: float) -> Board:
    """The board of a painting at `density` samples per world unit."""
    paint, clear = PAINTERS[painting.painter]
    easel = Easel(painting.extent, density, painting.seed, clear=clear)
    paint(easel, painting.mood)
    return easel.finish(blur=painting.blur)
