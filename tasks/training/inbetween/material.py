"""Triplets to learn from: two frames of generated shots, the true one between, true flows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.frames.codes import from_float
from tasks.models.inbetween.net import guess_tensors
from tasks.models.inbetweening import Pair
from tasks.training.shots.render import flow_to, hidden_at, render
from tasks.training.shots.scene import Scenes, draw_scenes

_STEPPED_SHARE = 0.12
"""Triplets animated on twos or threes under a moving camera: something stays or leaps."""
_REDRAWN_SHARE = 0.15
"""Triplets whose b shows some layers elsewhere or in another shape: nothing leads there."""
_GAPS = (1.0, 1.0, 2.0, 2.0, 2.0, 4.0)
"""Frames from a to b; the long ones leap further than any flow can tell."""
_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Triplets:
    """N triplets on the CPU.

    `pictures` (N, 3, 3, H, W) uint8: a, b, truth; `guesses` (N, 3, 2, H, W) and `cover`
    (N, 2, H, W) float16, as the network takes them; `flows` (N, 2, 2, H, W) float16: truth to a,
    truth to b; `seen` (N, 2, H, W) bool: where those lead to what is shown; `time` (N,).
    """

    pictures: Tensor
    guesses: Tensor
    cover: Tensor
    flows: Tensor
    seen: Tensor
    time: Tensor

    def __len__(self) -> int:
        return len(self.time)


def make_triplets(*, seed: int, first: int, count: int, edge: int) -> Triplets:
    """Triplets `first` to `first + count` of a seed, `edge` pixels a side.

    `first` and `count` are multiples of 8."""
    parts = [_some(seed, at, edge) for at in range(first, first + count, _BATCH)]
    return Triplets(
        **{
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("pictures", "guesses", "cover", "flows", "seen", "time")
        }
    )


def _some(seed: int, first: int, edge: int) -> Triplets:
    rng = np.random.default_rng((seed, first, 1))
    lively = float(np.exp(rng.uniform(np.log(0.5), np.log(4.0))))
    scenes = draw_scenes(seed=seed, first=first, count=_BATCH, liveliness=lively)
    kind = rng.random()
    stepped, redrawn = kind < _STEPPED_SHARE, kind > 1 - _REDRAWN_SHARE
    start = rng.integers(0, 12, _BATCH).astype(np.float64)
    time = np.full(_BATCH, 0.5)
    if not stepped:
        start = rng.uniform(-4, 4, _BATCH)
    if not stepped and not redrawn:
        time = np.where(rng.random(_BATCH) < 0.5, 0.5, rng.uniform(0.1, 0.9, _BATCH))
    gap = np.full(_BATCH, 2.0) if stepped else rng.choice(_GAPS, _BATCH)
    when = [torch.from_numpy(t).float() for t in (start, start + gap, start + gap * time)]
    other = _redrawn(rng, scenes) if redrawn else scenes
    middle = other if redrawn and rng.random() < 0.5 else scenes
    a, b, truth = (
        render(drawn, t, height=edge, width=edge, stepped=stepped)
        for drawn, t in zip((scenes, other, middle), when, strict=True)
    )
    flows = [flow_to(scenes, truth, t) for t in when[:2]]
    seen = [~hidden_at(truth, flow, end) for flow, end in zip(flows, (a, b), strict=True)]
    if redrawn:
        seen = [torch.zeros_like(known) for known in seen]
    pictures = torch.stack([a.frame, b.frame, truth.frame], 1).numpy()
    worn = np.stack([_wear(rng, triplet) for triplet in pictures])
    known = [_guesses(worn[at], float(time[at])) for at in range(_BATCH)]
    return Triplets(
        pictures=torch.from_numpy(worn),
        guesses=torch.stack([guesses for guesses, _ in known]),
        cover=torch.stack([cover for _, cover in known]),
        flows=torch.stack(flows, 1).half(),
        seen=torch.stack(seen, 1),
        time=torch.from_numpy(time).float(),
    )


def _redrawn(rng: np.random.Generator, scenes: Scenes) -> Scenes:
    """The same scenes with some layers moved far, and some in another's outline."""
    chosen = torch.from_numpy(rng.random(scenes.plane.shape) < 0.25) & ~scenes.plane
    leap = torch.from_numpy(rng.normal(0, 0.3, (*scenes.plane.shape, 2))).float()
    shuffled = scenes.harmonics.roll(1, 1)
    return replace(
        scenes,
        place=scenes.place + leap * chosen[..., None],
        harmonics=torch.where(chosen[..., None, None], shuffled, scenes.harmonics),
    )


def _wear(rng: np.random.Generator, triplet: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(3, 3, H, W) signal as masters come: soft or sharp, contrast of their own, some grain."""
    if rng.random() < 0.3:
        sigma = float(rng.uniform(0.3, 1.2))
        triplet = np.stack(
            [
                np.stack([np.asarray(cv2.GaussianBlur(c, (0, 0), sigma)) for c in picture])
                for picture in triplet
            ]
        )
    low, high = rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)
    worn = low + (high - low) * triplet ** np.exp(rng.normal(0, 0.25))
    if rng.random() < 0.25:
        grain = rng.normal(0, rng.uniform(0.003, 0.015), triplet.shape)
        grain[2] = 0  # grain cannot be foretold: the truth has none
        worn = worn + grain
    return np.asarray(np.clip(np.rint(worn * 255), 0, 255), np.uint8)


def _guesses(triplet: NDArray[np.uint8], time: float) -> tuple[Tensor, Tensor]:
    a, b = (codes(picture.transpose(1, 2, 0)) for picture in triplet[:2])
    guesses, cover = guess_tensors(Pair(a, b, depth=8).guess(time))
    return guesses.half(), cover.half()


def codes(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    """(H, W, 3) uint8 R'G'B' as frame codes."""
    return from_float(np.ascontiguousarray(pixels, np.float32) / np.float32(255), depth=8)
