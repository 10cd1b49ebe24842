"""The `hold` stage: frames that show the same drawing become the same frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.frames import Frames
from tasks.stage import Card, Params, Stage, Window
from tasks.track import Span, Track

_BLOCK = 8
_LEAST, _MOST = 2.0, 6.0


class HoldWatch:
    """Takes full-size luma frame by frame and keeps one number of each."""

    def __init__(self) -> None:
        self._last: NDArray[np.generic] | None = None
        self._motion: list[float] = []

    def see(self, luma: NDArray[np.generic]) -> None:
        """Take the next frame's luma, (H, W) uint8 or uint16."""
        if self._last is None:
            self._motion.append(0.0)
        else:
            apart = cv2.absdiff(np.asarray(luma), np.asarray(self._last))
            size = (max(1, luma.shape[1] // _BLOCK), max(1, luma.shape[0] // _BLOCK))
            means = cv2.resize(apart.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            scale = 1.0 if luma.dtype == np.uint8 else 255.0 / 1023.0
            self._motion.append(float(means.max()) * scale)
        self._last = luma

    def motion(self) -> tuple[float, ...]:
        """The largest mean difference of any block from the frame before, in 8-bit codes."""
        return tuple(self._motion)


def find_drawings(motion: Sequence[float]) -> tuple[int, ...]:
    """For each frame of a shot the first frame that shows the same drawing."""
    moved = np.array(motion[1:], np.float64)
    floor = float(np.quantile(moved, 0.1)) if len(moved) else 0.0
    limit = min(_MOST, max(_LEAST, 4 * floor))
    drawings: list[int] = []
    for frame, apart in enumerate(motion):
        drawings.append(frame if frame == 0 or apart > limit else drawings[-1])
    return tuple(drawings)


class HoldParams(Params):
    """None yet."""


class Hold(Stage[HoldParams]):
    """Output frame i is the first frame of the drawing that frame i shows."""

    name = "hold"
    version = 1
    Params = HoldParams

    def card(self) -> Card:
        """Copies frames; asks for the drawings."""
        return Card(engine="copy", needs_drawings=True)

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """The first frames of the drawings in `out`."""
        return tuple(sorted({self._drawing(i, track) for i in out.indices()}))

    def key_context(self, out: Span, track: Track) -> object:
        """Which frame each output frame repeats."""
        return [i - self._drawing(i, track) for i in out.indices()]

    def process(self, window: Window, out: Span) -> Frames:
        """The drawings' first frames, repeated."""
        return np.stack([window.frame(self._drawing(i, window.track)) for i in out.indices()])

    def _drawing(self, index: int, track: Track) -> int:
        return track.drawing[index] if track.drawing else index
