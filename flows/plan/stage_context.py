"""The stages of one shot with what the episode adds: its cast's reference art, corrections."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import DougaError, InputError, os_reason
from cluster.files import read_plain
from flows.spec.documents import EpisodeSpec, StageSpec
from tasks.stages.registry import stage_class
from tasks.stages.stage import ShotContext

MAX_BYTES = 64 << 20
"""Of a file that a stage reads while it is planned."""


def shot_recipe(episode: EpisodeSpec, shot: str, *, shots: Sequence[str]) -> tuple[StageSpec, ...]:
    """The recipe of a shot, each stage's parameters completed from the episode.

    UsageError or InputError, naming the shot, for a file that is not what a stage expects.
    """
    context = ShotContext(
        shot=shot,
        shots=tuple(shots),
        cast={name: episode.cast[name].references for name in episode.cast_for(shot)},
        read=lambda path: _read(episode, path),
    )
    steps = []
    for step in episode.recipe_for(shot):
        try:
            params = stage_class(step.stage).params_for_shot(step.params, context)
        except DougaError as error:
            # The mistake is in the file, not in the shot that it was read for.
            raise error.at(episode.name) from error
        steps.append(step.model_copy(update={"params": params}))
    return tuple(steps)


def _read(episode: EpisodeSpec, path: str) -> bytes:
    try:
        return read_plain(episode.resolve(path), most_bytes=MAX_BYTES)
    except OSError as error:
        raise InputError(
            f"cannot be read ({os_reason(error)})", where=path, remedy="check the path"
        ) from error
