"""The drawings that a training run has in memory, a stretch of an endless series."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.training.upscaling.drawings import draw

EDGE = 256


class Bank:
    """Drawings `first` to `first + size` of a seed's series, renewed one at a time.

    Drawing i always lies at place i % size, so that a run which goes on from a checkpoint finds
    the drawings where they were.
    """

    def __init__(self, *, seed: int, size: int, first: int) -> None:
        self.seed = seed
        self.first = first
        self.pictures: NDArray[np.uint8] = np.empty((size, EDGE, EDGE, 3), np.uint8)
        for index in range(first, first + size):
            self.pictures[index % size] = draw(seed, index, edge=EDGE)

    def renew(self) -> None:
        """Replace the oldest drawing by the next of the series."""
        index = self.first + len(self.pictures)
        self.pictures[index % len(self.pictures)] = draw(self.seed, index, edge=EDGE)
        self.first += 1

    def crops(self, rng: np.random.Generator, *, count: int, edge: int) -> Tensor:
        """Random crops as (count, 3, edge, edge) signal, colours permuted, mirrored at random."""
        taken = []
        for at in rng.integers(len(self.pictures), size=count):
            top, left = rng.integers(EDGE - edge + 1, size=2)
            crop = self.pictures[at, top : top + edge, left : left + edge][..., rng.permutation(3)]
            taken.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        pixels = torch.from_numpy(np.stack(taken).astype(np.float32) / 255)
        return pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
