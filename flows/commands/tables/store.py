"""What `douga store` says: damages grouped by what each costs, and what to type next."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import Any

from flows.commands.tables.tables import make_console, say
from flows.words import count_words, size_words

SHOWN = 20
"""Objects of one kind of damage that are named."""


def show_check(document: dict[str, Any], *, repair: bool) -> None:
    """Each kind of damage with its cost, under it the objects, then what comes next."""
    console = make_console()
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for damage in document["damaged"]:
        what = "without a digest" if damage["done"].endswith("adopt") else damage["what"]
        groups[what, damage["costs"]].append(damage)
    for (what, costs), damages in groups.items():
        say(console, f"{what} ({len(damages)}): {costs}")
        for damage in damages[:SHOWN]:
            done = f"; {_done(damage)}" if damage["done"] else ""
            say(console, f"  {damage['name']}: {damage['found']}{done}")
        if len(damages) > SHOWN:
            say(console, f"  and {len(damages) - SHOWN} more (--json names them)")
    url = shlex.quote(document["store"])
    size = f"{count_words(document['objects'], 'object')} ({size_words(document['bytes'])})"
    unknown = f", {document['unknown']} that are not douga's left alone"
    say(
        console,
        f"{document['store']}: {size} read{unknown if document['unknown'] else ''}, "
        f"{len(document['damaged'])} damaged",
    )
    if any(not damage["done"] for damage in document["damaged"]) and not repair:
        say(console, f"next: douga store check {url} --repair")
    if any(damage["done"].endswith("adopt") for damage in document["damaged"]):
        say(console, f"next: douga store adopt {url}")


def _done(damage: dict[str, Any]) -> str:
    return f"set aside as {damage['done']}" if damage["mended"] else str(damage["done"])


def show_adoption(document: dict[str, Any]) -> None:
    """What is adopted, how far it proved itself, and what was refused."""
    console = make_console()
    for refused in document["refused"]:
        say(console, f"refused: {refused['name']}: {refused['found']}")
    adopted = "would be adopted" if document["dry_run"] else "adopted"
    say(
        console,
        f"{document['store']}: {document['adopted']} of {document['objects']} objects {adopted}: "
        f"{document['proven']} proved whole by checks inside them, {document['read']} that read "
        f"well and have none; {len(document['refused'])} refused",
    )
    url = shlex.quote(document["store"])
    if document["dry_run"] and document["adopted"]:
        say(console, f"next: douga store adopt {url} --yes")
    elif document["refused"]:
        say(console, f"next: douga store check {url} --repair")
