"""Runs stages on frames, and checks what comes of them.

`Pull` is how frames pass: a function that gives the frame of an index. A stage that takes frames
one at a time is a `Pull` on the one before it, so that a chunk never stands in memory as a whole;
any other is given a window and gives all frames of a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cluster.errors import StageError
from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.stages.stage import Note, Stage, Window
from tasks.worker.errors import errors_at_moment

Pull = Callable[[int], Frames]
"""The frame (H, W, 3) of an index, read only; the same object where it repeats the last one."""


@dataclass(slots=True, kw_only=True)
class Spent:
    """What the frames of a chunk took so far: seconds (`decode_s` is a part of `load_s`), bytes of
    frames read, and notes left. A frame of it is computed when it is its `turn`."""

    turn: AbstractContextManager[None]
    load_s: float = 0.0
    decode_s: float = 0.0
    compute_s: float = 0.0
    bytes_in: int = 0
    notes: list[Note] = field(default_factory=list)


def process_window(
    stage: Stage[Any], track: Track, before: Pull, out: Span, *, spent: Spent
) -> Pull:
    """The frames `out` of a stage that is set up, made now of those `before` it on `track`, when it
    is this chunk's `turn` to compute. StageError for another shape.
    """
    needed = stage.needs(out, track)
    frames = np.stack([before(index) for index in needed])
    frames.flags.writeable = False
    window = Window(track=track, indices=needed, frames_nhwc=frames)
    made = _process(stage, window, out, spent)
    made.flags.writeable = False
    return lambda index: made[index - out.start]


def one_at_a_time(stage: Stage[Any], track: Track, before: Pull, *, spent: Spent) -> Pull:
    """The frames of a stage that takes them one at a time. One whose input is equal to that of the
    one before is the same: holds cost nothing."""
    alone = stage.card().per_frame
    last: tuple[Frames, Frames] | None = None

    def pull(index: int) -> Frames:
        nonlocal last
        (needed,) = stage.needs(Span(index, index + 1), track)
        given = before(needed)
        if alone and last is not None and (last[0] is given or np.array_equal(last[0], given)):
            return last[1]
        window = Window(track=track, indices=(needed,), frames_nhwc=given[None])
        with errors_at_moment(track.times[index] - track.times[0]):
            made: Frames = _process(stage, window, Span(index, index + 1), spent)[0]
        made.flags.writeable = False
        last = (given, made)
        return made

    return pull


def _process(stage: Stage[Any], window: Window, out: Span, spent: Spent) -> Frames:
    with spent.turn:
        began = time.monotonic()
        made = stage.process(window, out)
        spent.notes.extend(stage.take_notes())
        spent.compute_s += time.monotonic() - began
    picture = stage.track_after(window.track).picture
    due = (len(out), picture.height, picture.width, 3)
    if made.dtype != np.uint16 or made.shape != due:
        raise StageError(
            f"expected uint16 frames {due}, got {made.dtype} {made.shape}", where=stage.name
        )
    return made
