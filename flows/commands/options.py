"""The options that several commands share: those that say what a render is of, and how."""

from __future__ import annotations

from typing import Annotated

import typer

Source = Annotated[str, typer.Argument(help="film, frame folder, s3:// object or episode.yaml")]
Output = Annotated[str, typer.Option("--output", "-o", help="the film; default NAME.douga.mkv")]
Stages = Annotated[
    list[str] | None, typer.Option("--stage", help="a step, as name:param=value,...; repeatable")
]
Recipe = Annotated[str, typer.Option("--recipe", help="a YAML list of stages")]
RayAddress = Annotated[str, typer.Option("--ray", help="join this Ray cluster; default: local")]
Workers = Annotated[int | None, typer.Option(min=0, help="stage actors; 0: as many as fit")]
Chunk = Annotated[int | None, typer.Option(min=1, max=240, help="frames per chunk; default 24")]
EncoderName = Annotated[
    str, typer.Option("--encoder", help="libx264, libx265, libsvtav1, ffv1 or prores")
]
Quality = Annotated[int | None, typer.Option(min=0, max=63, help="the encoder's CRF or qscale")]
Fps = Annotated[str, typer.Option("--fps", help="rate of a frame folder, such as 24000/1001")]
Shots = Annotated[str, typer.Option("--shots", help="only these: sh010,sh020")]
Frames = Annotated[str, typer.Option("--frames", help="only these: sh010:7,12-14")]
JOB_HELP = "submitted again with the same key, it is not done again; default DOUGA_JOB"
PreviewEvery = Annotated[
    int | None,
    typer.Option("--preview-every", help="show every Nth frame first; the rest at approval"),
]
ChangedThing = Annotated[
    str,
    typer.Option("--changed", help="as if char:NAME, source:, stage: or model:NAME had changed"),
]
Calibrate = Annotated[
    bool,
    typer.Option("--calibrate/--no-calibrate", help="try frames of what no history tells"),
]
