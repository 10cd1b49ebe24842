"""The stage `hold`: frames that show the same drawing become the same frame."""

from __future__ import annotations

import numpy as np

from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.stages.stage import Card, Params, Stage, Window


class HoldParams(Params):
    """None: what is held follows from the source alone."""


class Hold(Stage[HoldParams]):
    """Output frame i is the first frame of the drawing that frame i shows.

    Held drawings become bit-identical: the shimmer that compression leaves in them goes, and
    stages after it compute each drawing once. Frames that move are not touched, with one limit: a
    pan of less than .2 pixels a frame over a soft ground, which changes 8-bit codes by one at the
    most, is held for two or three frames at a time.
    """

    name = "hold"
    version = 1
    Params = HoldParams

    def card(self) -> Card:
        """Copies frames; asks for the drawings."""
        return Card(engine="copy", needs_drawings=True, same_drawings=True, one_at_a_time=True)

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """The first frames of the drawings in `out`."""
        return tuple(sorted({_drawing(i, track) for i in out.indices()}))

    def key_context(self, out: Span, track: Track) -> object:
        """How far back the frame is that each output frame repeats."""
        return [i - _drawing(i, track) for i in out.indices()]

    def process(self, window: Window, out: Span) -> Frames:
        """The drawings' first frames, repeated."""
        return np.stack([window.frame(_drawing(i, window.track)) for i in out.indices()])


def _drawing(index: int, track: Track) -> int:
    return track.drawing[index] if track.drawing else index
