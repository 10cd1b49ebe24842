"""Run an opened network over a frame, window by window, exact for any size of window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import StageError
from tasks.models.shelf import ModelCard
from tasks.models.tiles import plan_patches, plan_tiles

Signal = NDArray[np.float32]
"""(H, W, 3) R'G'B' signal, 0 black, 1 white."""

Net = Callable[[Signal], Signal]
"""A window to what the network makes of it: `scale` times the window's size, less the halo on
every side where the network does not pad its own edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarger:
    """An opened network with its card: whole frames in, whole frames `scale` times as large out."""

    card: ModelCard
    net: Net

    def windows(self, height: int, width: int, *, tile: int) -> tuple[int, int]:
        """Height and width of the windows, without their halo, that a frame is cut in."""
        if self.card.padded:
            patches = plan_patches(
                height, width, tile=tile, halo=self.card.halo, multiple=self.card.multiple
            )
            first = patches.patches[0]
            return first.rows[1] - first.rows[0], first.columns[1] - first.columns[0]
        tiling = plan_tiles(height, width, tile=tile, halo=self.card.halo or 0)
        return tiling.height, tiling.width

    def __call__(self, signal: Signal, *, tile: int = 0) -> Signal:
        """The frame enlarged; `tile` is the edge of the windows, 0 for the usual. The same bits
        for any `tile`, on one device type."""
        return self._by_patches(signal, tile) if self.card.padded else self._by_tiles(signal, tile)

    def _by_tiles(self, signal: Signal, tile: int) -> Signal:
        """Frame edges are replicated by the halo, which the network consumes."""
        height, width, _ = signal.shape
        scale, halo = self.card.scale, self.card.halo or 0
        tiling = plan_tiles(height, width, tile=tile, halo=halo)
        sides = ((halo, halo + tiling.pad_bottom), (halo, halo + tiling.pad_right), (0, 0))
        padded = np.pad(signal, sides, mode="edge")
        made = np.empty((scale * height, scale * width, 3), np.float32)
        for top, left in tiling.corners:
            bottom, right = top + tiling.height, left + tiling.width
            window = padded[top : bottom + 2 * halo, left : right + 2 * halo]
            target = made[scale * top : scale * bottom, scale * left : scale * right]
            target[:] = self.net(window)[: target.shape[0], : target.shape[1]]
        return made

    def _by_patches(self, signal: Signal, tile: int) -> Signal:
        """What the network makes of the whole frame, its own padding at the frame's edges.

        It sees the signal clipped to [0, 1], which is all it knows; what lies outside is added
        back, enlarged bilinearly.
        """
        height, width, _ = signal.shape
        card = self.card
        scale = card.scale
        plan = plan_patches(height, width, tile=tile, halo=card.halo, multiple=card.multiple)
        clipped = np.clip(signal, 0, 1)
        sides = ((0, plan.pad_bottom), (0, plan.pad_right), (0, 0))
        padded = np.pad(clipped, sides, mode="edge")
        made = np.empty((scale * padded.shape[0], scale * padded.shape[1], 3), np.float32)
        for patch in plan.patches:
            (top, bottom), (left, right) = patch.rows, patch.columns
            window = padded[
                patch.top : patch.top + plan.height, patch.left : patch.left + plan.width
            ]
            drawn = self.net(window)
            expected = (scale * plan.height, scale * plan.width, 3)
            if drawn.shape != expected:
                raise StageError(
                    f"the network made {drawn.shape} of a window {window.shape}, not {expected}",
                    where=f"model {card.name}",
                    remedy=f"douga models remove {card.name}; its sizes follow no rule",
                )
            made[scale * top : scale * bottom, scale * left : scale * right] = drawn[
                scale * (top - patch.top) : scale * (bottom - patch.top),
                scale * (left - patch.left) : scale * (right - patch.left),
            ]
        made = made[: scale * height, : scale * width]
        outside = signal - clipped
        if outside.any():
            size = (scale * width, scale * height)
            made += cv2.resize(outside, size, interpolation=cv2.INTER_LINEAR)
        return made


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch, numpy or ONNX Runtime could not allocate: the latter has no class for it,
    nor has torch's CPU allocator."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return any(words in text for words in _NO_MEMORY)


_NO_MEMORY = (
    "can't allocate memory",  # torch, CPU
    "not enough memory",
    "bad allocation",  # ONNX Runtime, CPU
    "bad_alloc",
    "failed to allocate memory",  # ONNX Runtime's arena
    "out of memory",  # CUDA
    "cudnn_status_alloc_failed",
)
