"""What an episode tells the stages of one shot: its cast's reference art, and files of people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.errors import DougaError, InputError, os_reason
from flows.spec.documents import EpisodeSpec, StageSpec
from tasks.stages.registry import stage_class
from tasks.stages.stage import ShotContext


def shot_recipe(episode: EpisodeSpec, shot: str, *, shots: Sequence[str]) -> tuple[StageSpec, ...]:
    """The recipe of a shot with what the episode says of it put into each stage's parameters.

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
            # A mistake in a file is of the file, whichever shot it was read for.
            raise error.at(episode.name) from error
        steps.append(step.model_copy(update={"params": params}))
    return tuple(steps)


def _read(episode: EpisodeSpec, path: str) -> bytes:
    try:
        return Path(episode.resolve(path)).read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read ({os_reason(error)})", where=path, remedy="check the path"
        ) from error
