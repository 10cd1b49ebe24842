"""Plots as SVG in the page's own colours, light and dark: no script, nothing from a network."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from cluster.keys import make_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0{number}00ff" for number in range(1, 7))
"""Stand-ins: what matplotlib draws in these colours, the page's style sheet colours."""
VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    GRID: "var(--grid)",
    **{stand_in: f"var(--s{number})" for number, stand_in in enumerate(SERIES, start=1)},
}
WIDTH_IN, HEIGHT_IN = 6.4, 2.5
LABELS = 7
"""Texts under an axis at the most."""
STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over the slots of a plot, by the name in its legend; None where there is none."""

    name: str
    values: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


def bars(title: str, unit: str, slots: Sequence[str], series: Sequence[Series]) -> str:
    """Series stacked upon each other over the slots; empty where they are all nothing."""
    if not any(any(each.known) for each in series):
        return ""
    with _drawing(title) as drawing:
        floor = [0.0] * len(slots)
        for colour, each in zip(SERIES, series, strict=False):
            values = [value or 0.0 for value in each.values]
            drawing.axes.bar(
                range(len(slots)), values, 0.72, bottom=floor, color=colour, label=each.name
            )
            floor = [low + value for low, value in zip(floor, values, strict=True)]
        _name_slots(drawing.axes, slots)
        drawing.axes.set_ylabel(unit)
        drawing.axes.set_ylim(bottom=0)
        _legend(drawing.axes, len(series))
    return drawing.svg(_said(title, unit, series))


def lines(
    title: str, unit: str, slots: Sequence[str], series: Sequence[Series], *, shares: bool = False
) -> str:
    """Series as lines with a mark for each value; `shares` are of 1. Empty without a value."""
    shown = [each for each in series if each.known]
    if not shown:
        return ""
    with _drawing(title) as drawing:
        for colour, each in zip(SERIES, shown, strict=False):
            at = [place for place, value in enumerate(each.values) if value is not None]
            drawing.axes.plot(
                at, each.known, color=colour, label=each.name, linewidth=1.6, marker="o", ms=3.5
            )
        _name_slots(drawing.axes, slots)
        drawing.axes.set_ylabel(unit)
        if shares:
            from matplotlib.ticker import PercentFormatter

            drawing.axes.set_ylim(-0.03, 1.03)
            drawing.axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        else:
            drawing.axes.set_ylim(0, 1.15 * max(max(each.known) for each in shown) or 1.0)
        _legend(drawing.axes, len(shown))
    return drawing.svg(_said(title, unit, shown))


def lying_bars(title: str, unit: str, names: Sequence[str], series: Sequence[Series]) -> str:
    """A bar for each name, of the series one after another, the first name at the top."""
    if not any(any(each.known) for each in series):
        return ""
    with _drawing(title, height_in=0.8 + 0.34 * len(names)) as drawing:
        left = [0.0] * len(names)
        places = range(len(names))
        for colour, each in zip(SERIES, series, strict=False):
            values = [value or 0.0 for value in each.values]
            drawing.axes.barh(places, values, 0.66, left=left, color=colour, label=each.name)
            left = [low + value for low, value in zip(left, values, strict=True)]
        for place, end in zip(places, left, strict=True):
            drawing.axes.annotate(
                f"{end:.3g}",
                (end, place),
                (5, 0),
                textcoords="offset points",
                va="center",
                color=SOFT,
            )
        drawing.axes.set_yticks(places, [_short(name) for name in names])
        drawing.axes.invert_yaxis()
        drawing.axes.set_xlim(0, 1.12 * max(left))
        drawing.axes.grid(axis="y", visible=False)
        drawing.axes.grid(axis="x", visible=True)
        drawing.axes.set_xlabel(unit)
        _legend(drawing.axes, len(series))
    return drawing.svg(_said(title, unit, series))


class Drawing:
    """Axes to draw on, and what came of them."""

    def __init__(self, figure: Figure, salt: str) -> None:
        self.axes: Axes = figure.subplots()
        self._figure = figure
        self._salt = salt
        self._text = ""

    def close(self) -> None:
        """Draw it; ids differ from those of other plots of the page."""
        sink = io.StringIO()
        self._figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
        text = sink.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
        text = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{self._salt}", text)
        for stand_in, variable in VARIABLES.items():
            text = text.replace(stand_in, variable)
        self._text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)

    def svg(self, said: str) -> str:
        """The element, with words for those who do not see it."""
        opening = re.match(r"<svg[^>]*>", self._text)
        assert opening is not None
        box = re.search(r'viewBox="[^"]*"', opening.group())
        assert box is not None
        head = f'<svg {box.group()} role="img" aria-label="{escape(said)}" {NAMESPACES}>'
        return head + self._text[opening.end() :]


NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


@contextmanager
def _drawing(title: str, *, height_in: float = HEIGHT_IN) -> Iterator[Drawing]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    salt = f"p{make_key(title)[:6]}-"
    with rc_context({**STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        drawing = Drawing(figure, salt)
        drawing.axes.tick_params(length=0)
        yield drawing
        drawing.close()


def _name_slots(axes: Axes, slots: Sequence[str]) -> None:
    step = max(1, -(-len(slots) // LABELS))
    shown = range(0, len(slots), step)
    axes.set_xticks(list(shown), [slots[place] for place in shown])
    axes.set_xlim(-0.6, len(slots) - 0.4)


def _legend(axes: Axes, count: int) -> None:
    if count > 1:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=min(count, 4),
            frameon=False,
            handlelength=1.0,
            columnspacing=1.4,
            labelcolor=INK,
        )


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:26]}…"


def _said(title: str, unit: str, series: Sequence[Series]) -> str:
    told = [
        f"{each.name} {min(each.known):.3g} to {max(each.known):.3g}"
        for each in series
        if each.known
    ]
    return f"{title}, in {unit}: {'; '.join(told)}"


def gather_rest(parts: Mapping[str, tuple[float, ...]], *, most: int) -> list[Series]:
    """Series by their sums, the largest first; what goes over `most` becomes one."""
    ordered = sorted(parts.items(), key=lambda item: -sum(item[1]))
    kept, rest = ordered[:most], ordered[most:]
    if len(rest) == 1:
        kept, rest = ordered, []
    found = [Series(name=name, values=values) for name, values in kept]
    if rest:
        together = tuple(map(sum, zip(*(values for _, values in rest), strict=True)))
        found.append(Series(name=f"{len(rest)} others", values=together))
    return found
