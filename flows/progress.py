"""What a person sees while it runs: a bar with an ETA in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from types import TracebackType
from typing import Protocol

from cluster.errors import printable
from flows.words import duration_words

LINE_EVERY_S = 5.0
"""How often a plain line is written where there is no terminal."""


def one_line(text: str) -> str:
    """Text in one line that a terminal shows as it is: file names may hold anything."""
    return printable(" ".join(text.split()))


class Reporter(Protocol):
    """Told what happens; called from several threads."""

    def phase(self, text: str) -> None:
        """A new part of the work begins."""

    def note(self, text: str) -> None:
        """Something a person should know: a guess made, a worker lost."""

    def fraction(self, done: float) -> None:
        """How much of the present phase is done, 0 to 1."""

    def total(self, units: float) -> None:
        """How many units of rendering are to come."""

    def advance(self, units: float) -> None:
        """So many units are done."""


class Silent:
    """Says nothing; for `--json` consumers who want none, and tests."""

    def phase(self, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def fraction(self, done: float) -> None:
        """Nothing."""

    def total(self, units: float) -> None:
        """Nothing."""

    def advance(self, units: float) -> None:
        """Nothing."""


class Plain:
    """Lines on stderr: each phase once, and at most one progress line every few seconds."""

    def __init__(self) -> None:
        self._total = 0.0
        self._done = 0.0
        self._began = self._spoke = time.monotonic()
        self._counting = threading.Lock()

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def phase(self, text: str) -> None:
        """One line."""
        self._say(one_line(text))

    def note(self, text: str) -> None:
        """One line."""
        self._say(f"note: {one_line(text)}")

    def fraction(self, done: float) -> None:
        """Nothing: phases are short."""

    def total(self, units: float) -> None:
        """Start of the rendering clock."""
        with self._counting:
            self._total, self._done = units, 0.0
            self._began = self._spoke = time.monotonic()

    def advance(self, units: float) -> None:
        """A line with the share done and the time left, if the last one is old enough."""
        with self._counting:
            self._done += units
            now = time.monotonic()
            if not (self._total and now - self._spoke >= LINE_EVERY_S and self._done):
                return
            self._spoke = now
            left = (now - self._began) * (self._total / self._done - 1)
            share = 100 * self._done / self._total
        self._say(f"{share:.0f} %, {duration_words(left)} left")

    def _say(self, line: str) -> None:
        """A line, dropped where nobody takes it: outside the command (Prefect) the stream may
        fail."""
        with contextlib.suppress(OSError, ValueError):
            print(f"douga: {line}", file=sys.stderr, flush=True)


class Bar:
    """A rich progress bar on stderr with elapsed time and ETA."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Eta

        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            Eta(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, text: str) -> None:
        """A new description, the bar empty."""
        self._progress.reset(self._task, description=one_line(text), total=None)

    def note(self, text: str) -> None:
        """A line above the bar."""
        note = f"note: {one_line(text)}"
        self._progress.console.print(note, style="yellow", markup=False, highlight=False)

    def fraction(self, done: float) -> None:
        """The bar at this share."""
        self._progress.update(self._task, total=1.0, completed=done)

    def total(self, units: float) -> None:
        """The bar's length."""
        self._progress.update(self._task, total=units, completed=0)

    def advance(self, units: float) -> None:
        """The bar moves."""
        self._progress.advance(self._task, units)


def make_reporter() -> Plain | Bar:
    """A bar where stderr is a terminal, lines where it is not."""
    return Bar() if sys.stderr.isatty() else Plain()
