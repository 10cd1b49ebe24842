"""The figures of a report, plain: what `douga report --json` prints.

Hours are of busy devices, a core counting as one; `money` is in the settings' currency, 0 where no
price is set. Shares are of 1, None where there is nothing to have a share of.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Hours of busy devices and their price."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    money: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All of it. `film_minutes` are those of the newest film of each episode; the costs per minute
    of film are what was spent on these episodes, retakes and failures included, over its length.
    `unfinished` was spent on episodes of which no film came out."""

    runs: int
    failed_runs: int
    items: int
    frames: int
    bytes_put: int
    cost: Cost
    film_minutes: float
    per_film_minute: Cost | None
    unfinished: Cost
    chunks_computed: int
    chunks_reused: int
    cache_hit_rate: float | None
    gpu_idle_share: float | None
    cpu_idle_share: float | None
    shots: int
    retakes: int
    retakes_per_shot: float | None
    failed_shots: int
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """An episode; `film_minutes` 0 where no film came out."""

    episode: str
    runs: int
    film_minutes: float
    cost: Cost
    per_film_minute: Cost | None
    cache_hit_rate: float | None
    shots: int
    retakes: int
    retakes_per_shot: float | None
    failed_shots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A run of stages on one kind of device: seconds of a piece of work (p50, p90) and of a frame,
    and its share of all busy time. The three parts of a frame's seconds add up to it."""

    stage: str
    device: str
    items: int
    frames: int
    hours: float
    share: float
    p50_s: float
    p90_s: float
    frame_s: float
    frame_load_s: float
    frame_compute_s: float
    frame_store_s: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A machine's GPUs or its workers on the CPU: for how long it computed, and for how long it was
    held by runs and did not."""

    node: str
    device: str
    units: int
    busy_hours: float
    idle_share: float | None
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A day (or week, or month) by its first day. Its films are those that came out in it."""

    begins: str
    cost: Cost
    by_stage: dict[str, float]
    per_film_minute: Cost | None
    cache_hit_rate: float | None
    gpu_idle_share: float | None
    cpu_idle_share: float | None
    retakes: int
    failed_shots: int
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetakenShot:
    """A shot that was sent back, with the last words on it."""

    episode: str
    shot: str
    retakes: int
    last_at: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """A shot that failed in a run."""

    at: str
    episode: str
    shot: str
    run: str
    stage: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on `[since, until)`. `slot` says what a slot is: day, week or month. Rows come with
    the largest first, slots and failures in time. `by_stage` of a slot is money if prices are set,
    else device-hours, as everywhere where cost is one number."""

    store: str
    episode: str
    since: str
    until: str
    currency: str
    priced: bool
    slot: str
    totals: Totals
    episodes: tuple[EpisodeRow, ...]
    stages: tuple[StageRow, ...]
    nodes: tuple[NodeRow, ...]
    slots: tuple[Slot, ...]
    retaken: tuple[RetakenShot, ...]
    failures: tuple[FailureRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `report --json`."""
        return asdict(self)

    def one_number(self, cost: Cost) -> float:
        """A cost as money if prices are set, else as device-hours."""
        return cost.money if self.priced else cost.gpu_hours + cost.cpu_hours

    @property
    def unit(self) -> str:
        """What `one_number` is in."""
        return self.currency if self.priced else "device-hours"
