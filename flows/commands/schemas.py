"""JSON Schemas of what people write and what commands print: `make schemas` writes docs/schemas.

`DOCUMENTS` has the type of every `--json` document; `print_json` puts its name and version in the
document's `schema` field. A document that gets another meaning, or loses a field, gets the next
version; new fields do not count. episode.yaml and nightly.yaml are described with their short
forms, so that an editor completes stages and their parameters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cluster.ledger.compaction import Compaction
from flows.commands.printed.farm import (
    Down,
    Farm,
    Moved,
    Orders,
    QueueDocument,
    Recovered,
    Submitted,
    Up,
)
from flows.commands.printed.render import Plan, Preview, Review, Run, Runs, Status, Timeline, Verify
from flows.commands.printed.tools import (
    BenchFarm,
    BenchPictures,
    BenchSpeed,
    Doctor,
    Gc,
    Model,
    ModelRemoved,
    Models,
    Notify,
    Sample,
    StoreAdoption,
    StoreCheck,
)
from flows.nightly.spec import NightlySpec
from flows.report.usage.figures import Report
from flows.runs.night import Night
from flows.runs.nights import Acceptance
from flows.runs.result import EpisodeResult
from flows.spec.documents import EpisodeSpec
from tasks.stages.registry import STAGES, stage_class

FOLDER = Path(__file__).parents[2] / "docs/schemas"
Json = dict[str, Any]


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
