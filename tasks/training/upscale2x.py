"""Trains upscale2x: `python -m tasks.training.upscale2x --out build/upscale2x --steps N`."""

from tasks.training.upscaling.lesson import Lesson, reduce_faithfully
from tasks.training.upscaling.train import main

LESSON = Lesson(
    name="upscale2x", scale=2, channels=32, layers=8, crop=192, degrade=reduce_faithfully
)

if __name__ == "__main__":
    main(LESSON)
