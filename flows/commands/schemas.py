"""JSON Schemas of what people write and what commands print: `make schemas` writes docs/schemas.

`DOCUMENTS` has the type of every `--json` document; `print_json` puts its name and version in the
document's `schema` field. A document that gets another meaning, or loses a field, gets the next
version; new fields do not count. episode.yaml and nightly.yaml are described with their short
forms, so that an editor completes stages and their parameters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from cluster.ledger.compaction import Compaction
from flows.nightly.spec import NightlySpec
from flows.notify.retry import Delivery
from flows.queue.line import Standing
from flows.queue.submission import SentFile, SubmissionEnd
from flows.report.usage.figures import Report
from flows.runs.night import Night
from flows.runs.nights import Acceptance
from flows.runs.result import EpisodeResult
from flows.runs.stores import EpisodeLine
from flows.spec.documents import EpisodeSpec
from tasks.models.shelf import ModelCard
from tasks.stages.registry import STAGES, stage_class

FOLDER = Path(__file__).parents[2] / "docs/schemas"
Json = dict[str, Any]


class Printed(BaseModel):
    """A document, or a part of one, that a command prints: all fields, no others."""

    model_config = ConfigDict(extra="forbid")


class Open(BaseModel):
    """A document that also carries what another one holds."""

    model_config = ConfigDict(extra="allow")


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


class Up(Printed):
    deployment: str | None
    id: str | None
    api: str
    lasting: bool
    served: bool
    farm: str = ""
    cron: str | None
    timezone: str | None


class Down(Printed):
    taken_away: list[str]


class Doing(Printed):
    episode: str
    run: str
    workers: int


class WordOnNode(Printed):
    kind: str
    by: str
    at: str
    why: str
    until: str
    said: str


class FarmNode(Printed):
    """`out` says why renders leave it alone, `here` whether it told of itself just now, `load` is
    per core."""

    name: str
    state: str
    here: bool
    out: WordOnNode | None
    doing: list[Doing]
    host: str
    cpus: float
    memory_bytes: int
    cards: list[str]
    tags: list[str]
    licences: dict[str, int]
    douga: str
    ray: str
    load: float
    disk_free_bytes: int
    seen_at: str | None


class Farm(Printed):
    farm: str
    nodes: list[FarmNode]


class Submitted(Printed):
    """What `submit` handed in; with --dry-run only the episode and its files, with --wait the end
    too."""

    episode: str
    files: list[SentFile]
    job: str = ""
    queue: str = ""
    store: str = ""
    farm: str = ""
    ended: SubmissionEnd | None = None
    film: str = ""


class QueuedRun(Printed):
    """`position` counts those that wait, from 1; 0: it goes, or is paused. Times are ISO 8601."""

    job: str
    episode: str
    queue: str
    state: Standing
    position: int
    holds: int
    wants: int
    why: str
    by: str
    deadline: str
    late: bool
    since: str
    store: str


class QueueDocument(Printed):
    farm: str
    host: str
    runs: list[QueuedRun]


class Ordered(Printed):
    job: str
    episode: str
    was: Standing


class Orders(Printed):
    """What `pause`, `resume` and `cancel` were done to."""

    paused: list[Ordered] = []
    resumed: list[Ordered] = []
    cancelled: list[Ordered] = []


class Moved(Printed):
    job: str
    episode: str
    queue: str


class Recovered(Printed):
    queued: list[Moved]


DOCUMENTS: dict[str, type] = {
    "accepted": Acceptance,
    "bench-farm": BenchFarm,
    "bench-pictures": BenchPictures,
    "bench-speed": BenchSpeed,
    "compaction": Compaction,
    "doctor": Doctor,
    "down": Down,
    "farm": Farm,
    "order": Orders,
    "priority": Moved,
    "queue": QueueDocument,
    "recover": Recovered,
    "submit": Submitted,
    "gc": Gc,
    "model": Model,
    "model-removed": ModelRemoved,
    "models": Models,
    "nightly": Night,
    "nightly-preview": Preview,
    "notify": Notify,
    "plan": Plan,
    "render": EpisodeResult,
    "report": Report,
    "review": Review,
    "run": Run,
    "runs": Runs,
    "sample": Sample,
    "status": Status,
    "store-adoption": StoreAdoption,
    "store-check": StoreCheck,
    "timeline": Timeline,
    "up": Up,
    "verify": Verify,
}
"""The type of each `--json` document, all of version 1."""


def document_schema(name: str) -> Json:
    """The JSON Schema of a `--json` document, with its own name in `schema`."""
    made = TypeAdapter(DOCUMENTS[name]).json_schema(mode="validation")
    made["properties"] = {"schema": {"const": f"douga/{name}-1"}, **made["properties"]}
    made["required"] = ["schema", *made.get("required", [])]
    return _headed(f"{name}-1", made)


def episode_schema() -> Json:
    """The JSON Schema of episode.yaml, short forms included."""
    made = EpisodeSpec.model_json_schema()
    kinds, fields = made["$defs"], made["properties"]
    fields["source"] = {"$ref": "#/$defs/SourceSpec"}
    fields["cut"] = _cut(fields["cut"])
    del fields["folder"], made["required"]
    made["oneOf"] = [{"required": ["source"]}, {"required": ["sources"]}]
    kinds["SourceSpec"] = _or_text(kinds["SourceSpec"])
    kinds["StageSpec"] = _stage(kinds["StageSpec"])
    return _headed("episode", made)


def nightly_schema() -> Json:
    """The JSON Schema of nightly.yaml, short forms included."""
    made = NightlySpec.model_json_schema()
    kinds, fields = made["$defs"], made["properties"]
    del fields["file"]
    made["required"] = ["episodes"]
    entry = kinds["NightlyEpisodeSpec"]
    entry["properties"].update(dict.fromkeys(("episode", "source"), entry["properties"]["path"]))
    del entry["required"]
    kinds["NightlyEpisodeSpec"] = _or_text(entry)
    kinds["ScheduleSpec"] = _or_text(kinds["ScheduleSpec"])
    kinds["ShowSpec"] = {"anyOf": [{"type": "number"}, kinds["ShowSpec"]]}
    fields["deadline"] = {
        "type": ["string", "integer", "null"],
        "description": 'a time of day such as "06:00", or a duration: 8h, 1h30m',
    }
    return _headed("nightly", made)


def _headed(name: str, made: Json) -> Json:
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **made, "title": f"douga/{name}"}


def _or_text(made: Json) -> Json:
    return {"anyOf": [{"type": "string"}, made]}


def _cut(made: Json) -> Json:
    frames = {"type": "array", "items": {"type": "integer", "minimum": 1}}
    file = {"type": "string", "pattern": r"\.([oO][tT][iI][oO]|[eE][dD][lL])$"}
    return {**made, "anyOf": [{"const": "auto"}, frames, file]}


def _stage(whole: Json) -> Json:
    """`upscale`, `upscale: {scale: 2}` or the form with `stage:`; parameters by stage."""
    short = {}
    for name in STAGES:
        params = stage_class(name).Params.model_json_schema()
        params["properties"] = {**params.get("properties", {}), "keep": {"type": "boolean"}}
        params["properties"]["needs"] = {"$ref": "#/$defs/NeedsSpec"}
        short[name] = {"anyOf": [params, {"type": "null"}]}
    mapping = {"type": "object", "properties": short, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": list(STAGES)}, {**mapping, "additionalProperties": False}, whole]}


def all_schemas() -> dict[str, str]:
    """Every schema as text, by file name."""
    made = {
        "episode.json": episode_schema(),
        "nightly.json": nightly_schema(),
        **{f"{name}-1.json": document_schema(name) for name in DOCUMENTS},
    }
    return {
        name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in made.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in all_schemas().items():
        (FOLDER / file).write_text(text)
