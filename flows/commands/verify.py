"""`douga verify`: whether a film and the store are what the episode says."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cluster.errors import Exit, InputError, UsageError
from flows.commands.options import Recipe
from flows.commands.tools import AsJson, StoreUrl, print_json


def verify(
    source: Annotated[str, typer.Argument(help="film, frame folder, s3:// object, episode.yaml")],
    output: Annotated[str, typer.Option("--output", "-o", help="the film, as for render")] = "",
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="as the render was told; repeatable")
    ] = None,
    recipe: Recipe = "",
    store: StoreUrl = "",
    chunk: Annotated[int | None, typer.Option(min=1, max=240, help="frames per chunk")] = None,
    encoder: Annotated[str, typer.Option("--encoder", help="as the render was told")] = "",
    quality: Annotated[int | None, typer.Option(min=0, max=63, help="as the render was told")] = (
        None
    ),
    fps: Annotated[str, typer.Option("--fps", help="rate of a frame folder")] = "",
    against: Annotated[
        str, typer.Option(help="an episode: check SOURCE alone, as its film, not the store")
    ] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="delete what is damaged; render makes it again")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a film and what the store has of it, frame by frame; exit 2 if it is wanting."""
    from flows.commands.tables.findings import show_findings
    from flows.plan.prepare import prepare
    from flows.progress import make_reporter
    from flows.spec.request import make_request
    from flows.verify.check import check_document, remove_objects

    if against and repair:
        raise UsageError("a film alone says nothing of the store", remedy="leave --against out")
    request = make_request(
        against or source,
        output=source if against else output,
        stages=stage,
        recipe=recipe,
        store=store,
        chunk=chunk,
        encoder=encoder,
        quality=quality,
        fps=fps,
    )
    film = Path(request.output)
    if not film.is_file():
        raise InputError("no film", where=request.output, remedy="render it, or name it with -o")
    with make_reporter() as reporter:
        prepared = prepare(request, reporter)
        document = check_document(prepared, film, reporter, film_only=bool(against))
    if repair:
        remove_objects(prepared, document["objects"])
    words = [against or source, "-o", str(film)] if against or output else [source]
    for name, value in (
        *(("--stage", step) for step in stage or ()),
        ("--recipe", recipe),
        ("--store", store),
        ("--chunk", chunk),
        ("--encoder", encoder),
        ("--quality", quality),
        ("--fps", fps),
    ):
        words += [name, str(value)] if value not in (None, "") else []
    print_json(document) if as_json else show_findings(document, command=shlex.join(words))
    if document["findings"]:
        raise typer.Exit(Exit.WANTING)
