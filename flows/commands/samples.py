"""`douga sample`: a synthesised short, its truth, and an episode.yaml ready to render."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from cluster.errors import UsageError
from flows.commands.schemas import episode_schema
from flows.progress import Reporter
from flows.spec.documents import Rate
from tasks.synthetic import Encoding, TruthParts, write_sample

SCHEMA = "episode.schema.json"
"""Beside the sample, so that editors find it without a network."""
EPISODE = """\
# yaml-language-server: $schema={schema}
# Rendered with: douga render {name}
source: {film}
store: store
recipe:
  - hold
  - interpolate: {{factor: 2}}
  - upscale: {{scale: 2}}
"""


def make_sample(
    out: Path,
    reporter: Reporter,
    *,
    seed: int = 1,
    shots: int = 14,
    seconds: float = 12.0,
    size: str = "640x360",
    rate: str = "24000/1001",
    container: str = "mkv",
    truth: bool = True,
) -> dict[str, Any]:
    """Write a sample into a folder; the document of `sample --json`. UsageError."""
    try:
        width, height = (int(side) for side in size.lower().split("x"))
        exact = TypeAdapter(Rate).validate_python(rate)
        kind: Literal["mkv", "mp4"] = TypeAdapter(Literal["mkv", "mp4"]).validate_python(container)
    except ValidationError as error:
        raise UsageError(str(error.errors()[0]["msg"]), where="douga sample") from error
    except ValueError as error:
        raise UsageError(f"expected WIDTHxHEIGHT, got {size!r}", where="--size") from error
    reporter.phase("drawing a short")
    paths = write_sample(
        out,
        seed=seed,
        shots=shots,
        seconds=seconds,
        size=(width, height),
        rate=exact,
        encoding=Encoding(container=kind),
        truth=TruthParts() if truth else None,
        progress=lambda done, total: reporter.fraction(done / total),
    )
    (out / SCHEMA).write_text(json.dumps(episode_schema(), indent=1) + "\n")
    episode = out / "episode.yaml"
    episode.write_text(EPISODE.format(schema=SCHEMA, name=episode, film=paths.film.name))
    return {
        "film": str(paths.film),
        "episode": str(episode),
        "truth": str(paths.truth) if paths.truth else None,
        "seed": seed,
        "shots": shots,
    }
