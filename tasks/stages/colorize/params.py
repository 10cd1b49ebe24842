"""Parameters of `colorize` from a recipe, and those that an episode adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cluster.errors import UsageError
from tasks.stages.colorize.corrections import Correction, read_corrections
from tasks.stages.stage import Params, ShotContext


class Reference(Params):
    """A coloured picture (png, jpg, tiff) of the drawing at shot-relative `frame`."""

    frame: int = Field(default=0, ge=0)
    path: str = Field(min_length=1)


class ColorizeParams(Params):
    """`references`, or one `reference` with its `frame`, or `sheets`: colour models of the
    characters, which the shot's cast fills in.

    `mode`: "lines" for drawings on paper, "grey" for grey pictures, "auto" looks at the frame of
    the reference. `line_threshold`: darkness, 0 to 1, from which on a pixel is line. Regions less
    sure than `ask_below` (0 to 1) are left to a person, painted as proposed or, with `doubtful`
    "paper", not at all. `corrections`: a file of an artist's, read when the episode is planned.
    """

    references: tuple[Reference, ...] = ()
    reference: str = ""
    frame: int = Field(default=0, ge=0)
    sheets: tuple[str, ...] = ()
    mode: Literal["auto", "lines", "grey"] = "auto"
    line_threshold: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = "auto"
    ask_below: float = Field(default=0.7, ge=0, le=1)
    doubtful: Literal["propose", "paper"] = "propose"
    corrections: str | tuple[Correction, ...] = ()

    @model_validator(mode="after")
    def _references_agree(self) -> ColorizeParams:
        if self.references and self.reference:
            raise PydanticCustomError("reference", "expected either reference or references")
        if self.frame and not self.reference:
            raise PydanticCustomError("reference", "expected frame within each of references")
        frames = [reference.frame for reference in self.references]
        if len(set(frames)) != len(frames):
            raise PydanticCustomError("reference", "expected one reference for a frame")
        return self

    @property
    def pictures(self) -> tuple[Reference, ...]:
        """All references by frame."""
        single = (Reference(frame=self.frame, path=self.reference),) if self.reference else ()
        return tuple(sorted(self.references + single, key=lambda reference: reference.frame))

    @property
    def corrected(self) -> tuple[Correction, ...]:
        """The corrections; UsageError where their file was not read by a plan."""
        if isinstance(self.corrections, str):
            raise UsageError(
                f"{self.corrections} was not read", where="stage colorize", remedy="use douga plan"
            )
        return self.corrections


def params_for_shot(params: Mapping[str, Any], context: ShotContext) -> dict[str, Any]:
    """The parameters with the sheets of the shot's cast, where it has no references of its own, and
    with the shot's corrections in place of their file."""
    filled = dict(params)
    if not (filled.get("references") or filled.get("reference") or filled.get("sheets")):
        sheets = [path for paths in context.cast.values() for path in paths]
        if sheets:
            filled["sheets"] = sheets
    path = filled.get("corrections")
    if isinstance(path, str):
        filled["corrections"] = read_corrections(
            context.read(path), path, shot=context.shot, shots=context.shots
        )
    return filled
