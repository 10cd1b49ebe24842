"""Which region of one drawing a region of another is: chances from pair features and neighbours.

A log-linear choice over the earlier drawing's regions and "none of them", made three times: the
second and third know what the neighbours chose. Its 25 weights were fitted on the synthesised short
by `python -m tasks.training.colorize_fit` (94.5 % of the regions of held-out shorts, drawings one
to four apart). A small network beside the sum (12 units), trained the same way, was better on the
short (93.6 % of an earlier set's regions against 93.1 %) and worse on real drawings (84.3 against
84.9 %), so that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats, Flow
from tasks.stages.colorize.features import NAMES, find_ways, pair_features
from tasks.stages.colorize.regions import Drawing

_ROUNDS = 3
_FAR = 14.0
"""Pixels added to a region's size when its distance is judged: small ones may leap."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each of NAMES speaks for a pair (`pair`); for a region being new, and its size
    (`new`); for neighbours of one being next to the other, and moving alike (`around`)."""

    pair: tuple[float, ...]
    new: tuple[float, float]
    around: tuple[float, float, float]


FITTED = Weights(
    pair=(
        1.44, 1.60, 1.27, 0.48, 0.04, 0.84, 0.01, 0.39, 1.87, 0.13,
        -0.39, -0.27, 1.37, 0.87, 0.13, 0.05, 0.06, -0.46, -0.35, -0.40,
    ),
    new=(2.56, 0.97),
    around=(2.20, 0.86, -1.28),
)  # fmt: skip


@dataclass(frozen=True)
class Match:
    """`chance` (after.count, before.count + 1) that a region continues each earlier one, or, in the
    last column, none; rows sum to 1. `flow` leads from the later drawing back."""

    chance: Floats
    flow: Flow

    @cached_property
    def source(self) -> NDArray[np.int32]:
        """The likeliest earlier region of each region, from 1."""
        return np.asarray(self.chance[:, :-1].argmax(1) + 1, np.int32)


def match_regions(before: Drawing, after: Drawing, *, weights: Weights = FITTED) -> Match:
    """The chances of every region of `after` to continue each of `before`; several may one."""
    ways = find_ways(before, after)
    score = np.zeros((after.count, before.count), np.float32)
    form = score
    for name, weight, values in zip(
        NAMES, weights.pair, pair_features(before, after, ways), strict=True
    ):
        score = score + np.float32(weight) * values
        form = values if name == "form" else form
    new = np.float32(weights.new[0]) + np.float32(0.1 * weights.new[1]) * np.log(after.shape.area)
    chance = _with_neighbours(score, form, new, before, after, weights)
    return Match(chance, ways.back)


def _with_neighbours(
    score: Floats, form: Floats, new: Floats, before: Drawing, after: Drawing, weights: Weights
) -> Floats:
    """Chances, raised where neighbours continue neighbours and have moved the same way."""
    beside, moved, formed = (np.float32(weight) for weight in weights.around)
    shares = after.borders / np.maximum(after.borders.sum(1, keepdims=True), 1)
    longest = np.maximum(before.borders.max(1, keepdims=True), 1)
    touching = np.minimum(3 * before.borders / longest, 1).T
    size = np.sqrt(np.minimum(after.shape.area[:, None], before.shape.area)) + np.float32(_FAR)
    centre = np.stack([after.shape.x, after.shape.y], -1)
    centre_before = np.stack([before.shape.x, before.shape.y], -1)
    total = score
    for _ in range(_ROUNDS):
        chance = _softmax(total, new)[:, :-1]
        mass = chance.sum(1, keepdims=True)
        shift = chance @ centre_before - mass * centre
        around = centre + shares @ shift / (shares @ mass + np.float32(1e-3))
        away = np.hypot(around[:, :1] - centre_before[:, 0], around[:, 1:] - centre_before[:, 1])
        near = np.exp(-((away / size) ** 2))
        support = shares @ chance @ touching
        total = score + beside * support + (moved + formed * form) * near
    return _softmax(total, new)


def _softmax(score: Floats, new: Floats) -> Floats:
    every = np.concatenate([score, new[:, None]], 1)
    chance = np.exp(every - every.max(1, keepdims=True))
    return np.asarray(chance / chance.sum(1, keepdims=True), np.float32)
