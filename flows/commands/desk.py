"""`douga desk`: the coordinator's pages, and who may see them."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.errors import UsageError, printable

if TYPE_CHECKING:
    from flows.desk.access import Accounts

Stores = Annotated[
    list[str] | None,
    typer.Option("--store", help="a store to show; repeatable; default: all that are known here"),
]
desk = typer.Typer(invoke_without_command=True, help="Review, approve and follow episodes.")


@desk.callback()
def serve(
    context: typer.Context,
    store: Stores = None,
    host: Annotated[str, typer.Option("--host", help="default DOUGA_DESK_HOST")] = "",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="default DOUGA_DESK_PORT, 8484")
    ] = None,
) -> None:
    """Serve the desk until Ctrl-C: on this machine alone, unless it has accounts or a proxy."""
    if context.invoked_subcommand:
        return
    from flows.desk.app import open_desk, serve_desk

    opened = open_desk(store or (), host=host)

    def tell(address: str) -> None:
        print(address)
        sys.stdout.flush()
        if opened.access.local:
            who = "for whoever uses this machine; douga desk account adds people"
            print(f"douga: desk at {address}, {who}", file=sys.stderr)

    serve_desk(opened, host=host, port=port, tell=tell)


@desk.command()
def account(
    name: Annotated[str, typer.Argument(help="who")],
    role: Annotated[str, typer.Option(help="viewer, artist, supervisor or admin")] = "viewer",
    password: Annotated[
        bool, typer.Option("--password/--no-password", help="none: a proxy says who it is")
    ] = True,
    remove: Annotated[bool, typer.Option("--remove", help="take the account away")] = False,
) -> None:
    """Add a person, or change their role and password; the password is asked for, or read from a
    pipe."""
    from flows.desk.access import Role

    accounts = _accounts()
    if remove:
        accounts.remove(name)
        print(f"removed: {name}")
        return
    chosen = Role.named(role)
    word = _ask_password() if password else ""
    accounts.put(name, role=chosen, password=word)
    print(f"{name}: {chosen.name.lower()}")


@desk.command()
def accounts() -> None:
    """List the people and what they may do."""
    for name, each in sorted(_accounts().all().items()):
        tokens = f", tokens: {', '.join(sorted(each.tokens))}" if each.tokens else ""
        print(f"{name}: {each.role}{'' if each.password else ', by the proxy'}{tokens}")


@desk.command()
def token(
    name: Annotated[str, typer.Argument(help="whose it is")],
    purpose: Annotated[str, typer.Argument(help="what it is for, such as ci")],
) -> None:
    """Make a bearer token for a program of a person; it is printed once, only its hash is kept."""
    print(_accounts().make_token(name, purpose))


@desk.command()
def export(
    episode: Annotated[str, typer.Argument(help="its name")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="a folder; default: EPISODE.desk")
    ] = "",
    language: Annotated[str, typer.Option(help="en or ja")] = "en",
    store: Stores = None,
) -> None:
    """Write an episode's page, pictures and proxies for people outside; it opens from disk."""
    from flows.desk.app import open_desk
    from flows.desk.catalogue import LANGUAGES
    from flows.desk.export import export_episode, find_exported

    if language not in LANGUAGES:
        known = " or ".join(LANGUAGES)
        raise UsageError(f"unknown language {language[:20]!r}", remedy=f"use {known}")
    opened = open_desk(store or (), host="127.0.0.1")
    shelf, found = find_exported(opened, episode)
    folder = Path(output or f"{episode}.desk").absolute()
    print(printable(str(export_episode(opened, shelf, found, folder, language=language))))


def _accounts() -> Accounts:
    from cluster.settings import home_folder
    from flows.desk.access import Accounts

    return Accounts(home_folder("desk"))


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    word = getpass.getpass("password: ")
    if word != getpass.getpass("once more: "):
        raise UsageError("the two are not alike", remedy="type it again")
    return word
