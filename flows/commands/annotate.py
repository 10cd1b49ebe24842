"""`douga annotate`: what a night came to, for the CI server that ran it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import DougaError, InputError, os_reason, printable
from cluster.files import read_plain

if TYPE_CHECKING:
    from flows.runs.night import Night

MAX_BYTES = 256 << 20
"""No night's report is longer."""


def annotate(
    report: Annotated[Path, typer.Argument(help="report.json of a night or a run, or its folder")],
    summary: Annotated[
        Path | None,
        typer.Option(help="add a Markdown summary to this file; default $GITHUB_STEP_SUMMARY"),
    ] = None,
) -> None:
    """Print a GitHub annotation for every shot that failed or regressed, and what was left out.

    Exit 0 whatever they say: the night's own exit code says how it ended.
    """
    from cluster.settings import foreign
    from flows.notify import annotations

    night = _night(report / "report.json" if report.is_dir() else report)
    for each in annotations.annotate(night):
        print(printable(str(each)))
    given = str(summary or foreign("GITHUB_STEP_SUMMARY"))
    if given:
        try:
            with Path(given).open("a", encoding="utf-8") as file:
                file.write(annotations.summarize(night))
        except OSError as error:
            why = os_reason(error)
            raise DougaError(f"the summary cannot be written ({why})", where=given) from error


def _night(path: Path) -> Night:
    """The night of a report. InputError if there is none, or it is something else."""
    from flows.report.night.of_run import night_of_run
    from flows.runs.night import Night

    remedy = "name the report.json that douga nightly --report or douga wait --report wrote"
    try:
        document: Any = json.loads(read_plain(path, most_bytes=MAX_BYTES))
        return Night.from_json(document) if "episodes" in document else night_of_run(document)
    except OSError as error:
        why = os_reason(error)
        raise InputError(f"no report ({why})", where=str(path), remedy=remedy) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("is no report", where=str(path), remedy=remedy) from error
