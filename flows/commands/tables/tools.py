"""What `douga doctor`, `douga models`, `douga bench speed` and `douga bench farm` say."""

from __future__ import annotations

from typing import Any

from rich.table import Column, Table
from rich.text import Text

from cluster.errors import printable
from flows.commands.tables.tables import make_console, make_table, say
from flows.words import number_words, size_words

MODELS = ("model", "verb", "scale", "kind", "parameters>", "size>", "from", "licence")


def show_doctor(document: dict[str, Any]) -> None:
    """Each check, whether it is good, and the remedy where it is not."""
    marks = {"good": "ok", "optional": "-", "bad": "BAD"}
    rows = [
        (marks[check["state"]], check["what"], check["found"], check["remedy"])
        for check in document["checks"]
    ]
    make_console().print(make_table(("", "what", "found", "remedy"), rows))


def show_models(document: dict[str, Any]) -> None:
    """The networks: name, what each does, its size, where it is from, its licence."""
    rows = [
        (
            *(card["name"], card["verb"]),
            *((f"{card['scale']}x", card["kind"]) if card["verb"] == "upscale" else ("", "")),
            *(f"{card['parameters']:,}", size_words(card["size_bytes"])),
            *(card["origin"].rpartition("/")[2], card["licence"]),
        )
        for card in document["models"]
    ]
    make_console().print(make_table(MODELS, rows))


def show_model(document: dict[str, Any]) -> None:
    """One network: every field of its card, then the licence's text."""
    table = Table("", Column("", overflow="fold"), box=None, pad_edge=False, show_header=False)
    for name, value in document.items():
        if name != "licence_text" and value not in ("", {}):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), Text(printable(text)))
    console = make_console()
    console.print(table)
    if document["licence_text"]:
        say(console, "")
        say(console, document["licence_text"])


def show_bench(document: dict[str, Any]) -> None:
    """Frames per second of each way, what its processes took, and the ratios that count."""
    rows = [
        (
            *(way["name"].partition(":")[0], way["precision"]),
            *(f"{way['fps']:.2f}", number_words(way["of_tight"], 2)),
            *(number_words(way["cpu_s"], 1), size_words(way["peak_bytes"])),
            *(size_words(way["moved_bytes"]), size_words(way["stored_bytes"])),
        )
        for way in document["ways"]
    ]
    heads = ("way", "", "frames/s>", "of tight>", "CPU s>", "peak>", "moved>", "stored>")
    console = make_console()
    console.print(make_table(heads, rows))
    for name, share in document["engines"].items():
        if name != "exact":
            say(console, f"upscaling by {name} takes {share:.2f} of exact's CPU time, one thread")
    say(console, document["on"])


def show_farm_bench(document: dict[str, Any]) -> None:
    """Of each farm the share of its time in which its workers worked, and what a call costs."""
    rows = [
        (
            *(str(farm["workers"]), f"{farm['shots']:,}", f"{farm['calls']:,}"),
            *(f"{farm['efficiency']:.3f}", f"{farm['limit']:.3f}"),
            *(f"{farm['driver_ms_a_call']:.2f}", f"{farm['wall_s']:.1f}"),
        )
        for farm in document["farms"]
    ]
    heads = ("workers>", "shots>", "calls>", "at work>", "limit>", "driver ms a call>", "seconds>")
    console = make_console()
    console.print(make_table(heads, rows))
    say(console, document["on"])
