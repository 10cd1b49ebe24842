"""`douga up` and `douga down`: nightlies as Prefect deployments, served by this process."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import Exit
from flows.commands.tools import AsJson, print_json

if TYPE_CHECKING:
    from flows.nightly.deploy import Deployed
    from flows.nightly.spec import NightlySpec
    from flows.prefect.api import PrefectApi


def up(
    nightly: Annotated[Path, typer.Option("--nightly", help="nightly.yaml")],
    once: Annotated[
        bool, typer.Option("--once", help="end after one night, with its exit code")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a nightly's deployment on Prefect and start its nights when they are due, until Ctrl-C.

    On the server that PREFECT_API_URL names, or on one that runs as long as this does. Again for
    the same nightly: its deployment is brought up to date.
    """
    import asyncio

    from flows.nightly.spec import read_nightly
    from flows.prefect.server import prefect_api
    from flows.progress import Plain

    spec = read_nightly(nightly)
    reporter = Plain()
    with prefect_api() as api, _one_server(spec, api) as ours:
        # Prefect reads its settings when imported: not before its server's address is known.
        from flows.nightly.deploy import deploy, serve

        def tell(deployed: Deployed) -> None:
            document = _document(spec, api, deployed, served=ours)
            print_json(document, "up") if as_json else _say(document)
            sys.stdout.flush()

        if not ours:
            tell(asyncio.run(deploy(spec)))
            return
        code = asyncio.run(serve(spec, reporter, once=once, tell=tell))
    if code != Exit.GOOD:
        raise typer.Exit(code)


def down(
    nightly: Annotated[
        Path | None, typer.Option("--nightly", help="only this one's; default: all nightlies")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take nightlies' deployments away from Prefect; what serves them ends."""
    import asyncio

    from flows.nightly.spec import read_nightly
    from flows.prefect.server import prefect_api

    name = read_nightly(nightly).name if nightly else ""
    with prefect_api():
        from flows.nightly.deploy import undeploy

        gone = asyncio.run(undeploy(name))
    if as_json:
        print_json({"taken_away": gone}, "down")
    else:
        print("\n".join(f"taken away: {each}" for each in gone) or "no nightly is deployed")


@contextmanager
def _one_server(spec: NightlySpec, api: PrefectApi) -> Iterator[bool]:
    """Whether this process is the one on this machine that serves a nightly, for a `with`."""
    from cluster.keys import make_key
    from cluster.settings import home_folder

    key = make_key([spec.name, api.url])
    with (home_folder("up") / f"{key}.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _document(
    spec: NightlySpec, api: PrefectApi, deployed: Deployed, *, served: bool
) -> dict[str, Any]:
    schedule = spec.schedule
    return {
        "deployment": deployed.name,
        "id": str(deployed.id),
        "api": api.url,
        "lasting": api.lasting,
        "served": served,
        "cron": schedule.cron if schedule else None,
        "timezone": (schedule.timezone or spec.timezone) if schedule else None,
    }


def _say(document: dict[str, Any]) -> None:
    cron = document["cron"]
    when = f"at {cron!r} ({document['timezone']})" if cron else "only when started by hand"
    print(f"{document['deployment']} runs {when}")
    print(f"by hand: PREFECT_API_URL={document['api']} prefect deployment run", end=" ")
    print(repr(document["deployment"]))
    if not document["lasting"]:
        from cluster.settings import settings

        print(f"password (PREFECT_API_AUTH_STRING): in {settings().home}/prefect/server.json")
    if document["served"]:
        print("serving until Ctrl-C or douga down")
    else:
        print("another douga up serves it already; its deployment is brought up to date")
