"""The documents at the door: episode, recipe, cast, delivery. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from cluster.errors import UsageError, shortly
from cluster.store.base import PART_BYTES
from flows.spec.allowed_paths import check_allowed
from flows.spec.needs import Needs, NeedsSpec, narrowed
from flows.words import NONE, few_words
from tasks.frames.ratio import exact_number, fits_stream
from tasks.stages.yaml_text import Place

Version = Annotated[
    Literal[1] | None,
    Field(default=None, exclude=True, description="of the document's form; there is one so far"),
]
Encoder = Literal["libx264", "libx265", "libsvtav1", "prores", "ffv1"]
Container = Literal["mkv", "mp4", "mov", "webm"]
Audio = Literal["copy", "aac", "flac", "opus", "none"]


def misplaced(what: str, *place: str | int) -> PydanticCustomError:
    """The error of a validator that looks at more than one value, for the one that is wrong: its
    `place` in the whole document."""
    return PydanticCustomError("misplaced", "{what}", {"what": what, "place": place})


def nearest_name(name: str, known: Collection[str]) -> str:
    """`did you mean 'upscale'?`, or what there is."""
    close = get_close_matches(name[:100], known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {few_words(sorted(known)) or NONE}"


def _rate(value: object) -> Fraction:
    """`24`, `23.976`, `"24000/1001"` → an exact rate; NTSC decimals mean their exact rationals."""
    try:
        rate = exact_number(value)
    except ValueError:
        raise ValueError(
            f"expected a frame rate such as 24 or 24000/1001, got {shortly(value)}"
        ) from None
    if not 0 < rate <= 1000:
        raise ValueError(f"expected a frame rate above 0 and up to 1000, got {shortly(value)}")
    if rate.denominator not in (1, 1001):
        ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
        if ntsc and abs(ntsc - rate) < Fraction(5, 1000):
            return ntsc
    if not fits_stream(rate):
        raise ValueError(f"expected a frame rate of fewer digits, got {shortly(value)}")
    return rate


Rate = Annotated[
    Fraction,
    BeforeValidator(_rate),
    WithJsonSchema({"type": ["number", "string"], "description": "such as 24 or 24000/1001"}),
]


def _cut(value: object) -> object:
    """`auto`, the first frames of the shots after the first, or a timeline file."""
    expected = "expected auto, a list of frames, or an .otio or .edl file, got"
    if isinstance(value, list | tuple):
        for number, frame in enumerate(value):
            if not isinstance(frame, int) or isinstance(frame, bool):
                raise misplaced(f"{expected} {shortly(frame)}", "cut", number)
        return tuple(value)
    if isinstance(value, str) and (value == "auto" or value.lower().endswith((".otio", ".edl"))):
        return value
    raise ValueError(f"{expected} {shortly(value)}")


Cut = Annotated[str | tuple[int, ...], BeforeValidator(_cut)]


def _name(value: str) -> str:
    if not value.isprintable() or not value or set(value) & set("/\\") or value.startswith("."):
        raise ValueError(
            "expected a plain name without slashes, control characters or a leading dot, got "
            f"{shortly(value)}"
        )
    if len(value.encode()) > PART_BYTES:
        raise ValueError(
            f"expected a name of {PART_BYTES} bytes at the most, got {len(value.encode())}"
        )
    return value


def _preset(value: str) -> str:
    if not (value.isascii() and value.isalnum() and len(value) <= 40):
        raise ValueError(f"expected a preset such as medium, 8 or hq, got {shortly(value)}")
    return value


Preset = Annotated[str, AfterValidator(_preset)]
Name = Annotated[str, AfterValidator(_name)]


def expand_home(path: str) -> Path:
    """A path as a person writes it: `~/` is the home folder, any other tilde is just a letter.
    UsageError where this user has no home."""
    try:
        return Path(path).expanduser() if path.startswith("~/") else Path(path)
    except RuntimeError as error:
        raise UsageError("there is no home folder", where=path, remedy="write it out") from error


class Document(BaseModel):
    """Base of all: strict about names, frozen once read. Who read it from a file may note there
    which line each place in it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    _file: str = PrivateAttr(default="")
    _lines: Mapping[Place, int] = PrivateAttr(default_factory=dict)

    def note_lines(self, file: str, lines: Mapping[Place, int]) -> None:
        """Say where this was read from."""
        self._file, self._lines = file, lines

    def where(self, *place: str | int) -> str:
        """`episode.yaml:12` for a place in the document; empty where no file was read."""
        return f"{self._file}:{line_of(self._lines, place)}" if self._file else ""


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place, or of what it is in."""
    if place[:1] == ("sources",) and ("source",) in lines:
        place = ("source", *place[2:])
    return next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 1)


class StageSpec(Document):
    """One step of a recipe: `upscale`, `upscale: {scale: 2}` or `{stage: upscale, keep: true}`."""

    stage: str
    params: dict[str, Any] = Field(default_factory=dict)
    keep: bool | None = None
    needs: NeedsSpec | None = None

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
            own = {name: params.pop(name, None) for name in ("keep", "needs")}
            return {"stage": stage, "params": params, **own}
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
    """What one shot does differently: a recipe of its own, other parameters of its stages, where
    it is made."""

    recipe: tuple[StageSpec, ...] | None = None
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    cast: tuple[str, ...] = ()
    needs: NeedsSpec | None = None


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


DEFAULT_RECIPE = (
    StageSpec(stage="hold"),
    StageSpec(stage="upscale", params={"scale": 2}),
)
"""Twice the size, each drawing once: of 144 frames of H.264 on twos and threes 108 are drawings."""


class EpisodeSpec(Document):
    """An episode: source(s), cut, recipe, cast, per-shot overrides, store, delivery, review."""

    version: Version
    name: Name
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    cut: Cut = "auto"
    recipe: tuple[StageSpec, ...] = DEFAULT_RECIPE
    shots: dict[str, ShotSpec] = Field(default_factory=dict)
    cast: dict[str, CastSpec] = Field(default_factory=dict)
    needs: NeedsSpec | None = None
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
            for number, member in enumerate(override.cast):
                if member not in self.cast:
                    raise misplaced(
                        f"shot {shot} names {shortly(member)}, who is not in the cast; "
                        f"{nearest_name(member, self.cast)}",
                        *("shots", shot, "cast", number),
                    )
        return self

    def paths(self) -> Iterator[tuple[Place, str]]:
        """Every path that the document itself names, with its place."""
        for number, source in enumerate(self.sources):
            yield ("sources", number, "path"), source.path
        if isinstance(self.cut, str) and self.cut != "auto":
            yield ("cut",), self.cut
        for name, member in self.cast.items():
            for number, path in enumerate(member.references):
                yield ("cast", name, "references", number), path
        if self.delivery.output:
            yield ("delivery", "output"), self.delivery.output
        if self.store:
            yield ("store",), self.store

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

    def needs_for(self, shot: str) -> Needs:
        """What a shot needs of the nodes that make it, whatever the stage."""
        override = self.shots.get(shot)
        return narrowed(self.needs, override.needs if override else None)

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
