"""Plots over the nights, as SVG that takes its colours from the page and needs no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 520, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 28
TICKS = 4
LABELS = 4
"""Nights named under the axis, at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value for each night, oldest first; None where there is none."""

    name: str
    values: tuple[float | None, ...]


def plot(
    title: str, lines: Sequence[Line], *, nights: Sequence[str], bad: Sequence[bool], unit: str
) -> str:
    """A figure of lines over the nights, those that went wrong marked. Empty without two values.

    `nights` and `bad` are as long as every line. All text is escaped.
    """
    values = [value for line in lines for value in line.values if value is not None]
    if len(values) < 2:
        return ""
    ticks = nice_ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]

    def x(number: int) -> float:
        share = number / (len(nights) - 1) if len(nights) > 1 else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_said(title, lines))}">'
    ]
    digits = max(0, -floor(log10(ticks[1] - ticks[0])))
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text class="tick" text-anchor="end" x="{LEFT - 6}" '
            f'y="{y(tick) + 4:.1f}">{tick:.{digits}f}</text>'
        )
    for number in _labelled(len(nights)):
        anchor = "start" if number == 0 else "end" if number == len(nights) - 1 else "middle"
        anchor = "middle" if len(nights) == 1 else anchor
        parts.append(
            f'<text class="tick" text-anchor="{anchor}" x="{x(number):.1f}" y="{HEIGHT - 8}">'
            f"{escape(nights[number])}</text>"
        )
    for place, line in enumerate(lines):
        parts.append(_line(line, place, nights=nights, bad=bad, unit=unit, x=x, y=y))
    parts.append("</svg>")
    return "".join(parts)


def nice_ticks(low: float, high: float) -> list[float]:
    """About `TICKS` round numbers, evenly apart, from one at or below `low` to one at or above
    `high`; from 0 where that is not far below."""
    if 0 <= low <= 0.6 * high:
        low = 0.0
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = (0.0, high * 1.2) if high > 0 else (low - 1, high + 1)
    rough = (high - low) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _line(
    line: Line,
    place: int,
    *,
    nights: Sequence[str],
    bad: Sequence[bool],
    unit: str,
    x: Callable[[int], float],
    y: Callable[[float], float],
) -> str:
    drawn: list[str] = []
    for stretch in _stretches(line.values):
        points = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in stretch)
        drawn.append(f'<polyline class="line s{place}" points="{points}"/>')
        for number, value in stretch:
            at = f"{x(number):.1f}", f"{y(value):.1f}"
            said = escape(f"{nights[number]}: {line.name} {value:.4g}{unit}")
            told = f"<title>{said}{', went wrong' if bad[number] else ''}</title>"
            mark = "dot bad" if bad[number] else f"dot s{place}"
            radius = 4 if bad[number] else 2.5
            drawn.append(f'<circle class="{mark}" cx="{at[0]}" cy="{at[1]}" r="{radius}">{told}')
            drawn.append("</circle>")
    return "".join(drawn)


def _stretches(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Numbered values without a gap between them."""
    found: list[list[tuple[int, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((number, value))
    return [stretch for stretch in found if stretch]


def _labelled(count: int) -> list[int]:
    if count <= LABELS:
        return list(range(count))
    return sorted({round(place * (count - 1) / (LABELS - 1)) for place in range(LABELS)})


def _said(title: str, lines: Sequence[Line]) -> str:
    """What the plot shows, for those who do not see it."""
    told = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        if known:
            told.append(
                f"{line.name} from {min(known):.4g} to {max(known):.4g}, last {known[-1]:.4g}"
            )
    return f"{title} over the nights: {'; '.join(told)}"
