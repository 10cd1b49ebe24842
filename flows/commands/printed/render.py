"""What commands print of an episode: plan, status, review, verification, timeline, nights."""

from __future__ import annotations

from flows.commands.printed.base import Json, Open, Printed
from flows.runs.stores import EpisodeLine


class ToMake(Printed):
    stages: str
    frames: str
    pieces: int
    why: list[str]


class PlanShot(Printed):
    id: str
    source: int
    start: int
    end: int
    frames: int
    stages: list[str]
    cast: list[str]
    needs: list[str] = []
    chunks: int
    whole: bool
    cached: int
    to_compute: int
    to_make: list[ToMake]
    frames_reused: int
    reason: str
    why: list[str]


class Plan(Printed):
    """Cost and time are there where they were asked for; the times are null where not known."""

    episode: str
    film: str
    store: str
    changed: str = ""
    shots: list[PlanShot]
    chunks: int
    cached: int
    to_compute: int
    frames_reused: int
    frames_in: int
    frames_out: int
    size: tuple[int, int]
    pix_fmt: str
    duration_s: float
    engine: str = ""
    engine_why: str = ""
    gpu_hours: float = 0
    cpu_hours: float = 0
    bytes_put: int = 0
    money: float = 0
    currency: str = ""
    finish_p50_s: float | None = None
    finish_p90_s: float | None = None
    finish_p50_at: str | None = None
    finish_p90_at: str | None = None
    basis: str = ""
    based_on: str = ""


class StatusShot(Printed):
    id: str
    start: int
    end: int
    frames: int
    chunks: int
    cached: int
    state: str
    why: list[str]
    last_run: str | None


class Status(Printed):
    episode: str
    store: str
    shots: list[StatusShot]
    failures: list[Json]


class Run(Open):
    """A run or a night as it is on record: the fields of render or nightly, and these. What 0.3.0
    and earlier recorded lacks some."""

    state: str = ""
    exit_code: int | None = None
    error: str = ""
    command: str = ""
    folder: str = ""
    job: str = ""
    host: str = ""
    process: int | None = None
    began_at: str = ""
    ended_at: str = ""


class Runs(Printed):
    store: str
    runs: list[Run]
    episodes: list[EpisodeLine] = []


class ReviewShot(Printed):
    id: str
    rendered: bool
    previewed: bool
    of: str
    verdict: str
    by: str
    at: str
    note: str


class Review(Printed):
    episode: str
    gate: bool
    shots: list[ReviewShot]


class Verify(Open):
    film: str
    episode: str
    frames: int
    chunks: int
    chunks_remade: int
    good: bool
    findings: list[Json]
    objects: list[str]


class TimelineShot(Printed):
    id: str
    file: str | None
    gap: bool
    frames: int
    head: int
    tail: int


class Timeline(Printed):
    episode: str
    timeline: str
    edl: str | None
    rate: str
    frames: int
    missing: list[str]
    shots: list[TimelineShot]


class Taken(Open):
    episode: str
    show: str
    priority: int


class LeftOut(Printed):
    episode: str
    show: str
    why: str


class Preview(Printed):
    nightly: str
    began_at: str
    deadline: str | None
    episodes: int
    taken: list[Taken]
    left_out: list[LeftOut]
    failed: list[LeftOut]
    chunks: int
    gpu_hours: float
    cpu_hours: float
    bytes_put: int
    money: float
    finish_p50_s: float
    finish_p90_s: float
    based_on: list[str]
