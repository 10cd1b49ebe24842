"""What `douga doctor`, `douga models` and `douga bench speed` say."""

from __future__ import annotations

from typing import Any

from rich.table import Column, Table

from flows.commands.tables.tables import make_console, make_table


def show_doctor(document: dict[str, Any]) -> None:
    """Each thing looked at, whether it is well, and the remedy where it is not."""
    table = make_table("", "what", "found", "remedy")
    for check in document["checks"]:
        mark = {"good": "ok", "optional": "-", "bad": "BAD"}[check["state"]]
        table.add_row(mark, check["what"], check["found"], check["remedy"])
    make_console().print(table)


def show_models(document: dict[str, Any]) -> None:
    """The networks: name, what each does, its size, where it is from, its licence."""
    table = make_table("model", "verb", "scale", "kind", "parameters", "size", "from", "licence")
    for card in document["models"]:
        upscales = card["verb"] == "upscale"
        table.add_row(
            card["name"],
            card["verb"],
            f"{card['scale']}x" if upscales else "",
            card["kind"] if upscales else "",
            f"{card['parameters']:,}",
            f"{card['size_bytes'] / 1e6:.1f} MB",
            card["origin"].rpartition("/")[2],
            card["licence"],
        )
    make_console().print(table)


def show_model(document: dict[str, Any]) -> None:
    """One network: every field of its card, then the licence's text."""
    table = Table("", Column("", overflow="fold"), box=None, pad_edge=False, show_header=False)
    for name, value in document.items():
        if name != "licence_text" and value not in ("", {}):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), text)
    console = make_console()
    console.print(table)
    if document["licence_text"]:
        console.print()
        console.print(document["licence_text"], markup=False, highlight=False)


def show_bench(document: dict[str, Any]) -> None:
    """Frames per second of each way, and the ratios that count."""
    table = make_table("way", "frames/s", "share of the limit")
    for way in document["ways"]:
        table.add_row(way["name"], f"{way['fps']:.2f}", f"{way['share']:.2f}")
    console = make_console()
    console.print(table)
    console.print(document["on"])
