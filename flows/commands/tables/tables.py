"""Lines and tables for people: 100 columns, plain when piped, no colour where NO_COLOR says so."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cluster.errors import printable

WIDTH = 100


def make_table(columns: Iterable[str], rows: Iterable[Iterable[object]] = ()) -> Table:
    """A table without lines; a column whose name ends in > stands to the right. What cells hold
    is shown as it is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.endswith(">")
        table.add_column(
            column.removesuffix(">"),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
        )
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    return table


def make_console() -> Console:
    """The terminal, or 100 columns where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def say(console: Console, line: str, *, style: str = "") -> None:
    """A line as it is, however long: nothing in it is markup, so that paths can be copied, nor an
    order to the terminal."""
    console.print(printable(line), style=style, soft_wrap=True, markup=False, highlight=False)
