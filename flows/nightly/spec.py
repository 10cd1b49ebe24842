"""`nightly.yaml`: which episodes, how much each show counts, until when, for how much, how good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cluster.errors import shortly
from cluster.settings import MAX_WORKERS
from flows.nightly.clock import is_cron, local_zone_name, parse_deadline, zone_named
from flows.spec.allowed_paths import check_allowed
from flows.spec.documents import (
    Document,
    Encoder,
    Name,
    Rate,
    Version,
    expand_home,
    misplaced,
    nearest_name,
)
from flows.spec.yaml_file import check_paths, read_document
from tasks.stages.yaml_text import Place

SINCE_MIDNIGHT = range(60, 24 * 60)
"""YAML reads an unquoted 6:00 as 360; a number under 60 nobody can have meant as a time."""

LARGEST = 10**9
"""No priority, weight, hour or sum of money is larger."""


def _deadline(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value in SINCE_MIDNIGHT:
        return time(value // 60, value % 60)
    return parse_deadline(value if isinstance(value, str) else repr(value))


def _zone(value: str) -> str:
    return zone_named(value).key


def _cron(value: str) -> str:
    if not is_cron(value):
        raise ValueError(
            f"expected five fields such as '0 22 * * *' (at 22:00 every day), got {shortly(value)}"
        )
    return value


Deadline = Annotated[time | timedelta, BeforeValidator(_deadline)]
Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str, AfterValidator(_cron)]


class ShowSpec(Document):
    """A show, and how large a share of the farm it has beside the others."""

    weight: float = Field(default=1, gt=0, le=LARGEST, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        return value if isinstance(value, Mapping | None) else {"weight": value}


class NightlyEpisodeSpec(Document):
    """An episode to render every night; what it does not say comes from its episode.yaml."""

    path: str = Field(min_length=1)
    show: Name = "main"
    priority: int = Field(default=0, ge=-LARGEST, le=LARGEST)
    """The larger, the sooner."""
    output: str = ""
    store: str = ""
    recipe: str = ""
    encoder: Encoder | None = None
    quality: int | None = Field(default=None, ge=0, le=63)
    chunk: int | None = Field(default=None, ge=1, le=240)
    fps: Rate | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"path": value}
        if isinstance(value, Mapping):
            named = [name for name in ("path", "episode", "source") if name in value]
            if len(named) > 1:
                raise ValueError(f"give {' or '.join(named)}, not both")
            value = {("path" if name in named else name): value[name] for name in value}
        return value


class BudgetSpec(Document):
    """What a night may use at the most, None: as much as it takes. Money is in the currency of
    DOUGA_GPU_HOUR_PRICE and DOUGA_CPU_HOUR_PRICE."""

    gpu_hours: float | None = Field(default=None, ge=0, le=LARGEST, allow_inf_nan=False)
    cpu_hours: float | None = Field(default=None, ge=0, le=LARGEST, allow_inf_nan=False)
    money: float | None = Field(default=None, ge=0, le=LARGEST, allow_inf_nan=False)


class ScheduleSpec(Document):
    """When `douga up` starts the night: cron's five fields, on the clock of a time zone."""

    cron: Cron
    timezone: Zone | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        return {"cron": value} if isinstance(value, str) else value


class Thresholds(Document):
    """How far a shot or film may be from the last good night before it has regressed.

    Of pictures the worst frame counts. `psnr_db` and `ssim` are the least it may have against the
    last good night's; `flicker` how much more it may change in time where that one stands still,
    in 8-bit codes; `loudness_lu` and `duration_ms` the largest differences; `seconds` and `money`
    the largest ratios, looked at where they rose by `seconds_least` or `money_least` at the least,
    of shots that were rendered whole in both nights. null: not looked at.
    """

    psnr_db: float | None = Field(default=36, ge=0, allow_inf_nan=False)
    ssim: float | None = Field(default=0.96, ge=-1, le=1)
    flicker: float | None = Field(default=2, ge=0, allow_inf_nan=False)
    loudness_lu: float | None = Field(default=1, ge=0, allow_inf_nan=False)
    duration_ms: float | None = Field(default=1, ge=0, allow_inf_nan=False)
    seconds: float | None = Field(default=2, ge=1, allow_inf_nan=False)
    seconds_least: float = Field(default=10, ge=0, allow_inf_nan=False)
    money: float | None = Field(default=2, ge=1, allow_inf_nan=False)
    money_least: float = Field(default=0.01, ge=0, allow_inf_nan=False)


class NightlySpec(Document):
    """A nightly. `hard`: an episode that still runs at the deadline is stopped, else it ends."""

    version: Version
    name: Name
    episodes: tuple[NightlyEpisodeSpec, ...] = Field(min_length=1)
    shows: dict[str, ShowSpec] = Field(default_factory=dict)
    timezone: Zone = Field(default_factory=local_zone_name)
    deadline: Deadline | None = None
    hard: bool = False
    budget: BudgetSpec = BudgetSpec()
    schedule: ScheduleSpec | None = None
    thresholds: Thresholds = Thresholds()
    store: str = ""
    ray: str = ""
    workers: int | None = Field(default=None, ge=0, le=MAX_WORKERS)
    report: str = ""
    file: str = ""
    """The file itself, absolute. Set by the reader."""

    @field_validator("episodes")
    @classmethod
    def _not_twice(cls, value: tuple[NightlyEpisodeSpec, ...]) -> tuple[NightlyEpisodeSpec, ...]:
        outputs = [each.output for each in value]
        for number, output in enumerate(outputs):
            if output and output in outputs[:number]:
                raise misplaced(
                    f"two episodes would go to {shortly(output)}", "episodes", number, "output"
                )
        return value

    @field_validator("shows")
    @classmethod
    def _names(cls, value: dict[str, ShowSpec], info: ValidationInfo) -> dict[str, ShowSpec]:
        for number, each in enumerate(info.data.get("episodes", ()) if value else ()):
            if each.show not in value:
                raise misplaced(
                    f"{each.path} is of show {each.show!r}, which is not here; "
                    f"{nearest_name(each.show, value)}",
                    *("episodes", number, "show"),
                )
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the deadline."""
        return ZoneInfo(self.timezone)

    @property
    def weights(self) -> dict[str, float]:
        """Every show's weight; 1 where the file says none."""
        weights = {each.show: 1.0 for each in self.episodes}
        return {**weights, **{name: show.weight for name, show in self.shows.items()}}

    def resolve(self, path: str) -> str:
        """A path of the document as an absolute one; URLs and what is empty stay as they are.
        UsageError where it leads out of DOUGA_ROOTS."""
        if not path or "://" in path:
            return check_allowed(path)
        return check_allowed(str((Path(self.file).parent / expand_home(path)).absolute()))

    def paths(self) -> Iterator[tuple[Place, str]]:
        """Every path that the document itself names, with its place."""
        for number, each in enumerate(self.episodes):
            for name in ("path", "output", "store", "recipe"):
                if path := getattr(each, name):
                    yield ("episodes", number, name), path
        for name in ("store", "report"):
            if path := getattr(self, name):
                yield (name,), path


def read_nightly(path: Path) -> NightlySpec:
    """A nightly from YAML. UsageError `file:line: what` for anything wrong in it; InputError if it
    cannot be read."""
    spec = read_document(
        path,
        NightlySpec,
        what="a nightly (a mapping with episodes)",
        begin="episodes: [ep01.yaml]",
        file=str(path.absolute()),
    )
    check_paths(spec, spec.paths(), spec.resolve)
    return spec
