"""`douga bench pictures`: how good the pictures of every stage are, beside references and peers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from cluster.errors import UsageError
from flows.progress import Reporter
from tasks.benchmarks.pictures import (
    FULL,
    QUICK,
    Asked,
    Section,
    StageName,
    measure_pictures,
)
from tasks.benchmarks.sheet import comparison_sheet

STAGES: tuple[StageName, ...] = get_args(StageName)


def run_pictures(
    reporter: Reporter,
    *,
    paths: Sequence[str] = (),
    stages: str = "",
    lines: Sequence[Path] = (),
    colours: Sequence[Path] = (),
    peers: Sequence[Path] = (),
    sheet: Path | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Measure, write the sheet where one is wanted; the document of `bench pictures --json`.

    Without `stages` those that the material is for: all on the sample; `interpolate` and `upscale`
    where `paths` are given; `colorize` where `lines` and `colours` are. UsageError.
    """
    asked = _asked(paths, stages, lines, colours, peers, quick=quick)
    if sheet and not sheet.absolute().parent.is_dir():
        raise UsageError(
            "no such folder", where=str(sheet.parent), remedy="make it, or name another"
        )
    phase = ""

    def tell(what: str, done: float) -> None:
        nonlocal phase
        if what != phase:
            phase = what
            reporter.phase(what)
        reporter.fraction(done)

    sections = list(measure_pictures(asked, tell))
    if not sections:
        raise UsageError(
            "nothing to measure: no three consecutive drawings in one shot",
            where=", ".join(paths),
            remedy="name a film or folder with more movement",
        )
    if sheet:
        reporter.phase("drawing the sheet")
        sheet.write_bytes(comparison_sheet(sections))
    return {
        "stages": [_section(section) for section in sections],
        "sheet": str(sheet) if sheet else None,
        "on": f"one thread of {os.cpu_count()} cores ({platform.machine()})",
    }


def _section(section: Section) -> dict[str, Any]:
    by_source = {
        source: [asdict(row) for row in section.evaluation.rows(source)]
        for source in section.sources
    }
    return {
        "stage": section.stage,
        "what": section.what,
        "material": section.sources,
        "cases": len(section.cases),
        "rows": [asdict(row) for row in section.rows],
        "by_source": by_source,
    }


def _asked(
    paths: Sequence[str],
    stages: str,
    lines: Sequence[Path],
    colours: Sequence[Path],
    peers: Sequence[Path],
    *,
    quick: bool,
) -> Asked:
    if len(lines) != len(colours):
        raise UsageError(
            f"{len(lines)} drawings and {len(colours)} colourings",
            where="douga bench pictures",
            remedy="give --colours once for every --lines, in the same order",
        )
    for file in (*lines, *colours, *peers):
        if not file.is_file():
            raise UsageError("no such file", where=str(file), remedy="check the path")
    return Asked(
        stages=_stages(stages, framed=bool(paths), drawn=bool(lines)),
        paths=tuple(paths),
        sheets=tuple(zip(lines, colours, strict=True)),
        peers=tuple(peers),
        amount=QUICK if quick else FULL,
    )


def _stages(named: str, *, framed: bool, drawn: bool) -> tuple[StageName, ...]:
    """The stages named, in the order of a recipe, or those that the material is for."""
    if named:
        words = {word.strip() for word in named.split(",")}
        if unknown := words - set(STAGES):
            raise UsageError(
                f"cannot measure {', '.join(sorted(unknown))!r}",
                where="--stage",
                remedy=f"stages are {', '.join(STAGES)}, joined by commas",
            )
        return tuple(stage for stage in STAGES if stage in words)
    everything = not framed and not drawn
    return tuple(
        stage for stage in STAGES if everything or (drawn if stage == "colorize" else framed)
    )
