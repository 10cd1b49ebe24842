"""What `douga farm` says: each node, what it does now and has, and why one is out."""

from __future__ import annotations

from typing import Any

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import size_words

COLUMNS = ("node", "state", "does", "has", "load>", "disk free>", "douga, Ray")


def show_nodes(document: dict[str, Any]) -> None:
    """A row a node, then why those that are out are."""
    console = make_console()
    nodes = document["nodes"]
    if not nodes:
        say(console, f"no node yet in {document['farm']}; douga worker --join makes one")
        return
    console.print(make_table(COLUMNS, [_row(node) for node in nodes]))
    for node in nodes:
        if out := node["out"]:
            say(console, f"{node['name']}: {out['said']} (since {out['at']})")


def _row(node: dict[str, Any]) -> tuple[str, ...]:
    doing = ", ".join(f"{each['episode']} ({each['workers']})" for each in node["doing"])
    there = node["here"]
    return (
        node["name"],
        node["out"]["kind"] if node["out"] else node["state"],
        doing or "-",
        _has(node),
        f"{node['load']:.0%}" if there else "",
        size_words(node["disk_free_bytes"]) if there else "",
        ", ".join(filter(None, (node["douga"], node["ray"]))),
    )


def _has(node: dict[str, Any]) -> str:
    licences = [f"{name}={count}" for name, count in node["licences"].items()]
    words = [f"{node['cpus']:g} CPU", size_words(node["memory_bytes"])]
    return ", ".join([*words, *node["cards"], *node["tags"], *licences])
