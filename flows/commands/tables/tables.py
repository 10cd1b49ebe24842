"""Tables for people: 100 columns, plain when piped, no colour where NO_COLOR says so."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

WIDTH = 100


def make_table(*columns: str) -> Table:
    """A table without lines; columns of numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column in (
            "out",
            "chunks",
            "made",
            "reused",
            "seconds",
            "stored",
            "to do",
            "frames/s",
            "parameters",
        )
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def make_console() -> Console:
    """The terminal, or 100 columns where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
