"""The network of `net.py` as OpenVINO's graphs, from the same weights: what it sees, the U-Net's
maps, the picture made of them.

Only the U-Net runs in the engine's arithmetic. Coordinates and pixels are float32 always: a pixel's
place has more digits than bf16 holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tasks.models.engine import PLAIN
from tasks.models.inbetween.layout import (
    APART_GAIN,
    CANDIDATES,
    FLOW_UNIT,
    GAINS,
    GUESSES,
    HEAD,
    INPUTS,
    LEAK,
    TRUST_MERGED,
)
from tasks.models.inbetweening import Guess
from tasks.models.openvino_graph import (
    Floats,
    Run,
    compile_graph,
    convolution,
    moved,
    operations,
    parameter,
)
from tasks.models.shelf import ModelCard

Draw = Callable[[tuple[Floats, Floats], tuple[Floats, Floats], Guess, float], Floats]
"""Both frames at the working size and at their own, (H, W, 3) signal, the classical guess at the
working size, and the moment: to the in-between (H, W, 3)."""


def build(
    card: ModelCard,
    weights: Mapping[str, Floats],
    *,
    size: tuple[int, int],
    small: tuple[int, int],
    engine: str,
) -> Draw:
    """Draws in-betweens of frames of this size and working size, (height, width)."""
    height, width = small
    sides = (0, -height % card.multiple), (0, -width % card.multiple)
    padded = height + sides[0][1], width + sides[1][1]
    see = _see(*padded)
    decide = _decide(weights, *padded, engine=engine)
    compose = _compose(size, small, padded)

    def draw(
        smalls: tuple[Floats, Floats], fulls: tuple[Floats, Floats], guess: Guess, at: float
    ) -> Floats:
        flows = np.concatenate([guess.merged, guess.from_a, guess.from_b], 2)
        cover = np.stack([guess.cover_a, guess.cover_b], 2).astype(np.float32)
        pad = partial(np.pad, pad_width=(*sides, (0, 0)), mode="edge")
        time = np.full((1, 1, 1, 1), at, np.float32)
        seen = see(*(pad(known)[None] for known in (*smalls, flows, cover)), time)
        maps = decide(seen)
        made = compose(*(frame[None] for frame in fulls), flows[None], time, maps)
        return np.array(made[0])

    return draw


def _see(height: int, width: int) -> Run:
    """What the U-Net is given, (1, 4 INPUTS, H / 2, W / 2)."""
    op = operations()
    a, b = (parameter(1, height, width, 3) for _ in "ab")
    flows, cover = parameter(1, height, width, 2 * GUESSES), parameter(1, height, width, 2)
    time = parameter(1, 1, 1, 1)
    planes = [op.clamp(moved(frame, 0, 3, 1, 2), 0, 1) for frame in (a, b)]
    guesses = op.split(flows, 3, GUESSES).outputs()
    seen = _candidates(planes, guesses, time, size=(height, width))
    apart = [
        op.multiply(
            op.reduce_mean(op.abs(op.subtract(one, other)), np.array([1]), keep_dims=True),
            np.float32(APART_GAIN),
        )
        for one, other in zip(seen[::2], seen[1::2], strict=True)
    ]
    signed = [_signed(picture) for picture in seen]
    ways = op.divide(moved(flows, 0, 3, 1, 2), np.float32(FLOW_UNIT))
    clock = op.broadcast(time, np.array([1, 1, height, width]))
    covered = _signed(moved(cover, 0, 3, 1, 2))
    x = op.space_to_depth(op.concat([*signed, *apart, ways, covered, clock], 1), "depth_first", 2)
    return compile_graph(x, [a, b, flows, cover, time], engine=PLAIN)


def _decide(weights: Mapping[str, Floats], height: int, width: int, *, engine: str) -> Run:
    """The maps, (1, 15, H, W): see `Inbetween.maps`."""
    op = operations()
    leak = np.array([LEAK], np.float32)

    def two(x: Any, name: str, *, stride: int = 1) -> Any:
        for layer, step in (("0", stride), ("2", 1)):
            weight, bias = (weights[f"{name}.{layer}.{part}"] for part in ("weight", "bias"))
            x = op.prelu(convolution(x, weight, bias, stride=step, padding=1), leak)
        return x

    given = x = parameter(1, 4 * INPUTS, height // 2, width // 2)
    kept = []
    for level in range(4):
        x = two(x, f"down.{level}", stride=2 if level else 1)
        kept.append(x)
    for place, level in enumerate((2, 1, 0)):
        x = two(op.concat([_doubled(x), kept[level]], 1), f"up.{place}")
    x = convolution(x, weights["head.weight"], weights["head.bias"], padding=1)
    gains = np.array(GAINS, np.float32).reshape(1, -1, 1, 1)
    maps = op.multiply(op.depth_to_space(x, "depth_first", 2), gains)
    return compile_graph(maps, [given], engine=engine)


def _compose(size: tuple[int, int], small: tuple[int, int], padded: tuple[int, int]) -> Run:
    """The frame, from both at their own size: see `Inbetween.compose`."""
    op = operations()
    a, b = (parameter(1, *size, 3) for _ in "ab")
    flows = parameter(1, *small, 2 * GUESSES)
    time, maps = parameter(1, 1, 1, 1), parameter(1, HEAD, *padded)
    planes = [moved(frame, 0, 3, 1, 2) for frame in (a, b)]
    axes, step = np.array([2, 3]), np.array([1, 1])
    used = op.slice(maps, np.array([0, 0]), np.array(small), step, axes)
    ways = moved(flows, 0, 3, 1, 2)
    if size != small:
        used = _enlarged(used, size=size, small=small, flows=2)
        ways = _enlarged(ways, size=size, small=small, flows=GUESSES)
    guesses = op.split(moved(ways, 0, 2, 3, 1), 3, GUESSES).outputs()
    mend_a, mend_b, learnt, residual = op.variadic_split(
        used, 1, np.array([2, 2, CANDIDATES, 3])
    ).outputs()
    candidates = _candidates(planes, guesses, time, size=size)
    merged = moved(guesses[0], 0, 3, 1, 2)
    to_a = op.subtract(mend_a, op.multiply(time, merged))
    to_b = op.add(mend_b, op.multiply(_rest(time), merged))
    candidates[2] = _carried(planes[0], moved(to_a, 0, 2, 3, 1), size=size)
    candidates[3] = _carried(planes[1], moved(to_b, 0, 2, 3, 1), size=size)
    shares = op.split(op.softmax(op.add(learnt, _nearness(time)), 1), 1, CANDIDATES).outputs()
    made = residual
    for share, candidate in zip(shares, candidates, strict=True):
        made = op.add(made, op.multiply(share, candidate))
    return compile_graph(moved(made, 0, 2, 3, 1), [a, b, flows, time, maps], engine=PLAIN)


def _candidates(
    frames: list[Any], guesses: list[Any], time: Any, *, size: tuple[int, int]
) -> list[Any]:
    op = operations()
    a, b = frames
    seen = [a, b]
    for guess in guesses:
        seen.append(_carried(a, op.multiply(op.negative(time), guess), size=size))
        seen.append(_carried(b, op.multiply(_rest(time), guess), size=size))
    return seen


def _carried(picture: Any, flow: Any, *, size: tuple[int, int]) -> Any:
    """`net.carry`: (1, C, H, W) sampled at p + flow[p], flow (1, H, W, 2)."""
    op = operations()
    height, width = size
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    places = np.stack([columns, rows], 2)[None] + np.float32(0.5)
    units = np.array([2 / width, 2 / height], np.float32)
    grid = op.subtract(op.multiply(op.add(flow, places), units), np.float32(1))
    how = {"align_corners": False, "mode": "bilinear", "padding_mode": "border"}
    return op.grid_sample(picture, grid, how)


def _nearness(time: Any) -> Any:
    """What the logits are before anything is learnt, (1, CANDIDATES, 1, 1)."""
    op = operations()
    within = op.clamp(time, 1e-3, 1 - 1e-3)
    sides = op.concat([op.log(_rest(within)), op.log(within)] * (CANDIDATES // 2), 1)
    prior = np.zeros((1, CANDIDATES, 1, 1), np.float32)
    prior[:, 2:4] = TRUST_MERGED
    return op.add(sides, prior)


def _enlarged(maps: Any, *, size: tuple[int, int], small: tuple[int, int], flows: int) -> Any:
    """`net.enlarge_maps`: bilinear; the first `flows` pairs of channels are in pixels."""
    op = operations()
    made = op.interpolate(
        maps,
        np.array(size),
        "linear_onnx",
        "sizes",
        [0] * 4,
        [0] * 4,
        "half_pixel",
        "round_prefer_floor",
        False,
        -0.75,
        np.array([2, 3]),
    )
    units = np.ones((1, int(maps.get_output_shape(0)[1]), 1, 1), np.float32)
    units[:, 0 : 2 * flows : 2] = size[1] / small[1]
    units[:, 1 : 2 * flows : 2] = size[0] / small[0]
    return op.multiply(made, units)


def _doubled(x: Any) -> Any:
    """(1, C, H, W) with every pixel four times."""
    op = operations()
    _, _, height, width = x.get_output_shape(0)
    return op.interpolate(
        x,
        np.array([2 * height, 2 * width]),
        "nearest",
        "sizes",
        [0] * 4,
        [0] * 4,
        "asymmetric",
        "floor",
        False,
        -0.75,
        np.array([2, 3]),
    )


def _signed(x: Any) -> Any:
    """0..1 to -1..1."""
    op = operations()
    return op.subtract(op.multiply(x, np.float32(2)), np.float32(1))


def _rest(time: Any) -> Any:
    return operations().subtract(np.float32(1), time)
