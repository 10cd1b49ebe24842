"""Measure what a network needs by running it: scale, size rule, how far it sees, memory.

Everything is measured on strips, so that a deep network costs seconds. How far it sees is found in
two ways, of which the farther counts: NaN in one line of pixels spreads to whatever depends on
them (where the network's activations let NaN pass), and new content on one side of a line changes
whatever depends on that side.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError, StageError
from tasks.decode.heartbeat import heartbeat
from tasks.models.enlarge import Enlarger, Net, Signal
from tasks.models.shelf import ModelCard
from tasks.models.tiles import LARGEST_AREA, LEAST_EDGE

if TYPE_CHECKING:
    from torch import nn

SCALES = (1, 2, 3, 4)
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_BASE = 64
"""A size that every size rule met so far divides."""
_THICK = 32
_LENGTHS = (192, 448, 1088)
"""Of strips, tried in turn until the edge of what a network sees is found: it is whole-picture
where even half the last one (544 pixels) is not enough. The deepest usual upscaler (23 residual
dense blocks) sees 350."""
_LINES = (1, -1)
"""Where, from the middle, a line is drawn: a network of pixel blocks sees farthest from a pixel at
its block's edge, and the middle is such an edge."""
_STEADY_BYTES = 2048
"""Bytes for a pixel of a window at least: 64 channels of float32, eight times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found. `halo` None: it sees the whole picture, or how far it sees is not steady."""

    scale: int
    multiple: int
    halo: int | None
    memory_bytes_per_megapixel: int


