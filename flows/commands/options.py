"""The options that say what a render is of, and how: one set, of which each command takes some."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cluster.errors import UsageError, printable, unwritable
from flows.commands.tools import StoreUrl

if TYPE_CHECKING:
    from flows.spec.request import RenderRequest

MAX_WORKERS = 100_000
"""As in the settings, which take long to import."""
RenderedStages = Annotated[
    list[str] | None, typer.Option("--stage", help="as the render was told; repeatable")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What a render is of, and how, as it was typed; what is empty or None was not."""

    source: Annotated[str, typer.Argument(help="film, frame folder, s3:// object or episode.yaml")]
    output: Annotated[
        str, typer.Option("--output", "-o", help="the film; default NAME.douga.mkv")
    ] = ""
    stages: Annotated[
        list[str] | None,
        typer.Option("--stage", help="a step, as name:param=value,...; repeatable"),
    ] = None
    recipe: Annotated[str, typer.Option("--recipe", help="a YAML list of stages")] = ""
    store: StoreUrl = ""
    ray: Annotated[str, typer.Option("--ray", help="join this Ray cluster; default: local")] = ""
    workers: Annotated[
        int | None, typer.Option(min=0, max=MAX_WORKERS, help="stage actors; 0: as many as fit")
    ] = None
    chunk: Annotated[
        int | None, typer.Option(min=1, max=240, help="frames per chunk; default 24")
    ] = None
    encoder: Annotated[
        str, typer.Option("--encoder", help="libx264, libx265, libsvtav1, ffv1 or prores")
    ] = ""
    quality: Annotated[
        int | None, typer.Option(min=0, max=63, help="the encoder's CRF or qscale")
    ] = None
    fps: Annotated[
        str, typer.Option("--fps", help="rate of a frame folder, such as 24000/1001")
    ] = ""
    shots: Annotated[str, typer.Option("--shots", help="only these: sh010,sh020")] = ""
    frames: Annotated[str, typer.Option("--frames", help="only these: sh010:7,12-14")] = ""
    preview_every: Annotated[
        int | None,
        typer.Option(
            "--preview-every", max=1 << 20, help="show every Nth frame first; the rest at approval"
        ),
    ] = None

    def request(self, *, command: str = "") -> RenderRequest:
        """The request for this; `command` is what to type for the same again."""
        from flows.spec.request import make_request

        given: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return make_request(given.pop("source"), **given, command=command)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(RenderOptions):
    """The same for what also looks at all episodes, where none is named."""

    source: Annotated[
        str, typer.Argument(help="film, frame folder or episode.yaml; empty: all runs")
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedOptions(RenderOptions):
    """The same for commands on what was rendered, which must be told what the render was."""

    source: Annotated[str, typer.Argument(help="film, frame folder, s3:// object, episode.yaml")]
    output: Annotated[str, typer.Option("--output", "-o", help="the film, as for render")] = ""
    stages: RenderedStages = None
    ray: Annotated[str, typer.Option("--ray", help="join this Ray cluster for handles")] = ""
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_WORKERS, help="stage actors for handles; 0: as many as fit"),
    ] = None
    chunk: Annotated[int | None, typer.Option(min=1, max=240, help="frames per chunk")] = None
    encoder: Annotated[str, typer.Option("--encoder", help="as the render was told")] = ""
    quality: Annotated[int | None, typer.Option(min=0, max=63, help="as the render was told")] = (
        None
    )
    fps: Annotated[str, typer.Option("--fps", help="rate of a frame folder")] = ""


def check_folder(file: str, *, option: str) -> None:
    """Ask whoever types for the folder of a file that they named, and make it, where it is not
    there. UsageError where nobody can be asked, EncodeError where it cannot be made."""
    from flows.farm.output import check_writable

    folder = Path(file).parent
    if not file or folder.is_dir():
        return
    check_writable(Path(file))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "no such folder",
            where=f"{option} {file}",
            remedy=f"mkdir -p {shlex.quote(str(folder))}",
        )
    typer.confirm(printable(f"{folder} is not there; make it?"), err=True, abort=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error, remedy="name another place with -o") from error


SHAPING = ("source", "stages", "recipe", "store", "chunk", "encoder", "quality", "fps")
"""What decides how the frames and segments of an episode come out, and where they lie; what is
from the third on has a flag of its own name."""


def spread_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command take the named fields of its parameter `options` one by one, all of them
    where none is named, as typer wants: in its place, the argument in front."""

    def spread(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        kind = own["options"].annotation
        taken = [each for each in fields(kind) if each.name in names or not names]
        hints = get_type_hints(kind, include_extras=True)
        shared = {each.name: _parameter(each, hints[each.name]) for each in taken}
        parameters = [shared["source"]]
        for parameter in own.values():
            rest = [each for name, each in shared.items() if name != "source"]
            parameters += rest if parameter.name == "options" else [parameter]

        @wraps(command)
        def called(**given: Any) -> None:
            options = kind(**{name: given.pop(name) for name in shared})
            command(options=options, **given)

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        return called

    return spread


def _parameter(field: Field[Any], annotation: object) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
