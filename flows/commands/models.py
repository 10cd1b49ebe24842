"""`douga models`: the networks there are, and weights that users bring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cluster.errors import printable
from flows.commands.tools import AsJson, print_json

models = typer.Typer(
    help="The networks there are; add weights you have, look at them, remove them."
)
Name = Annotated[str, typer.Argument(help="what recipes call it")]


@models.callback(invoke_without_command=True)
def _list_unless_asked(context: typer.Context, as_json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        list_models(as_json=as_json)


@models.command(name="list")
def list_models(as_json: AsJson = False) -> None:
    """List the networks: those of the shelf, then those that were added."""
    from flows.commands.tables.tools import show_models
    from tasks.models.shelf import list_cards

    document = {"models": [_described(card) for card in list_cards()]}
    print_json(document, "models") if as_json else show_models(document)


@models.command()
def add(
    name: Name,
    file: Annotated[str, typer.Option(help="the weights: a path or an http(s) URL")],
    sha256: Annotated[str, typer.Option(help="the file's SHA-256, from who published it")],
    licence: Annotated[Path | None, typer.Option(help="the licence's text, kept beside it")] = None,
    verb: Annotated[
        Literal["", "upscale", "interpolate"], typer.Option(help="refuse it if it does another")
    ] = "",
    kind: Annotated[
        Literal["faithful", "restore"],
        typer.Option(help="restore: it takes compression and blur away"),
    ] = "faithful",
    as_json: AsJson = False,
) -> None:
    """Register weights: ONNX, a PyTorch upscaler (.pth, .safetensors), or RIFE 4.6 and newer."""
    from flows.commands.tables.tools import show_models
    from flows.progress import make_reporter
    from tasks.analysis.sandbox import examine_in_sandbox
    from tasks.models.user.register import add_model

    with make_reporter() as reporter:
        card = add_model(
            name,
            file=file,
            sha256=sha256,
            licence=licence,
            verb=verb,
            kind=kind,
            phase=reporter.phase,
            examined=examine_in_sandbox,
        )
    document = _described(card)
    print_json(document, "model") if as_json else show_models({"models": [document]})


@models.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Say all that is known of one network, its licence's text included."""
    from flows.commands.tables.tools import show_model
    from tasks.models.shelf import find_card
    from tasks.models.user.register import licence_text

    card = find_card(name)
    document = {**_described(card), "licence_text": licence_text(card)}
    print_json(document, "model") if as_json else show_model(document)


@models.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Forget a network that was added; what was rendered with it stays."""
    from tasks.models.user.register import remove_model

    folder = remove_model(name)
    if as_json:
        print_json({"removed": name, "folder": str(folder)}, "model-removed")
    else:
        print(printable(f"removed {folder}"))


def _described(card: Any) -> dict[str, Any]:
    """A card and the size of its weights."""
    from tasks.models.user.register import weights_bytes

    return {**card.model_dump(mode="json"), "size_bytes": weights_bytes(card)}
