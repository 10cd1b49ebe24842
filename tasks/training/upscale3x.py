"""Trains upscale3x: `python -m tasks.training.upscale3x --out build/upscale3x --steps N`."""

from tasks.training.upscaling.lesson import Lesson, reduce_faithfully
from tasks.training.upscaling.train import main

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
