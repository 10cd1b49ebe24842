"""Fit the weights of match.py: `python -m tasks.training.colorize_fit [--seeds 24]`; prints them.

Material: pairs of drawings of the synthesised shorts of seeds 100 and up, one to four drawings
apart, either way round; seeds 200 to 205 tell how good it is. Seed 0, Adam, 8 rounds, about four
CPU minutes in all. Weights are drawn to the ones that were set by hand (`_PULL`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.benchmarks.paint import LEAST_REGION, TOLERANCE, PaintPair, sample_pairs
from tasks.stages.colorize.features import NAMES, find_ways, pair_features
from tasks.stages.colorize.paint import main_colours
from tasks.stages.colorize.regions import segment_drawing

_HAND = {
    "along": 2.0, "reverse": 2.0, "still": 1.0, "along of it": 1.0, "reverse of it": 1.0,
    "near along": 2.0, "alike and near": 2.0, "form": 1.0,
}  # fmt: skip
_PULL = 0.003
_ROUNDS = 8
_BATCH = 8


@dataclass(frozen=True, slots=True)
class _Example:
    """A pair's numbers as tensors; `right` says which colours are, `same` which are one."""

    features: Any
    right: Any
    same: Any
    shares: Any
    touching: Any
    size: Any
    centre: Any
    centre_before: Any
    area: Any


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.training.colorize_fit", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=24, help="how many shorts to learn from")
    asked = parser.parse_args()
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    learned = [_example(pair) for pair in _pairs(range(100, 100 + asked.seeds))]
    held = [_example(pair) for pair in _pairs(range(200, 206))]
    start = torch.tensor([_HAND.get(name, 0.0) for name in NAMES])
    pair = start.clone().requires_grad_()
    new = torch.zeros(2, requires_grad=True)
    around = torch.tensor([1.5, 1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.Adam([pair, new, around], lr=0.02)
    for turn in range(_ROUNDS):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - turn / _ROUNDS) + 0.0005
        order = torch.randperm(len(learned)).tolist()
        for first in range(0, len(order), _BATCH):
            optimiser.zero_grad()
            batch = [learned[i] for i in order[first : first + _BATCH]]
            loss = sum(_loss(example, pair, new, around) for example in batch) / _BATCH
            (loss + _PULL * ((pair - start) ** 2).sum()).backward()
            optimiser.step()
        print(f"round {turn}: {_right_share(held, pair, new, around):.2%} of held-out regions")
    print("pair", [round(value, 2) for value in pair.tolist()])
    print("new", [round(value, 2) for value in new.tolist()])
    print("around", [round(value, 2) for value in around.tolist()])


def _pairs(seeds: range) -> Iterator[PaintPair]:
    """Drawings 1, 2 and 4 apart of every shot."""
    for seed in seeds:
        for gap in (1, 2, 4):
            yield from sample_pairs(seed, per_shot=1, gap=gap, backward=bool((seed + gap) % 2))


def _example(pair: PaintPair) -> _Example:
    import torch

    before, after = segment_drawing(pair.lines), segment_drawing(pair.next_lines)
    ways = find_ways(before, after)
    features = np.stack(list(pair_features(before, after, ways)), -1)
    known, truth = main_colours(before, pair.paint), main_colours(after, pair.truth)
    longest = np.maximum(before.borders.max(1, keepdims=True), 1)
    area, area_before = after.shape.area, before.shape.area
    arrays = (
        features,
        np.abs(truth[:, None] - known[None]).max(-1) <= TOLERANCE,
        np.abs(known[:, None] - known[None]).max(-1) <= TOLERANCE,
        after.borders / np.maximum(after.borders.sum(1, keepdims=True), 1),
        np.minimum(3 * before.borders / longest, 1).T,
        np.sqrt(np.minimum(area[:, None], area_before)) + 14,
        np.stack([after.shape.x, after.shape.y], -1),
        np.stack([before.shape.x, before.shape.y], -1),
        area,
    )
    return _Example(*(torch.tensor(np.asarray(array, np.float32)) for array in arrays))


def _chance(example: _Example, pair: Any, new: Any, around: Any) -> Any:
    """As match.py does it, with gradients: (regions, earlier regions + 1)."""
    import torch

    score = example.features @ pair
    none = (new[0] + 0.1 * new[1] * torch.log(example.area))[:, None]
    form = example.features[..., NAMES.index("form")]
    total = score
    for _ in range(3):
        chance = torch.softmax(torch.cat([total, none], 1), 1)[:, :-1]
        mass = chance.sum(1, keepdim=True)
        shift = chance @ example.centre_before - mass * example.centre
        place = example.centre + example.shares @ shift / (example.shares @ mass + 1e-3)
        away = (place[:, None] - example.centre_before[None]).norm(dim=-1)
        near = torch.exp(-((away / example.size) ** 2))
        support = example.shares @ chance @ example.touching
        total = score + around[0] * support + (around[1] + around[2] * form) * near
    return torch.softmax(torch.cat([total, none], 1), 1)


def _loss(example: _Example, pair: Any, new: Any, around: Any) -> Any:
    """Minus the log chance of the right colour, or of none where no earlier region has it."""
    import torch

    chance = _chance(example, pair, new, around)
    known = example.right.amax(1) > 0
    right = torch.where(known, (chance[:, :-1] * example.right).sum(1), chance[:, -1])
    large = (example.area >= LEAST_REGION).float()
    return -(torch.log(right + 1e-4) * large).sum() / large.sum().clamp(min=1)


def _right_share(examples: list[_Example], pair: Any, new: Any, around: Any) -> float:
    import torch

    right = total = 0.0
    with torch.no_grad():
        for example in examples:
            votes = _chance(example, pair, new, around)[:, :-1] @ example.same
            picked = example.right.gather(1, votes.argmax(1, keepdim=True))[:, 0]
            large = (example.area >= LEAST_REGION).float()
            right += float((picked * large).sum())
            total += float(large.sum())
    return right / total if total else math.nan


if __name__ == "__main__":
    main()