def measure(net: Net, *, name: str) -> Measured:
    """Run a network on small pictures. It must pad its own edges and keep to one scale.

    Errors: InputError where it fails on small pictures or follows no rule.
    """
    scale = _scale(net, name)
    sizes = _size_rule(net, scale, name)
    reach = _reach(net, scale, sizes)
    found = None if reach is None else _multiple(net, scale, least=sizes, reach=reach)
    multiple, halo = sizes, None
    if reach is not None and found is not None:
        margin = reach + max(2, reach // 8)
        if _tiles_are_exact(net, scale, multiple=found, halo=ceil(margin / found) * found):
            multiple, halo = found, ceil(margin / found) * found
    return Measured(
        scale=scale,
        multiple=multiple,
        halo=halo,
        memory_bytes_per_megapixel=_memory(net, scale, halo),
    )


def measure_pair(net: nn.Module, *, multiple: int, name: str) -> int:
    """Run an in-between network on two small frames; peak bytes for a pair of one megapixel.

    Errors: InputError where it fails, or does not make one frame of two.
    """
    import torch

    edge = max(256, multiple)
    pair = [torch.from_numpy(_noise(edge, edge, seed=n)).permute(2, 0, 1)[None] for n in (6, 7)]
    before = _peak_bytes(reset=True)
    try:
        with torch.inference_mode():
            made = net(*pair, 0.5)
    except RuntimeError as error:
        raise InputError(
            f"it fails on a pair of {edge}x{edge} pictures: {' '.join(str(error).split())[:200]}",
            where=f"model {name}",
        ) from error
    if made.shape != pair[0].shape or not torch.isfinite(made).all():
        raise InputError("it does not make one frame of two", where=f"model {name}")
    each = max(_STEADY_BYTES, (_peak_bytes(reset=False) - before) // edge**2)
    return int(each * 1e6)


def _run(net: Net, picture: Signal, scale: int) -> Signal | None:
    """What it makes of a picture, None where it fails or the size is not `scale` times as large."""
    heartbeat()
    try:
        made = net(picture)
    except (StageError, RuntimeError, ValueError):
        return None
    expected = (scale * picture.shape[0], scale * picture.shape[1], 3)
    return made if made.shape == expected else None


def _scale(net: Net, name: str) -> int:
    try:
        made = net(_noise(_BASE, _BASE + 64))
    except (StageError, RuntimeError, ValueError) as error:
        raise InputError(
            f"it fails on a {_BASE + 64}x{_BASE} picture: {' '.join(str(error).split())[:200]}",
            where=f"model {name}",
        ) from error
    for scale in SCALES:
        if made.shape == (scale * _BASE, scale * (_BASE + 64), 3):
            break
    else:
        raise InputError(
            f"it makes {made.shape[1]}x{made.shape[0]} with {made.shape[-1]} channel(s) of a "
            f"{_BASE + 64}x{_BASE} picture, expected 1 to 4 times the size and 3 channels",
            where=f"model {name}",
        )
    if not np.isfinite(made).all():
        raise InputError("it makes pixels that are no numbers", where=f"model {name}")
    return scale


def _size_rule(net: Net, scale: int, name: str) -> int:
    for multiple in _MULTIPLES:
        odd = _noise(_BASE + multiple, _BASE + 3 * multiple)
        if _run(net, odd, scale) is not None:
            return multiple
    raise InputError(
        "it takes no size but a few: none of the multiples up to 64 works",
        where=f"model {name}",
        remedy="export it again with dynamic height and width",
    )


def _reach(net: Net, scale: int, sizes: int) -> int | None:
    """How many pixels away a pixel's value matters, at most; None: everywhere."""
    for length in _LENGTHS:
        seen = [_seen(net, scale, length, max(_THICK, sizes), across) for across in (False, True)]
        if None not in seen:
            return max(one for one in seen if one is not None)
    return None


def _seen(net: Net, scale: int, length: int, thick: int, across: bool) -> int | None:
    """How far from a line what lies beyond it still changes something; None: to the end."""
    before, after = _noise(thick, length, seed=1), _noise(thick, length, seed=2)
    plain = _oriented(net, scale, before, across)
    farthest = 0
    for at in (length // 2 + line for line in _LINES):
        spoiled = before.copy()
        spoiled[:, at] = np.nan
        left = np.concatenate([after[:, :at], before[:, at:]], axis=1)
        right = np.concatenate([before[:, :at], after[:, at:]], axis=1)
        for other, first, last in (
            (spoiled, 0, length),
            (left, at, length),
            (right, 0, at),
        ):
            made = _oriented(net, scale, other, across)
            if made is None or plain is None:
                return None
            changed = np.flatnonzero((made != plain).any(axis=(0, 2))) // scale
            changed = changed[(changed >= first) & (changed < last)]
            if not changed.size:
                continue
            if changed[0] == 0 or changed[-1] == length - 1:
                return None
            farthest = max(farthest, at - int(changed[0]), int(changed[-1]) - at + 1)
    return farthest


def _oriented(net: Net, scale: int, strip: Signal, across: bool) -> Signal | None:
    """Run a strip as it lies, or standing; the result lies."""
    made = _run(net, strip.transpose(1, 0, 2) if across else strip, scale)
    return made.transpose(1, 0, 2) if made is not None and across else made


def _multiple(net: Net, scale: int, *, least: int, reach: int) -> int | None:
    """The least shift that shifts the result alike; None where there is none up to 64."""
    length = max(_LENGTHS[0], ceil((2 * reach + 2 * _MULTIPLES[-1]) / 64) * 64)
    strip = _noise(max(_THICK, least), length, seed=3)
    for multiple in (one for one in _MULTIPLES if one % least == 0):
        if all(_shifts_alike(net, scale, strip, multiple, reach, way) for way in (False, True)):
            return multiple
    return None


def _shifts_alike(
    net: Net, scale: int, strip: Signal, shift: int, reach: int, across: bool
) -> bool:
    whole = _oriented(net, scale, strip, across)
    for begin in (shift, 3 * shift):
        end = strip.shape[1] - (0 if begin == shift else shift)
        part = _oriented(net, scale, strip[:, begin:end], across)
        if whole is None or part is None:
            return False
        inner = slice(scale * (begin + reach + 1), scale * (end - reach - 1))
        same = part[:, inner.start - scale * begin : inner.stop - scale * begin]
        if not np.array_equal(whole[:, inner], same):
            return False
    return True


def _tiles_are_exact(net: Net, scale: int, *, multiple: int, halo: int) -> bool:
    """Whether windows with this halo make the same bits as the whole, on two strips."""
    card = ModelCard(
        name="probe",
        verb="upscale",
        scale=scale,
        halo=halo,
        multiple=multiple,
        padded=True,
        parameters=0,
        precisions=("fp32",),
        memory_bytes_per_megapixel=1,
        sha256="0" * 64,
    )
    enlarge = Enlarger(card=card, net=net)
    long = ceil((2 * halo + 160) / multiple) * multiple + 1
    for height, width in ((LEAST_EDGE + 3, long), (long, LEAST_EDGE + 3)):
        picture = _noise(height, width, seed=4)
        whole = enlarge(picture, tile=max(height, width))
        if not np.array_equal(enlarge(picture, tile=48), whole):
            return False
    return True


def _memory(net: Net, scale: int, halo: int | None) -> int:
    """Peak bytes for a frame of one megapixel: its buffers, and the largest window's insides."""
    edge = 256
    picture = _noise(edge, edge, seed=5)
    before = _peak_bytes(reset=True)
    _run(net, picture, scale)
    each = max(_STEADY_BYTES, (_peak_bytes(reset=False) - before) // picture[..., 0].size)
    window = 1e6 if halo is None else min(1e6, (LARGEST_AREA**0.5 + 2 * halo) ** 2)
    buffers = 3 * 12 * (1 + scale**2) * 1e6  # signal in and out, float32, padded and rounded
    return int(each * window + buffers)


def _peak_bytes(*, reset: bool) -> int:
    """The process's peak resident memory so far; `reset` begins anew. 0 where not Linux."""
    status = Path("/proc/self/status")
    if not sys.platform.startswith("linux"):
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) << 10


def _noise(height: int, width: int, *, seed: int = 0) -> Signal:
    """A picture with hard edges, ramps and noise in [0, 1]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base: NDArray[np.float64] = 0.5 + 0.25 * np.sin(x / 7 + seed) + 0.25 * np.sin(y / 5 - seed)
    base = np.where((x // 13 + y // 11 + seed) % 2 == 0, base, 1 - base)
    return np.clip(base[..., None] + random.normal(0, 0.2, (height, width, 3)), 0, 1).astype(
        np.float32
    )
