"""Rows of an evaluation as plain text."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.measure.evaluation import Row

COLUMNS = ("method", "PSNR dB", "SSIM", "lines px", "flicker", "ms", "n")


def cells(row: Row) -> tuple[str, ...]:
    """A row's text under `COLUMNS`; - where there is nothing to tell. The default is starred."""
    return (
        f"{row.method}{' *' if row.default else ''}",
        f"{row.psnr:.2f}",
        f"{row.ssim:.4f}",
        _or_dash(row.lines_px, 3),
        _or_dash(row.flicker, 3),
        _or_dash(row.ms, 0),
        str(row.cases),
    )


def table_of(rows: Iterable[Row]) -> str:
    """The rows under their head, 86 columns wide."""
    lines = [COLUMNS, *(cells(row) for row in rows)]
    return "\n".join(
        f"{line[0]:26}" + "".join(f"{cell:>10}" for cell in line[1:]) for line in lines
    )


def _or_dash(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
