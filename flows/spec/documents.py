"""The documents at the door: episode, recipe, cast, delivery. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from flows.spec.allowed_paths import check_allowed

Encoder = Literal["libx264", "libx265", "libsvtav1", "prores", "ffv1"]
Container = Literal["mkv", "mp4", "mov", "webm"]
Audio = Literal["copy", "aac", "flac", "opus", "none"]


def _rate(value: object) -> Fraction:
    """`24`, `23.976`, `"24000/1001"` → an exact rate; NTSC decimals mean their exact rationals."""
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"expected a frame rate such as 24 or 24000/1001, got {value!r}") from None
    if not 0 < rate <= 1000:
        raise ValueError(f"expected a frame rate above 0 and up to 1000, got {value!r}")
    if rate.denominator not in (1, 1001):
        ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
        if ntsc and abs(ntsc - rate) < Fraction(5, 1000):
            return ntsc
    return rate


Rate = Annotated[
    Fraction,
    BeforeValidator(_rate),
    WithJsonSchema({"type": ["number", "string"], "description": "such as 24 or 24000/1001"}),
]


def _cut(value: object) -> object:
    """`auto`, the first frames of the shots after the first, or a timeline file."""
    if isinstance(value, list | tuple):
        if all(isinstance(frame, int) and not isinstance(frame, bool) for frame in value):
            return tuple(value)
    elif isinstance(value, str) and (value == "auto" or value.lower().endswith((".otio", ".edl"))):
        return value
    raise ValueError(f"expected auto, a list of frames, or an .otio or .edl file, got {value!r}")


Cut = Annotated[str | tuple[int, ...], BeforeValidator(_cut)]


def _name(value: str) -> str:
    if not value or set(value) & set("/\\\0\n\r") or value.startswith("."):
        raise ValueError(f"expected a plain name without slashes or a leading dot, got {value!r}")
    if len(value.encode()) > 200:
        raise ValueError(f"expected a name of 200 bytes at the most, got {len(value.encode())}")
    return value


def _preset(value: str) -> str:
    if not (value.isascii() and value.isalnum()):
        raise ValueError(f"expected a preset such as medium, 8 or hq, got {value!r}")
    return value


Preset = Annotated[str, AfterValidator(_preset)]
Name = Annotated[str, AfterValidator(_name)]


def expand_home(path: str) -> Path:
    """A path as a person writes it: `~/` is the home folder, any other tilde is just a letter."""
    return Path(path).expanduser() if path.startswith("~/") else Path(path)


class Document(BaseModel):
    """Base of all: strict about names, frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageSpec(Document):
    """One step of a recipe: `upscale`, `upscale: {scale: 2}` or `{stage: upscale, keep: true}`."""

    stage: str
    params: dict[str, Any] = Field(default_factory=dict)
    keep: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"stage": value}
        if isinstance(value, Mapping) and "stage" not in value and len(value) == 1:
            stage, params = next(iter(value.items()))
            params = dict(params or {}) if isinstance(params, Mapping | None) else params
            if not isinstance(params, dict):
                raise ValueError(f"expected parameters of {stage!r} as a mapping, got {params!r}")
            keep = params.pop("keep", None)
            return {"stage": stage, "params": params, "keep": keep}
        return value


class SourceSpec(Document):
    """A film, a numbered frame folder (with `fps`) or an `s3://` object."""

    path: str = Field(min_length=1)
    fps: Rate | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value


class CastSpec(Document):
    """A named character or background and its reference art."""

    references: tuple[str, ...] = ()


class ShotSpec(Document):
    """What one shot does differently: a recipe of its own, or other parameters of its stages."""

    recipe: tuple[StageSpec, ...] | None = None
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    cast: tuple[str, ...] = ()


class DeliverySpec(Document):
    """How the film leaves. `quality` is the encoder's own scale (CRF or qscale), None its default;
    `pix_fmt` None keeps the source's subsampling and depth where the encoder can."""

    output: str | None = None
    container: Container | None = None
    encoder: Encoder = "libx264"
    quality: int | None = Field(default=None, ge=0, le=63)
    preset: Preset | None = None
    pix_fmt: str | None = None
    audio: Audio = "copy"


class ReviewSpec(Document):
    """Whether a person must approve every shot before the film is assembled."""

    gate: bool = False


DEFAULT_RECIPE = (StageSpec(stage="upscale", params={"scale": 2}),)


class EpisodeSpec(Document):
    """An episode: source(s), cut, recipe, cast, per-shot overrides, store, delivery, review."""

    name: Name
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    cut: Cut = "auto"
    recipe: tuple[StageSpec, ...] = DEFAULT_RECIPE
    shots: dict[str, ShotSpec] = Field(default_factory=dict)
    cast: dict[str, CastSpec] = Field(default_factory=dict)
    store: str | None = None
    delivery: DeliverySpec = DeliverySpec()
    review: ReviewSpec = ReviewSpec()
    handles: int = Field(default=0, ge=0, le=1000)
    """Source frames that `douga timeline` puts on either side of a shot where the source has them;
    0: none."""
    folder: str = "."
    """Folder that relative paths start from: the YAML's own. Set by the reader."""

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, value: object) -> object:
        if isinstance(value, Mapping) and "source" in value:
            if "sources" in value:
                raise ValueError("give source or sources, not both")
            value = dict(value)
            value["sources"] = [value.pop("source")]
        return value

    @model_validator(mode="after")
    def _known_cast(self) -> EpisodeSpec:
        for shot, override in self.shots.items():
            for member in override.cast:
                if member not in self.cast:
                    raise ValueError(f"shot {shot} names {member!r}, who is not in the cast")
        return self

    def resolve(self, path: str) -> str:
        """A path of the document as an absolute one; URLs stay as they are. UsageError where it
        leads out of DOUGA_ROOTS."""
        if "://" in path:
            return check_allowed(path)
        return check_allowed(str((Path(self.folder) / expand_home(path)).absolute()))

    def cast_for(self, shot: str) -> tuple[str, ...]:
        """Who is in a shot, by name."""
        override = self.shots.get(shot)
        return override.cast if override else ()

    def recipe_for(self, shot: str) -> tuple[StageSpec, ...]:
        """The recipe of one shot, its overrides applied."""
        override = self.shots.get(shot)
        if override is None:
            return self.recipe
        steps = self.recipe if override.recipe is None else override.recipe
        return tuple(
            step.model_copy(update={"params": {**step.params, **override.params[step.stage]}})
            if step.stage in override.params
            else step
            for step in steps
        )
