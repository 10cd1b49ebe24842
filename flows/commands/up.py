"""`douga up` and `douga down`: the farm's queue and its nightlies, served by this process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import Exit, UsageError
from flows.commands.tools import AsJson, print_json

if TYPE_CHECKING:
    from flows.farm.shares import Queue
    from flows.nightly.deploy import Deployed
    from flows.nightly.spec import NightlySpec
    from flows.prefect.api import PrefectApi
    from flows.queue.work_pool import FarmNote


def up(
    nightly: Annotated[
        Path | None, typer.Option("--nightly", help="nightly.yaml, whose nights go to the queue")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="end after one night, with its exit code")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="runs of a queue at once, such as day=4; 2 at least"),
    ] = None,
    ray: Annotated[
        str, typer.Option("--ray", help="the farm's Ray; default: one on this machine, kept warm")
    ] = "",
    desk: Annotated[
        bool, typer.Option("--desk/--no-desk", help="serve the coordinator's desk too")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Serve the farm's queue, its desk and nightlies until Ctrl-C: start the runs that are due.

    On the Prefect server that PREFECT_API_URL names, or on one that runs as long as this does.
    Another douga up for the same nightly only brings its deployment up to date.
    """
    from cluster.settings import settings
    from flows.nightly.spec import read_nightly
    from flows.prefect.server import PATIENT, prefect_api
    from flows.progress import Plain

    if once and nightly is None:
        raise UsageError("--once goes with --nightly")
    limits = _limits(limit or [])
    spec = read_nightly(nightly) if nightly else None
    reporter = Plain()
    os.environ.setdefault(*PATIENT)
    with ExitStack() as stack:
        api = stack.enter_context(prefect_api(revived=True))
        ours = stack.enter_context(_one_server(spec, api))
        # Prefect reads its settings when imported: not before its server's address is known.
        from flows.nightly.deploy import deploy

        def tell(deployed: Deployed | None) -> None:
            document = _document(spec, api, deployed, served=ours, farm=farm)
            print_json(document, "up") if as_json else _say(document)
            sys.stdout.flush()

        farm = _farm_note(api)
        if not ours:
            tell(asyncio.run(deploy(spec)) if spec else None)
            return
        _set_for_runs(farm)
        if not (ray or settings().ray):
            reporter.phase("starting Ray")
            stack.enter_context(_warm_ray())
        elif ray:
            os.environ["DOUGA_RAY"] = ray
        code = asyncio.run(_serve(spec, farm, limits, reporter, once=once, desk=desk, tell=tell))
    if code != Exit.GOOD:
        raise typer.Exit(code)


def down(
    nightly: Annotated[
        Path | None, typer.Option("--nightly", help="only this one's; default: all nightlies")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take nightlies' deployments away from Prefect; what serves them ends."""
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


async def _serve(
    spec: NightlySpec | None,
    farm: FarmNote,
    limits: dict[Queue, int],
    reporter: Any,
    *,
    once: bool,
    desk: bool,
    tell: Any,
) -> Exit:
    """Serve the queue, and a nightly's nights, until a signal comes."""
    from flows.nightly.deploy import serve
    from flows.process import STOP_SIGNALS
    from flows.queue.serve import ServedQueue, keep_running
    from flows.queue.work_pool import lay_out

    await lay_out(farm, limits)
    queue = ServedQueue(farm.host, reporter)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, queue.ended.set)
    serving = [asyncio.create_task(queue.serve())]
    if desk:
        beside = keep_running(["desk"], queue.ended, reporter, name="the desk", said=_say_desk)
        serving.append(asyncio.create_task(beside))
    try:
        if spec:
            return await serve(spec, queue, reporter, once=once, tell=tell)
        tell(None)
        await queue.ended.wait()
        return Exit.GOOD
    finally:
        queue.ended.set()
        await asyncio.gather(*serving)


def _say_desk(address: str) -> None:
    print(f"douga: desk at {address}", file=sys.stderr)


def _farm_note(api: PrefectApi) -> FarmNote:
    """What others must know. On a server of our own it is this user alone who hands episodes in,
    on this machine: all its files are shared."""
    from importlib.metadata import version

    from cluster.settings import home_folder, settings
    from flows.queue.work_pool import FarmNote

    chosen = settings()
    return FarmNote(
        farm=chosen.farm or home_folder("farm").as_uri(),
        shared=tuple(filter(None, chosen.roots.split(os.pathsep))) if api.lasting else ("/",),
        host=socket.gethostname(),
        version=version("douga"),
    )


def _set_for_runs(farm: FarmNote) -> None:
    """What the processes of runs find in their environment: they share the farm."""
    os.environ["DOUGA_FARM"] = farm.farm
    os.environ.pop("DOUGA_JOB", None)


@contextmanager
def _warm_ray() -> Iterator[None]:
    """A Ray of this machine that all runs join, for the length of a `with`."""
    from cluster.connect.connect import shared_cluster

    with shared_cluster() as address:
        os.environ["DOUGA_RAY"] = address
        try:
            yield
        finally:
            os.environ.pop("DOUGA_RAY", None)


def _limits(given: list[str]) -> dict[Queue, int]:
    from flows.commands.queue import queue_named
    from flows.queue.line import LEAST, LIMITS

    limits = dict(LIMITS)
    for text in given:
        name, _, number = text.partition("=")
        if not number.isdecimal() or int(number) < LEAST:
            raise UsageError(
                f"expected a queue and a number from {LEAST}, such as day=4, got {text[:40]!r}",
                where="--limit",
            )
        limits[queue_named(name)] = int(number)
    return limits


@contextmanager
def _one_server(spec: NightlySpec | None, api: PrefectApi) -> Iterator[bool]:
    """Whether this process is the one on this machine that serves a nightly or the queue, for a
    `with`."""
    from cluster.keys import make_key
    from cluster.settings import home_folder

    key = make_key([spec.name if spec else "", api.url])
    with (home_folder("up") / f"{key}.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _document(
    spec: NightlySpec | None,
    api: PrefectApi,
    deployed: Deployed | None,
    *,
    served: bool,
    farm: FarmNote,
) -> dict[str, Any]:
    schedule = spec.schedule if spec else None
    zone = (schedule.timezone or spec.timezone) if schedule and spec else None
    return {
        "deployment": deployed.name if deployed else None,
        "id": str(deployed.id) if deployed else None,
        "api": api.url,
        "lasting": api.lasting,
        "served": served,
        "farm": farm.farm,
        "cron": schedule.cron if schedule else None,
        "timezone": zone,
    }


def _say(document: dict[str, Any]) -> None:
    print(f"farm at {document['api'].removesuffix('/api')}")
    if document["deployment"]:
        cron = document["cron"]
        when = f"at {cron!r} ({document['timezone']})" if cron else "only when started by hand"
        print(f"{document['deployment']} runs {when}")
        print(f"by hand: PREFECT_API_URL={document['api']} prefect deployment run", end=" ")
        print(repr(document["deployment"]))
    if not document["lasting"]:
        from cluster.settings import settings

        print(f"password (PREFECT_API_AUTH_STRING): in {settings().home}/prefect/server.json")
    if document["served"]:
        print("serving until Ctrl-C; hand an episode in: douga submit EPISODE")
    else:
        print("another douga up serves it already")
