"""`douga queue`, and what people ask of it: pause, resume, cancel, priority, recover."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.errors import UsageError
from flows.commands.tools import AsJson, print_json

if TYPE_CHECKING:
    from flows.farm.shares import Queue
    from flows.queue.ask import Ask
    from flows.queue.line import Place, Queued
    from flows.queue.work_pool import FarmNote

Names = Annotated[list[str], typer.Argument(help="jobs, or episodes that are in the queue once")]


def queue(
    name: Annotated[str, typer.Argument(help="only this job or episode")] = "",
    as_json: AsJson = False,
) -> None:
    """Say who holds the farm, what waits, and why."""
    from flows.commands.tables.queue import show_queue
    from flows.queue.ask import asking

    with asking() as ask:
        farm: FarmNote = ask(_farm())
        places = look(ask, farm)
    chosen = [each for each in places if name in ("", each.queued.job, each.queued.episode)]
    if name and not chosen:
        raise UsageError(f"nothing called {name[:100]!r} is in the queue", remedy="douga queue")
    document = {
        "farm": farm.farm,
        "host": farm.host,
        "runs": [_row(each) for each in chosen],
    }
    print_json(document, "queue") if as_json else show_queue(document)


def pause(names: Names, as_json: AsJson = False) -> None:
    """Have runs stop after the chunks in hand, and wait until they are resumed."""
    _order("pause", done="paused", names=names, as_json=as_json)


def resume(names: Names, as_json: AsJson = False) -> None:
    """Have runs that are paused wait for their turn again."""
    _order("resume", done="resumed", names=names, as_json=as_json)


def cancel(names: Names, as_json: AsJson = False) -> None:
    """End runs for good, waiting or going; the frames that they have finished are kept."""
    _order("cancel", done="cancelled", names=names, as_json=as_json)


def priority(
    name: Annotated[str, typer.Argument(help="job, or episode that is in the queue once")],
    queue: Annotated[str, typer.Argument(help="urgent, day or night; default: where it is")] = "",
    first: Annotated[bool, typer.Option("--first", help="before all that wait there")] = False,
    before: Annotated[str, typer.Option("--before", help="before this job or episode")] = "",
    as_json: AsJson = False,
) -> None:
    """Move one to another queue, or forward in it; one that goes gets that queue's share."""
    from flows.queue.ask import asking

    target = queue_named(queue) if queue else None
    if not (target or first or before):
        raise UsageError("expected a queue, --first or --before", remedy="see --help")
    with asking() as ask:
        from flows.queue.orders import move

        moved: Queued = ask(move(name, target, first=first, before=before))
    document = {"job": moved.job, "episode": moved.episode, "queue": target or moved.queue}
    if as_json:
        print_json(document, "priority")
    else:
        print(f"{moved.episode} ({moved.job}) is in {document['queue']}")


def recover(
    store: Annotated[
        list[str] | None,
        typer.Option("--store", help="repeatable; default: all that are known here"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Queue again what was submitted and has not ended: after Prefect's database was lost."""
    from cluster.store.open import open_store
    from flows.queue.ask import asking
    from flows.queue.submission import waiting_submissions
    from flows.runs.stores import known_stores

    urls = store or known_stores()
    taken: list[dict[str, str]] = []
    with asking() as ask:
        from flows.queue.orders import standing_runs, take_in

        known = {(each.store, each.submission) for each in ask(standing_runs())}
        for url in urls:
            for each in waiting_submissions(open_store(url)):
                if (each.store, each.name) in known:
                    continue
                turn = f"recovered {datetime.now(UTC).isoformat()}"
                ask(take_in(each, due=datetime.fromisoformat(each.at), turn=turn))
                taken.append({"job": each.job, "episode": each.episode, "queue": each.queue})
    if as_json:
        print_json({"queued": taken}, "recover")
    else:
        lines = [f"{each['episode']} ({each['job']}) waits in {each['queue']}" for each in taken]
        print("\n".join(lines) or "nothing was lost: all that has not ended is in the queue")


def look(ask: Ask, farm: FarmNote | None = None) -> list[Place]:
    """Everyone in the queue, in its order."""
    from flows.queue.orders import places_now

    return places_now(ask, farm or ask(_farm()))


async def _farm() -> FarmNote:
    from flows.queue.work_pool import read_farm

    return await read_farm()


def _order(order: str, *, done: str, names: list[str], as_json: bool) -> None:
    from flows.queue.ask import asking

    with asking() as ask:
        from flows.queue import orders

        found: list[Queued] = ask(getattr(orders, order)(names))
    rows = [{"job": each.job, "episode": each.episode, "was": each.standing} for each in found]
    if as_json:
        print_json({done: rows}, "order")
    else:
        print("\n".join(f"{done}: {each['episode']} ({each['job']})" for each in rows))


def _row(place: Place) -> dict[str, Any]:
    one = place.queued
    return {
        "job": one.job,
        "episode": one.episode,
        "queue": one.queue,
        "state": one.standing,
        "position": place.position,
        "holds": place.holds,
        "wants": place.wants,
        "why": place.why,
        "by": one.by,
        "deadline": one.deadline,
        "late": one.late(datetime.now(UTC)),
        "since": one.since.isoformat(),
        "store": one.store,
    }


def queue_named(name: str) -> Queue:
    """A queue by its name. UsageError where there is none."""
    from flows.queue.line import PRIORITIES
    from flows.spec.documents import nearest_name

    for queue in PRIORITIES:
        if queue == name:
            return queue
    raise UsageError(
        f"unknown queue {name[:40]!r}", where="--queue", remedy=nearest_name(name, PRIORITIES)
    )
