"""What must hold of a request before its sources are opened, once they are cut and planned."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from cluster.errors import InputError, UsageError, shortly
from flows.plan.plan import RenderPlan
from flows.spec.documents import EpisodeSpec, StageSpec, nearest_name
from flows.spec.request import RenderRequest
from flows.spec.shots import Shot, parse_frames
from tasks.stages.registry import make_stage


def check_recipes(episode: EpisodeSpec) -> None:
    """UsageError for a stage or parameter that does not exist, wherever it is named."""
    for step in episode.recipe:
        _check_step(step)
    for name, override in episode.shots.items():
        for step in episode.recipe_for(name):
            _check_step(step)
        known = {step.stage for step in episode.recipe_for(name)}
        for stage in override.params:
            if stage not in known:
                raise UsageError(
                    f"parameters for {stage!r}, which is not in the recipe of {name}",
                    where=episode.where("shots", name, "params", stage) or episode.name,
                    remedy=nearest_name(stage, known),
                )


def _check_step(step: StageSpec) -> None:
    """UsageError for what no such stage has, and for what only a plan may fill in."""
    fields = type(make_stage(step.stage, step.params).params).model_fields
    filled_in = {name for name, field in fields.items() if field.exclude}
    for name in filled_in & set(step.params):
        raise UsageError(
            f"unknown parameter {name!r}",
            where=f"stage {step.stage}",
            remedy=f"parameters are {', '.join(name for name in fields if name not in filled_in)}",
        )


def check_cast(episode: EpisodeSpec) -> None:
    """InputError for reference art of the cast that is not there."""
    for name, member in episode.cast.items():
        for number, path in enumerate(member.references):
            if "://" not in path and not Path(episode.resolve(path)).is_file():
                line = episode.where("cast", name, "references", number)
                raise InputError(
                    "no such picture",
                    where=": ".join(filter(None, (line, f"cast {name}", path))),
                    remedy="check the path",
                )


def check_shot_names(request: RenderRequest, shots: Sequence[Shot]) -> None:
    """UsageError where the request or the episode names a shot that the cut does not give."""
    names = [shot.id for shot in shots]
    episode = request.episode
    named = [
        *((name, f"{episode.name}: --shots") for name in request.shots),
        *((name, f"{episode.name}: --frames") for name in parse_frames(request.frames)),
        *((name, episode.where("shots", name) or episode.name) for name in episode.shots),
    ]
    for name, where in named:
        if name not in names:
            close = get_close_matches(name[:100], names, n=1)
            raise UsageError(
                f"no shot {shortly(name)}",
                where=where,
                remedy=(f"did you mean {close[0]!r}? " if close else "")
                + f"shots are {names[0]} to {names[-1]}; see douga plan",
            )


def check_frames(request: RenderRequest, plan: RenderPlan) -> None:
    """UsageError for a frame asked for that its shot does not come out with."""
    counts = {shot.shot.id: len(shot.track) for shot in plan.shots}
    for name, frames in parse_frames(request.frames).items():
        if max(frames) >= counts[name]:
            raise UsageError(
                f"{name} comes out with {counts[name]} frames, so there is no frame {max(frames)}",
                where="--frames",
                remedy="frames of a shot are counted from 0",
            )
