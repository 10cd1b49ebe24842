"""Draws the in-between of two drawings from flow both ways, or holds where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames.codes import Frames, from_float, to_float, to_uint8
from tasks.frames.optical_flow import (
    Floats,
    Flow,
    dis_flow,
    disagreement,
    enlarged,
    fill,
    shrink_for,
    splat,
    unmoved,
    warp,
)

# All in 8-bit codes, mean of R, G and B, at the working size.
_HELD = 1.0
"""Largest 8x8 mean difference still taken for the same drawing (compression noise)."""
_CHANGED = 10.0
_STRONG = 30.0
"""Unexplained differences below this are blended: light, fades and dissolves look so."""
_DOUBT = 20.0
"""Where the two sides differ by more than this, the side that can be seen there wins."""

_STILL_WEIGHT = np.float32(0.25)
"""What moves passes in front of what stays."""
_LOST_SHARE = 0.8
_LOST_AREA = 0.1
"""More than this share of the changed pixels, on more than this share of the frame, that flow
does not bring closer: the drawings have nothing to do with one another."""
_REDRAWN_SHARE = 0.85
"""The same, for a patch that changed by itself: a sign that lights up, not a head that turns.
At .75 and .7 the sample loses .1 and .3 dB."""

Mask = NDArray[np.bool_]


class Relation(Enum):
    """What two neighbouring frames are to one another."""

    HELD = "held"
    MOVES = "moves"
    RELIT = "relit"
    JUMPS = "jumps"


@dataclass(frozen=True, slots=True)
class Guess:
    """Classical guesses of the motion at a moment between two frames, at the working size.

    Each (H, W, 2) float32, pixels: what is at p there comes from p - at * flow[p] in a and goes
    to p + (1 - at) * flow[p] in b. `merged` weighs both frames' flows by how far each is to be
    trusted, `from_a` and `from_b` carry the flow of one frame alone: they differ where something
    is covered or uncovered. `cover_a`, `cover_b` (H, W) say how surely something of that frame
    arrives at a pixel, 0 (nothing does) towards 1.
    """

    merged: Flow
    from_a: Flow
    from_b: Flow
    cover_a: Floats
    cover_b: Floats


class Pair:
    """Two neighbouring frames of one shot, and every drawing between them.

    `a` and `b` are (H, W, 3) frame codes, only read. `depth` is the picture's bits, to whose grid
    the result is rounded.
    """

    def __init__(self, a: Frames, b: Frames, *, depth: int) -> None:
        self._a, self._b, self._depth = a, b, depth
        self._shrink = shrink_for(a.shape[0] * a.shape[1])

    def average(self, at: float) -> Frames:
        """The plain mix, `at` 0 (a) to 1 (b); a itself where the frames are held."""
        if self._is_held:
            return self._a
        return self._coded(_mix(*self.signals, np.float32(at)))

    def between(self, at: float, *, morph: Morph | None = None) -> Frames:
        """The drawing at `at`, 0 (a) to 1 (b), along the motion; see `relation` for the rest.

        What moves is drawn by `morph`, without one along the classical flow.
        """
        match self.relation:
            case Relation.HELD | Relation.JUMPS:
                return self._a
            case Relation.RELIT:
                return self.average(at)
            case Relation.MOVES:
                return self._coded(morph(self, at) if morph else self._morph(at))

    @cached_property
    def signals(self) -> tuple[Floats, Floats]:
        """Both frames as R'G'B' signal (H, W, 3), 0 black, 1 white, values beyond kept."""
        return to_float(self._a), to_float(self._b)

    @property
    def small(self) -> tuple[Floats, Floats]:
        """Both frames at the working size, (H', W', 3), 8-bit codes as floats, clipped."""
        return self._small

    @cached_property
    def relation(self) -> Relation:
        """HELD: the same drawing. JUMPS: flow explains nothing, a stays until b's own time. RELIT:
        the same, but faint enough to mix. MOVES: an in-between can be drawn."""
        if self._is_held:
            return Relation.HELD
        changed, lost, differs = self._change
        if lost.sum() <= max(_LOST_SHARE * changed.sum(), _LOST_AREA * changed.size):
            return Relation.MOVES
        return Relation.JUMPS if float(differs[lost].mean()) > _STRONG else Relation.RELIT

    @cached_property
    def _change(self) -> tuple[Mask, Mask, Floats]:
        """Pixels that changed; those of them that flow does not bring closer; by how much not."""
        (a, b), (there, back) = self._small, self._flows
        before = _soft(_difference(a, b))
        differs = np.maximum(
            _soft(_difference(a, warp(b, there))), _soft(_difference(b, warp(a, back)))
        )
        changed = before > _CHANGED
        return changed, changed & (differs > 0.6 * before), differs

    @cached_property
    def _redrawn(self) -> Floats:
        """1 on patches that were drawn anew (a sign that lights up), 0 elsewhere, soft between.

        Such a patch changed by itself, and flow explains next to nothing of it: it stays as in a
        until b's own time, since a mix of two drawings is neither.
        """
        changed, lost, differs = self._change
        near = cv2.dilate(changed.astype(np.uint8), np.ones((9, 9), np.uint8))
        count, patch = cv2.connectedComponents(near, connectivity=8, ltype=cv2.CV_32S)

        def per_patch(values: NDArray[Any]) -> NDArray[np.float64]:
            return np.asarray(np.bincount(patch.ravel(), values.ravel(), count), np.float64)

        losses = per_patch(lost)
        redrawn = losses > _REDRAWN_SHARE * per_patch(changed)
        redrawn &= per_patch(lost * differs) > _STRONG * losses
        redrawn[0] = False
        return _soft(redrawn[patch].astype(np.float32))

    @cached_property
    def _is_held(self) -> bool:
        a, b = self._a, self._b
        if np.array_equal(a, b):
            return True
        return float(cv2.blur(_difference(*self._small), (8, 8)).max()) < _HELD

    @cached_property
    def _small(self) -> tuple[Floats, Floats]:
        size = tuple(max(1, side // self._shrink) for side in self._a.shape[1::-1])
        small = [to_uint8(frame) for frame in (self._a, self._b)]
        if self._shrink > 1:
            small = [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA)) for p in small]
        return small[0].astype(np.float32), small[1].astype(np.float32)

    @cached_property
    def _flows(self) -> tuple[Flow, Flow]:
        """Flow a → b and b → a at the working size; exactly zero where nothing changed."""
        a, b = (_luma(pixels) for pixels in self._small)
        finest = 1 if self._shrink == 1 else 0
        moved = ~self._still[..., None]
        return (
            dis_flow(a, b, finest=finest) * moved,
            dis_flow(b, a, finest=finest) * moved,
        )

    @cached_property
    def _still(self) -> NDArray[np.bool_]:
        return unmoved(_difference(*self._small))

    @cached_property
    def _trust(self) -> tuple[Floats, Floats]:
        """Per pixel of a and of b: how sure its flow is, 0 to 1."""
        (a, b), (there, back) = self._small, self._flows
        return self._trusted(a, b, there, back), self._trusted(b, a, back, there)

    def _trusted(self, a: Floats, b: Floats, there: Flow, back: Flow) -> Floats:
        slip = _soft(disagreement(there, back))
        differs = _soft(_difference(a, warp(b, there)))
        # Tolerances tried on the real sequences: 2 to 10 pixels are within 0.2 dB of one another.
        tolerance = 6 + 0.05 * np.linalg.norm(there, axis=2)
        trust = np.exp(-0.5 * (slip / tolerance) ** 2 - 0.1 * differs) + np.float32(1e-4)
        return np.where(self._still, _STILL_WEIGHT, trust).astype(np.float32)

    def guess(self, at: float) -> Guess:
        """Where things are at `at`, 0 (a) to 1 (b), by the flow of both frames and of each."""
        (from_a, weight_a), (from_b, weight_b) = self._carried(at)
        return Guess(
            self._merged(at),
            self._filled(from_a, weight_a),
            self._filled(-from_b, weight_b),
            weight_a / (1 + weight_a),
            weight_b / (1 + weight_b),
        )

    def _merged(self, at: float) -> Flow:
        t = np.float32(at)
        (from_a, weight_a), (from_b, weight_b) = self._carried(at)
        return self._filled((1 - t) * from_a - t * from_b, (1 - t) * weight_a + t * weight_b)

    def _carried(self, at: float) -> tuple[tuple[Flow, Floats], tuple[Flow, Floats]]:
        (there, back), (trust_a, trust_b) = self._flows, self._trust
        return splat(there, trust_a, by=at), splat(back, trust_b, by=1 - at)

    def _filled(self, total: Flow, weight: Floats) -> Flow:
        total = np.asarray(cv2.GaussianBlur(total, (0, 0), 0.8))
        flow = fill(total, np.asarray(cv2.GaussianBlur(weight, (0, 0), 0.8)))
        # What moves may pass over what stays; the pull that fills gaps must not bend it.
        flow[self._still & (np.abs(flow).max(-1) < 0.75)] = 0
        return flow

    def _morph(self, at: float) -> Floats:
        flow = self._merged(at)
        share = self._share_of_b(flow, at)
        if self._shrink > 1:
            height, width = self._a.shape[:2]
            flow = enlarged(flow, width=width, height=height)
            share = np.asarray(cv2.resize(share, (width, height)))
        a, b = self.signals
        side_a, side_b = warp(a, flow, by=-at), warp(b, flow, by=1 - at)
        redrawn = np.asarray(cv2.resize(self._redrawn, share.shape[::-1]), np.float32)
        return _mix(_mix(side_a, side_b, share[..., None]), a, redrawn[..., None])

    def _share_of_b(self, flow: Flow, at: float) -> Floats:
        """How much of b to take: `at`, but where the sides differ, the one that is visible."""
        t = np.float32(at)
        (a, b), (there, back) = self._small, self._flows
        differs = _soft(_difference(warp(a, flow, by=-at), warp(b, flow, by=1 - at)))
        doubt = np.clip((differs - _DOUBT) / _DOUBT, 0, 1)
        seen = []
        for trust, own, by, sign in (
            (self._trust[0], there, -at, 1),
            (self._trust[1], back, 1 - at, -1),
        ):
            slip = np.linalg.norm(warp(own, flow, by=by) - np.float32(sign) * flow, axis=2)
            visible = warp(trust, flow, by=by) * np.exp(-((slip / 3) ** 2))
            seen.append(_soft((visible * doubt + (1 - doubt) + 0.02).astype(np.float32)))
        side_a, side_b = (1 - t) * seen[0], t * seen[1]
        return np.asarray(side_b / (side_a + side_b), np.float32)

    def _coded(self, signal: Floats) -> Frames:
        return from_float(signal, depth=self._depth)


Morph = Callable[[Pair, float], Floats]
"""Draws what moves: the signal (H, W, 3) at a moment, 0 to 1, between the frames of a pair."""


def _mix(a: Floats, b: Floats, share: Floats | np.float32) -> Floats:
    return np.asarray(a + (b - a) * share, np.float32)


def _difference(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.abs(a - b).mean(2), np.float32)


def _soft(values: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (5, 5), 0), np.float32)


def _luma(pixels: Floats) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.rint(pixels).astype(np.uint8), cv2.COLOR_RGB2GRAY))
