"""Trains upscale3x: `python -m tasks.models.upscale3x.train --out build/upscale3x --steps N`."""

from tasks.models.upscaling.lesson import Lesson, reduce_faithfully
from tasks.models.upscaling.train import main

LESSON = Lesson(
    name="upscale3x",
    scale=3,
    channels=48,
    layers=8,
    crop=216,
    degrade=reduce_faithfully,
    start="upscale2x",
)

if __name__ == "__main__":
    main(LESSON)
