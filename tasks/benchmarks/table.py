"""Rows of an evaluation as plain text."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.benchmarks.evaluation import Row

COLUMNS = ("method", "PSNR dB", "SSIM", "lines px", "flicker", "ms", "n")


def cells(row: Row) -> tuple[str, ...]:
    """A row's text under `COLUMNS`; - where there is nothing to tell. The default is starred."""
    return (
        f"{short_name(row.method, most=22)}{' *' if row.default else ''}",
        f"{row.psnr:.2f}",
        f"{row.ssim:.4f}",
        _or_dash(row.lines_px, 3),
        _or_dash(row.flicker, 3),
        _or_dash(row.ms, 0),
        str(row.cases),
    )


def short_name(name: str, *, most: int = 34) -> str:
    """A name of at most `most` letters: the middle of a longer one goes."""
    if len(name) <= most:
        return name
    head = (most - 2) * 2 // 3
    return f"{name[:head]}..{name[len(name) - (most - 2 - head) :]}"


def table_of(rows: Iterable[Row]) -> str:
    """The rows under their head, 86 columns wide."""
    lines = [COLUMNS, *(cells(row) for row in rows)]
    return "\n".join(
        f"{line[0]:26}" + "".join(f"{cell:>10}" for cell in line[1:]) for line in lines
    )


def _or_dash(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
