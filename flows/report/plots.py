"""Plots as SVG in the page's own colours, light and dark: no script, nothing from a network."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from cluster.keys import make_key
from flows.words import safe_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK, SOFT, GRID, BAD, CARD = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = tuple(f"#0{number}00ff" for number in range(1, 7))
"""Stand-ins: what matplotlib draws in these colours, the page's style sheet colours."""
VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    GRID: "var(--grid)",
    BAD: "var(--bad)",
    CARD: "var(--card)",
    **{stand_in: f"var(--s{number})" for number, stand_in in enumerate(SERIES, start=1)},
}
DASHES = ("-", "--", "-.", ":", "-", "--")
"""Of lines, so that not only colours tell them apart."""
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
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over the slots of a plot, by the name in its legend; None where there is none."""

    name: str
    values: tuple[float | None, ...]

    @property
    def label(self) -> str:
        """The name, as it can be drawn."""
        return safe_text(self.name)

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot of a page: heading, one line of explanation, SVG; empty where nothing was drawn."""

    title: str
    about: str
    svg: str


def bars(title: str, unit: str, slots: Sequence[str], series: Sequence[Series]) -> str:
    """Series stacked on each other over the slots; empty where all values are zero or none."""
    if not any(any(each.known) for each in series):
        return ""
    with _drawing(title) as drawing:
        floor = [0.0] * len(slots)
        for colour, each in zip(SERIES, series, strict=False):
            values = [value or 0.0 for value in each.values]
            drawing.axes.bar(
                range(len(slots)),
                values,
                0.72,
                bottom=floor,
                color=colour,
                label=each.label,
            )
            floor = [low + value for low, value in zip(floor, values, strict=True)]
        _name_slots(drawing.axes, slots)
        drawing.axes.set_ylabel(unit)
        drawing.axes.set_ylim(bottom=0)
        _keep_whole(drawing.axes, floor)
        _legend(drawing.axes, len(series))
    return drawing.svg(_describe(title, unit, series))


def lines(
    title: str,
    unit: str,
    slots: Sequence[str],
    series: Sequence[Series],
    *,
    shares: bool = False,
    bad: Sequence[bool] = (),
) -> str:
    """Series as lines with a mark for each value, a gap where there is none; empty without a value.

    `shares` are of 1; a ring marks the values of slots that were `bad`. The axis starts at 0 where
    that is not far below the values.
    """
    shown = [each for each in series if each.known]
    if not shown:
        return ""
    with _drawing(title) as drawing:
        for colour, style, each in zip(SERIES, DASHES, shown, strict=False):
            _draw_line(drawing, each, slots, bad, colour=colour, style=style, unit=unit)
        _name_slots(drawing.axes, slots)
        drawing.axes.set_ylabel(unit)
        values = [value for each in shown for value in each.known]
        if shares:
            from matplotlib.ticker import PercentFormatter

            drawing.axes.set_ylim(-0.03, 1.03)
            drawing.axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        elif 0 <= min(values) <= 0.6 * max(values) or min(values) == max(values) >= 0:
            drawing.axes.set_ylim(0, 1.15 * max(values) or 1.0)
        _keep_whole(drawing.axes, values)
        _legend(drawing.axes, len(shown))
    return drawing.svg(_describe(title, unit, shown))


def _draw_line(
    drawing: Drawing,
    series: Series,
    slots: Sequence[str],
    bad: Sequence[bool],
    *,
    colour: str,
    style: str,
    unit: str,
) -> None:
    values = [float("nan") if value is None else value for value in series.values]
    words = {
        at: f"{slots[at]}: {series.name} {value:.4g} {unit}"
        for at, value in enumerate(series.values)
        if value is not None
    }
    (line,) = drawing.axes.plot(
        values,
        color=colour,
        label=series.label,
        linewidth=1.6,
        linestyle=style,
        marker="o",
        ms=3.5,
        clip_on=False,
    )
    drawing.name_marks(line, words.values())
    rings = [at for at in words if bad and bad[at]]
    (line,) = drawing.axes.plot(
        rings,
        [values[at] for at in rings],
        color=BAD,
        linestyle="none",
        marker="o",
        ms=6,
        markerfacecolor=CARD,
        markeredgewidth=1.6,
        clip_on=False,
    )
    drawing.name_marks(line, [f"{words[at]}, went wrong" for at in rings])


def horizontal_bars(title: str, unit: str, names: Sequence[str], series: Sequence[Series]) -> str:
    """A bar for each name, made of the series side by side; the first name at the top."""
    if not any(any(each.known) for each in series):
        return ""
    with _drawing(title, height_in=0.8 + 0.34 * len(names)) as drawing:
        left = [0.0] * len(names)
        places = range(len(names))
        for colour, each in zip(SERIES, series, strict=False):
            values = [value or 0.0 for value in each.values]
            drawing.axes.barh(places, values, 0.66, left=left, color=colour, label=each.label)
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
    return drawing.svg(_describe(title, unit, series))


class Drawing:
    """Axes to draw on, and the SVG of what was drawn."""

    def __init__(self, figure: Figure, salt: str) -> None:
        self.axes: Axes = figure.subplots()
        self._figure = figure
        self._salt = salt
        self._text = ""
        self._marks: dict[str, tuple[str, ...]] = {}

    def name_marks(self, line: Line2D, words: Iterable[str]) -> None:
        """Give each mark of a line words that show when a mouse rests on it."""
        name = f"marks{len(self._marks)}"
        line.set_gid(name)
        self._marks[name] = tuple(words)

    def close(self) -> None:
        """Draw it; ids differ from those of other plots of the page."""
        sink = io.StringIO()
        self._figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
        text = sink.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
        for name, words in self._marks.items():
            at = text.find(f'<g id="{name}"')
            text = text[:at] + _with_titles(text[at:], words)
        text = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{self._salt}", text)
        for stand_in, variable in VARIABLES.items():
            text = text.replace(stand_in, variable)
        self._text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)

    def svg(self, description: str) -> str:
        """The element, with a description for those who do not see it."""
        opening = re.match(r"<svg[^>]*>", self._text)
        assert opening is not None
        box = re.search(r'viewBox="[^"]*"', opening.group())
        assert box is not None
        head = f'<svg {box.group()} role="img" aria-label="{escape(safe_text(description))}">'
        return head + self._text[opening.end() :]


def _with_titles(text: str, words: Sequence[str]) -> str:
    """The first marks of an SVG with a title each."""
    titles = iter(words)

    def with_title(mark: re.Match[str]) -> str:
        return f"{mark[1]}><title>{escape(safe_text(next(titles)))}</title></use>"

    return re.sub(r"(<use [^>]*?)/>", with_title, text, count=len(words)) if words else text


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
    axes.set_xticks(list(shown), [_short(slots[place]) for place in shown])
    axes.set_xlim(-0.6, len(slots) - 0.4)


def _keep_whole(axes: Axes, values: Sequence[float]) -> None:
    """No half shots on an axis that counts."""
    if all(value == int(value) for value in values):
        axes.locator_params(axis="y", integer=True)


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
    return safe_text(name if len(name) <= 28 else f"{name[:26]}…")


def _describe(title: str, unit: str, series: Sequence[Series]) -> str:
    ranges = [
        f"{each.name} {min(each.known):.3g} to {max(each.known):.3g}"
        for each in series
        if each.known
    ]
    return f"{title}, in {unit}: {'; '.join(ranges)}"


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
