"""Commands beside the render: sample, doctor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.errors import Exit, printable

tools = typer.Typer()
StoreUrl = Annotated[str, typer.Option("--store", help="file:///path or s3://bucket/prefix")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@tools.command()
def sample(
    out: Annotated[Path, typer.Argument(help="folder to write")],
    seed: Annotated[int, typer.Option(help="another seed, another short")] = 1,
    shots: Annotated[int, typer.Option(min=12, max=400)] = 14,
    seconds: Annotated[float, typer.Option(min=1)] = 12.0,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT")] = "640x360",
    rate: Annotated[str, typer.Option(help="frames per second")] = "24000/1001",
    container: Annotated[str, typer.Option(help="mkv or mp4")] = "mkv",
    truth: Annotated[bool, typer.Option(help="write the truth beside it")] = True,
    as_json: AsJson = False,
) -> None:
    """Synthesise an animated short with exact truth beside it."""
    from flows.commands.samples import make_sample
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = make_sample(
            out,
            reporter,
            seed=seed,
            shots=shots,
            seconds=seconds,
            size=size,
            rate=rate,
            container=container,
            truth=truth,
        )
    if as_json:
        print_json(document, "sample")
    else:
        print(printable(document["film"]))


@tools.command()
def doctor(
    store: StoreUrl = "",
    self_test: Annotated[
        bool, typer.Option("--self-test", help="prove on this machine what a render relies on")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, which devices and encoders there are, and what is missing."""
    from flows.commands.doctor import examine
    from flows.commands.tables.tools import show_doctor

    document = examine(store, self_test=self_test)
    print_json(document, "doctor") if as_json else show_doctor(document)
    if not document["healthy"]:
        raise typer.Exit(Exit.FAILED)


@contextmanager
def stray_output_to_stderr() -> Iterator[None]:
    """For the length of a `with`, what libraries and their children print to stdout goes to
    stderr: Ray tells of lost workers there, and stdout is for one document."""
    sys.stdout.flush()
    kept, before = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = before
        os.dup2(kept, 1)
        os.close(kept)


def print_json(document: dict[str, Any], name: str) -> None:
    """A result for programs: one JSON document on stdout, whose shape `docs/schemas` has by its
    name."""
    print(json.dumps({"schema": f"douga/{name}-1", **document}, indent=2, default=str))
