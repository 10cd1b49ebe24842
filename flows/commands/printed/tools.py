"""What commands print of a store, its models and this machine."""

from __future__ import annotations

from typing import Literal

from flows.commands.printed.base import Json, Open, Printed
from flows.notify.retry import Delivery
from tasks.models.shelf import ModelCard


class Sample(Printed):
    film: str
    episode: str
    truth: str | None
    seed: int
    shots: int


class Check(Printed):
    what: str
    found: str
    state: Literal["good", "optional", "bad"]
    remedy: str


class Doctor(Open):
    healthy: bool
    checks: list[Check]


class Removed(Printed):
    name: str
    size_bytes: int
    modified: str
    why: str


class Amount(Printed):
    objects: int
    bytes: int


class Gc(Printed):
    store: str
    dry_run: bool
    grace_h: float
    keep_days: float | None
    removed: list[Removed]
    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    kept: dict[str, Amount]
    gone: dict[str, Amount]
    runs_in_progress: list[str]


class DamagedObject(Printed):
    """`done` is where it was set aside, or why it stays; `mended` where no more is to be done."""

    name: str
    what: str
    found: str
    costs: str
    done: str
    mended: bool


class StoreCheck(Printed):
    """`good` where nothing damaged is left; `unknown` objects are not douga's."""

    store: str
    objects: int
    bytes: int
    unknown: int
    good: bool
    damaged: list[DamagedObject]


class Refused(Printed):
    name: str
    found: str


class StoreAdoption(Printed):
    """Of the `adopted`, some are `proven` whole by checks inside them, others only `read` well."""

    store: str
    dry_run: bool
    objects: int
    unknown: int
    adopted: int
    proven: int
    read: int
    refused: list[Refused]


class Model(ModelCard):
    size_bytes: int
    licence_text: str = ""


class Models(Printed):
    models: list[Model]


class ModelRemoved(Printed):
    removed: str
    folder: str


class Target(Printed):
    target: str


class Notify(Printed):
    events: list[str]
    targets: list[Delivery | Target]


class Way(Printed):
    way: str
    name: str
    precision: str
    fps: float
    share: float | None
    of_tight: float | None
    frames: int
    seconds: float
    cpu_s: float | None
    peak_bytes: float | None
    moved_bytes: float | None
    stored_bytes: float | None
    rounds: list[float]


class BenchSpeed(Printed):
    ways: list[Way]
    frames: int
    size: str
    rounds: int
    engine: str
    engines: dict[str, float] = {}
    on: str


class FarmSize(Printed):
    workers: int
    shots: int
    calls: int
    efficiency: float
    limit: float
    driver_ms_a_call: float
    wall_s: float


class BenchFarm(Printed):
    farms: list[FarmSize]
    on: str


class Section(Printed):
    stage: str
    what: str
    material: list[str]
    cases: int
    rows: list[Json]
    by_source: dict[str, list[Json]]


class BenchPictures(Printed):
    stages: list[Section]
    sheet: str | None
    on: str
