"""Runs one stage on frames, and checks what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cluster.errors import StageError
from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.stages.stage import Stage, Window
from tasks.worker.errors import errors_at_moment


def process(
    stage: Stage[Any], track: Track, given: tuple[int, ...], frames: Frames, out: Span
) -> Frames:
    """The frames `out` of a stage that is set up, (len(out), H, W, 3) uint16.

    `frames` are those `given` of the track that goes in, and are read only from now on. StageError
    for frames of another shape.
    """
    frames.flags.writeable = False
    needed = stage.needs(out, track)
    if stage.card().per_frame:
        made = _process_per_frame(stage, track, given, frames, out)
    else:
        picked = frames if needed == given else frames[_offsets(needed, given)]
        made = stage.process(Window(track=track, indices=needed, frames_nhwc=picked), out)
    expected = stage.track_after(track).picture
    if made.dtype != np.uint16 or made.shape != (len(out), expected.height, expected.width, 3):
        raise StageError(
            f"expected uint16 frames {(len(out), expected.height, expected.width, 3)}, "
            f"got {made.dtype} {made.shape}",
            where=stage.name,
        )
    return made


def _process_per_frame(
    stage: Stage[Any], track: Track, given: tuple[int, ...], frames: Frames, out: Span
) -> Frames:
    """Processes frame by frame and reuses the result for an equal frame: holds cost nothing."""
    made: list[Frames] = []
    for offset, index in enumerate(out.indices(), start=given.index(out.start)):
        if made and np.array_equal(frames[offset], frames[offset - 1]):
            made.append(made[-1])
            continue
        window = Window(track=track, indices=(index,), frames_nhwc=frames[offset : offset + 1])
        with errors_at_moment(track.times[index] - track.times[0]):
            made.append(stage.process(window, Span(index, index + 1))[0])
    return np.stack(made)


def _offsets(indices: tuple[int, ...], given: tuple[int, ...]) -> list[int]:
    places = {index: place for place, index in enumerate(given)}
    return [places[index] for index in indices]
