"""Tables of `douga bench`, for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from flows.commands.tables.tables import make_console, make_table, say
from flows.words import number_words, percent_words
from tasks.benchmarks.table import short_name


def show_pictures(document: dict[str, Any]) -> None:
    """A table for each stage and condition; a star marks what a render takes by itself."""
    console = make_console()
    for section in document["stages"]:
        say(console, f"{section['stage']}: {section['what']}", style="bold")
        say(console, f"{section['cases']} pictures of {', '.join(section['material'])}")
        console.print(_table(section["rows"]))
        say(console, "")
    say(
        console,
        "lines: mean distance of ink lines from the true ones, in pixels.\n"
        "flicker: change in time where the truth stands still, in 8-bit codes.\n"
        f"ms: per picture, on {document['on']}.",
    )
    if document["sheet"]:
        say(console, f"worst cases: {document['sheet']}")


def _table(rows: list[dict[str, Any]]) -> Table:
    painted = any(row["regions"] is not None for row in rows)
    shares = ("regions>", "pixels>") if painted else ()
    return make_table(
        ("method", "", "PSNR dB>", "SSIM>", "lines>", "flicker>", *shares, "ms>"),
        [
            (
                short_name(row["method"]) + (" *" if row["default"] else ""),
                row["kind"],
                *(number_words(row["psnr"], 2), number_words(row["ssim"], 4)),
                *(number_words(row["lines_px"], 2), number_words(row["flicker"], 3)),
                *(percent_words(row[name.removesuffix(">")]) for name in shares),
                number_words(row["ms"]),
            )
            for row in rows
        ],
    )
