"""`douga timeline`: a rendered episode handed back to its editor, as OTIO and a file for a shot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cluster.errors import UsageError
from flows.commands.options import Recipe
from flows.commands.tools import AsJson, StoreUrl, print_json, stray_output_to_stderr

if TYPE_CHECKING:
    from flows.spec.documents import Container


def timeline(
    source: Annotated[str, typer.Argument(help="film, frame folder, s3:// object, episode.yaml")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="the .otio; default beside the film")
    ] = "",
    shots: Annotated[
        str, typer.Option("--shots", help="folder of the shots' files; default NAME.shots")
    ] = "",
    handles: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="frames on either side; default: the episode's"),
    ] = None,
    edl: Annotated[str, typer.Option("--edl", help="also write a CMX3600 list here")] = "",
    container: Annotated[
        str, typer.Option("--container", help="mov, mp4 or mkv; default: as the encoder needs")
    ] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="take what is rendered; the rest is missing media")
    ] = False,
    film: Annotated[str, typer.Option("--film", help="the film, as render was told with -o")] = "",
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="as the render was told; repeatable")
    ] = None,
    recipe: Recipe = "",
    store: StoreUrl = "",
    ray: Annotated[str, typer.Option("--ray", help="join this Ray cluster for handles")] = "",
    workers: Annotated[
        int | None, typer.Option(min=0, help="stage actors for handles; 0: as many as fit")
    ] = None,
    chunk: Annotated[int | None, typer.Option(min=1, max=240, help="frames per chunk")] = None,
    encoder: Annotated[str, typer.Option("--encoder", help="as the render was told")] = "",
    quality: Annotated[int | None, typer.Option(min=0, max=63, help="as the render was told")] = (
        None
    ),
    fps: Annotated[str, typer.Option("--fps", help="rate of a frame folder")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a file for every rendered shot, and the OTIO whose clips are these files."""
    from flows.commands.tables.timeline import show_timeline
    from flows.export.deliver import deliver_timeline
    from flows.export.places import Export
    from flows.progress import make_reporter
    from flows.spec.request import make_request

    request = make_request(
        source,
        output=film,
        stages=stage,
        recipe=recipe,
        store=store,
        ray=ray,
        workers=workers,
        chunk=chunk,
        encoder=encoder,
        quality=quality,
        fps=fps,
    )
    out = Path(output).absolute() if output else Path(request.output).with_suffix(".otio")
    if out.suffix.lower() != ".otio":
        raise UsageError(f"expected a name that ends in .otio, got {out.name!r}", where="-o")
    if container not in ("", "mov", "mp4", "mkv"):
        raise UsageError(
            f"unknown container {container!r}", where="--container", remedy="use mov, mp4 or mkv"
        )
    if edl and not edl.lower().endswith(".edl"):
        raise UsageError(f"expected a name that ends in .edl, got {edl!r}", where="--edl")
    export = Export(
        timeline=out,
        shots=Path(shots).absolute() if shots else out.with_suffix(".shots"),
        edl=Path(edl).absolute() if edl else None,
        container=cast("Container", container) if container else None,
        partial=partial,
    )
    with stray_output_to_stderr(), make_reporter() as reporter:
        document = deliver_timeline(request, export, reporter, handles=handles)
    print_json(document) if as_json else show_timeline(document)
