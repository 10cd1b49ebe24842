"""`douga bench`: how fast a render is (`speed`, also without a word), how good its pictures are,
and how busy a farm's workers are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.errors import UsageError
from flows.commands.tools import AsJson, print_json

bench = typer.Typer(
    help="Measure how fast a render is (speed, also without a word), its pictures, or a farm.",
    invoke_without_command=True,
)
Size = Annotated[str, typer.Option(help="WIDTHxHEIGHT of the sample")]
Seconds = Annotated[float, typer.Option(min=2)]
Repeats = Annotated[int, typer.Option(min=1, help="interleaved rounds; medians count")]


@bench.callback()
def _options(
    context: typer.Context,
    size: Size = "320x180",
    seconds: Seconds = 8.0,
    repeats: Repeats = 3,
    as_json: AsJson = False,
) -> None:
    word = context.invoked_subcommand
    if word is None:
        speed(size=size, seconds=seconds, repeats=repeats, as_json=as_json)
        return
    for name in context.params:
        given = context.get_parameter_source(name)
        if given is not None and given.name != "DEFAULT":
            raise UsageError(
                f"options of {word} stand after it",
                where="douga bench",
                remedy=f"douga bench {word} [options]; see douga bench {word} --help",
            )


@bench.command()
def speed(
    size: Size = "320x180",
    seconds: Seconds = 8.0,
    repeats: Repeats = 3,
    as_json: AsJson = False,
) -> None:
    """Measure a render beside a tight loop with the same engine, a PNG script and ffmpeg."""
    from flows.commands.bench_speed import run_bench
    from flows.commands.tables.tools import show_bench
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = run_bench(reporter, size=size, seconds=seconds, repeats=repeats)
    print_json(document, "bench-speed") if as_json else show_bench(document)


@bench.command()
def farm(
    workers: Annotated[
        list[int] | None,
        typer.Option(min=1, max=1024, help="a size of farm; repeatable; none: 1, 4, 16 and 64"),
    ] = None,
    shots: Annotated[int, typer.Option(min=1, max=1000, help="for each worker")] = 15,
    as_json: AsJson = False,
) -> None:
    """Measure how busy this machine keeps the workers of farms, with workers that only sleep."""
    from flows.commands.bench_farm import run_farm_bench
    from flows.commands.tables.tools import show_farm_bench
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        sizes = workers or (1, 4, 16, 64)
        document = run_farm_bench(reporter, workers=sizes, shots_each=shots)
    print_json(document, "bench-farm") if as_json else show_farm_bench(document)


@bench.command()
def pictures(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="films, GIFs, folders of frames; none: the synthesised sample"),
    ] = None,
    stage: Annotated[str, typer.Option(help="some of interpolate,upscale,colorize")] = "",
    lines: Annotated[
        list[Path] | None, typer.Option(help="an animation of line drawings; repeatable")
    ] = None,
    colours: Annotated[
        list[Path] | None, typer.Option(help="its colouring, frame by frame; repeatable")
    ] = None,
    peer: Annotated[
        list[Path] | None, typer.Option(help="an ONNX network that enlarges; repeatable")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="write a PNG of the worst cases, side by side")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="few pictures, 2x only")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the pictures of every stage beside references and peers, in one run."""
    from flows.commands.bench_pictures import run_pictures
    from flows.commands.tables.pictures import show_pictures
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = run_pictures(
            reporter,
            paths=paths or (),
            stages=stage,
            lines=lines or (),
            colours=colours or (),
            peers=peer or (),
            sheet=sheet,
            quick=quick,
        )
    print_json(document, "bench-pictures") if as_json else show_pictures(document)
