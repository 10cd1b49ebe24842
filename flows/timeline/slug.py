"""Black where a timeline has no picture: as long, as large and at the times of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from flows.spec.documents import StageSpec
from tasks.decode import SourceIndex, black_index
from tasks.frames.track import Track
from tasks.stages.registry import make_stage


def slug_after(
    track: Track, index: SourceIndex, recipe: Sequence[StageSpec]
) -> tuple[Track, SourceIndex]:
    """The track and source of black frames as a recipe would leave them, without running it.

    A network makes nearly black of black; and a shot's size and times are known without a frame.
    """
    for step in recipe:
        track = make_stage(step.stage, step.params).track_after(track)
    seconds = index.end - index.start
    return track, black_index(track.picture, count=max(1, len(track)), seconds=seconds)
