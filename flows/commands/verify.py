"""`douga verify`: whether a film and the store are what the episode says."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cluster.errors import Exit, InputError, UsageError
from flows.commands.options import SHAPING, RenderedOptions, spread_options
from flows.commands.tools import AsJson, print_json


@spread_options("output", *SHAPING)
def verify(
    *,
    options: RenderedOptions,
    against: Annotated[
        str, typer.Option(help="an episode: check SOURCE alone, as its film, not the store")
    ] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="delete what is damaged; render makes it again")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="make a sample of the stored chunks again and compare")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a film and what the store has of it, frame by frame; exit 2 if anything is wrong."""
    from flows.commands.tables.findings import show_findings
    from flows.farm.upload import upload_inputs
    from flows.plan.prepare import prepare
    from flows.progress import make_reporter
    from flows.verify.check import check_document, remove_objects

    if against and (repair or deep):
        raise UsageError("a film alone says nothing of the store", remedy="leave --against out")
    source = options.source
    if against:
        options = replace(options, source=against, output=source)
    request = options.request()
    film = Path(request.output)
    no_film = InputError("no film", where=request.output, remedy="render it, or name it with -o")
    if not film.is_file() and not repair:
        raise no_film
    with make_reporter() as reporter:
        prepared = prepare(request, reporter)
        if deep:
            upload_inputs(prepared, reporter)
        document = check_document(prepared, film, reporter, film_only=bool(against), deep=deep)
    if not film.is_file() and not document["findings"]:
        raise no_film
    if repair:
        remove_objects(prepared, document["objects"])
    words = [options.source, *(["-o", str(film)] if options.output else [])]
    for name, value in (
        *(("--stage", step) for step in options.stages or ()),
        *((f"--{name}", getattr(options, name)) for name in SHAPING[2:]),
    ):
        words += [name, str(value)] if value not in (None, "") else []
    if as_json:
        print_json(document, "verify")
    else:
        show_findings(document, command=shlex.join(words))
    if document["findings"]:
        raise typer.Exit(Exit.WANTING)
