"""`douga store`: what of a store is damaged; digests for one that was copied without."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from cluster.errors import Exit
from flows.commands.tools import AsJson, print_json

store = typer.Typer(
    help="What of a store is damaged, and its repair.",
    no_args_is_help=True,
)
Place = Annotated[
    str,
    typer.Argument(help="file:///path, s3://bucket/prefix, or an episode; default: DOUGA_STORE"),
]


@store.command()
def check(
    place: Place = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="set aside, to damaged/, what can be made again")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every object of a store; say what is damaged and what each damage costs.

    Exit 2 where something is, and was not repaired. Nothing is lost: what is set aside stays under
    damaged/ for 30 days. Decisions of people stay until they decide again.
    """
    from flows.commands.tables.store import show_check
    from flows.damage.check import check_store
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = check_store(_url(place), reporter, repair=repair)
    print_json(document, "store-check") if as_json else show_check(document, repair=repair)
    if not document["good"]:
        raise typer.Exit(Exit.WANTING)


@store.command()
def adopt(
    place: Place = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="do it; else only say what would be adopted")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give new digests to the objects of a store that was copied without them.

    Each object is checked first, as far as it can prove itself that it is whole; what is damaged
    is left alone. Exit 2 where something was.
    """
    from flows.commands.tables.store import show_adoption
    from flows.damage.adopt import adopt_store
    from flows.progress import make_reporter

    with make_reporter() as reporter:
        document = adopt_store(_url(place), reporter, dry_run=not yes)
    print_json(document, "store-adoption") if as_json else show_adoption(document)
    if document["refused"]:
        raise typer.Exit(Exit.WANTING)


def _url(place: str) -> str:
    """The store that is meant: its own URL, or an episode's or a film's."""
    from cluster.settings import settings
    from flows.spec.request import make_request

    if place and "://" not in place and os.path.isfile(place):
        return make_request(place).store
    return place or settings().store_url
