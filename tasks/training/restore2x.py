"""Trains restore2x: `python -m tasks.training.restore2x --out build/restore2x --steps N`."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tasks.training.shots.damage import wear_down
from tasks.training.upscaling.lesson import Lesson, reduce_faithfully, round8
from tasks.training.upscaling.train import main


def reduce_and_damage(truth: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
    """Smaller inputs of true pictures, each with the damage that chance gives it, 8-bit."""
    small = reduce_faithfully(truth, scale, rng)
    return round8(wear_down(small, seed=int(rng.integers(2**31))))


LESSON = Lesson(
    name="restore2x",
    scale=2,
    channels=32,
    layers=14,
    crop=224,
    degrade=reduce_and_damage,
    kind="restore",
    start="upscale2x",
)

if __name__ == "__main__":
    main(LESSON)
