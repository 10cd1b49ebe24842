"""Tables of `douga bench`, for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from flows.commands.tables.tables import make_console
from tasks.benchmarks.table import short_name


def show_pictures(document: dict[str, Any]) -> None:
    """A table for each stage and condition; a star marks what a render takes by itself."""
    console = make_console()
    for section in document["stages"]:
        console.print(f"{section['stage']}: {section['what']}", style="bold", highlight=False)
        material = ", ".join(section["material"])
        console.print(f"{section['cases']} pictures of {material}", highlight=False, markup=False)
        console.print(_table(section["rows"]))
        console.print()
    console.print(
        "lines: mean distance of ink lines from the true ones, in pixels.\n"
        "flicker: change in time where the truth stands still, in 8-bit codes.\n"
        f"ms: per picture, on {document['on']}.",
        highlight=False,
        markup=False,
    )
    if document["sheet"]:
        console.print(f"worst cases: {document['sheet']}", soft_wrap=True, markup=False)


def _table(rows: list[dict[str, Any]]) -> Table:
    painted = any(row["regions"] is not None for row in rows)
    columns = ["PSNR dB", "SSIM", "lines", "flicker", *(["regions", "pixels"] if painted else [])]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("way", no_wrap=True)
    table.add_column("", no_wrap=True)
    for column in (*columns, "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        shares = [_percent(row["regions"]), _percent(row["pixels"])] if painted else []
        table.add_row(
            short_name(row["method"]) + (" *" if row["default"] else ""),
            row["kind"],
            f"{row['psnr']:.2f}",
            f"{row['ssim']:.4f}",
            _number(row["lines_px"], 2),
            _number(row["flicker"], 3),
            *shares,
            _number(row["ms"], 0),
        )
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
