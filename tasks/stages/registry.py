"""The one table of stages: name → where it is. Adding a stage is one line here."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from cluster.errors import UsageError, shortly
from tasks.stages.stage import Stage

STAGES: dict[str, str] = {
    "hold": "tasks.stages.hold:Hold",
    "interpolate": "tasks.stages.interpolate.stage:Interpolate",
    "upscale": "tasks.stages.upscale:Upscale",
    "colorize": "tasks.stages.colorize.stage:Colorize",
}


def stage_class(name: str) -> type[Stage[Any]]:
    """The class of a stage by its name. UsageError, with the nearest name, if there is none."""
    try:
        module, _, attribute = STAGES[name].partition(":")
    except KeyError:
        raise UsageError(
            f"unknown stage {shortly(name)}", remedy=_nearest(name, list(STAGES), "stages are")
        ) from None
    return getattr(import_module(module), attribute)  # type: ignore[no-any-return]


def make_stage(name: str, params: dict[str, Any]) -> Stage[Any]:
    """A stage from its name and raw parameters. UsageError names the parameter and the remedy."""
    cls = stage_class(name)
    try:
        return cls(cls.Params.model_validate(params))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "parameters"
        if first["type"] == "extra_forbidden":
            names = list(cls.Params.model_fields)
            raise UsageError(
                f"unknown parameter {shortly(field)}",
                where=f"stage {name}",
                remedy=_nearest(field, names, "parameters are"),
            ) from error
        raise UsageError(
            f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}, "
            f"got {shortly(first.get('input'))}",
            where=f"stage {name}",
        ) from error


def _nearest(word: str, known: list[str], otherwise: str) -> str:
    close = get_close_matches(word[:100], known, n=1)
    listing = f"{otherwise} {', '.join(known) or 'none'}"
    return f"did you mean {close[0]!r}? ({listing})" if close else listing
