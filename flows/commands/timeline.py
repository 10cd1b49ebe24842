"""`douga timeline`: a rendered episode handed back to its editor, as OTIO and a file for a shot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cluster.errors import UsageError
from flows.commands.options import SHAPING, RenderedOptions, check_folder, spread_options
from flows.commands.tools import AsJson, print_json, stray_output_to_stderr

if TYPE_CHECKING:
    from flows.spec.documents import Container


@spread_options(*SHAPING, "ray", "workers")
def timeline(
    *,
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
    options: RenderedOptions,
    as_json: AsJson = False,
) -> None:
    """Write a file for every rendered shot, and the OTIO whose clips are these files."""
    from flows.commands.tables.timeline import show_timeline
    from flows.export.deliver import deliver_timeline
    from flows.export.places import Export
    from flows.progress import make_reporter

    request = replace(options, output=film).request()
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
    check_folder(output, option="-o")
    check_folder(edl, option="--edl")
    with stray_output_to_stderr(), make_reporter() as reporter:
        document = deliver_timeline(request, export, reporter, handles=handles)
    print_json(document, "timeline") if as_json else show_timeline(document)
