"""What a person sees while it runs: one bar and its end in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from cluster.errors import printable
from flows.eta import Eta, Look, end_words
from flows.words import duration_words

if TYPE_CHECKING:
    from rich.table import Table

LINE_EVERY_S = 5.0
"""How often a plain line is written where there is no terminal."""
LINE_SHARE = 0.05
"""Of the time since the begin, which lines of long renders are apart at least."""


def one_line(text: str) -> str:
    """Text in one line that a terminal shows as it is: file names may hold anything."""
    return printable(" ".join(text.split()))


class Reporter(Protocol):
    """Told what happens; called from several threads."""

    shows_end: bool
    """Whether anybody sees when it ends: whoever has a forecast need not make it otherwise."""

    def whole(self, name: str) -> None:
        """A render begins: the phases from now on are parts of it; "": it has ended."""

    def phase(self, text: str) -> None:
        """A new part of the work begins."""

    def note(self, text: str) -> None:
        """Something a person should know: a guess made, a worker lost."""

    def fraction(self, done: float) -> None:
        """How much of the present phase is done, 0 to 1."""

    def expect(self, p50_s: float, p90_s: float) -> None:
        """Seconds from now to the end of the render, as forecast: expected, and at worst."""

    def total(self, units: float, *, piece: float, workers: int) -> None:
        """How many units of rendering are to come, in pieces of how many, by how many workers."""

    def advance(self, units: float) -> None:
        """So many units are done."""

    def left_s(self) -> float | None:
        """Seconds to the end of the render, as far as is known."""


class Silent:
    """Says nothing; for `--json` consumers who want none, and tests."""

    shows_end = False

    def whole(self, name: str) -> None:
        """Nothing."""

    def phase(self, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def fraction(self, done: float) -> None:
        """Nothing."""

    def expect(self, p50_s: float, p90_s: float) -> None:
        """Nothing."""

    def total(self, units: float, *, piece: float, workers: int) -> None:
        """Nothing."""

    def advance(self, units: float) -> None:
        """Nothing."""

    def left_s(self) -> float | None:
        """Unknown."""
        return None


@contextlib.contextmanager
def told_as_whole(reporter: Reporter, name: str) -> Iterator[None]:
    """A render: what is told in the block is parts of it."""
    reporter.whole(name)
    try:
        yield
    finally:
        reporter.whole("")


class _Counting:
    """What is known of a render, or of a phase that is part of none."""

    shows_end = True

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._name = ""
        self._eta: Eta | None = None
        self._began = clock()
        self._fraction: float | None = None

    def whole(self, name: str) -> None:
        """A render begins, or has ended."""
        self._name, self._fraction, self._began = one_line(name), None, self._clock()
        self._eta = Eta(self._clock) if name else None

    def phase(self, text: str) -> None:
        """A part of the render, or something by itself."""
        if self._eta:
            self._eta.phase()
        else:
            self._fraction, self._began = None, self._clock()

    def fraction(self, done: float) -> None:
        """How far the phase is."""
        self._fraction = done
        if self._eta:
            self._eta.fraction(done)

    def expect(self, p50_s: float, p90_s: float) -> None:
        """A forecast of the render's end."""
        if self._eta:
            self._eta.expect(p50_s, p90_s)

    def total(self, units: float, *, piece: float, workers: int) -> None:
        """The rendering begins."""
        if self._eta:
            self._eta.total(units, piece=piece, workers=workers)

    def advance(self, units: float) -> None:
        """The rendering moves."""
        if self._eta:
            self._eta.advance(units)

    def left_s(self) -> float | None:
        """Seconds to the end that people are shown."""
        return self._eta.look().left_s if self._eta else None

    def _look(self) -> Look | None:
        """How far the render is, or the phase; None where nothing says."""
        if self._eta:
            return self._eta.look()
        done, spent_s = self._fraction, self._clock() - self._began
        if not done:
            return None
        left_s = spent_s * (1 - done) / done
        return Look(share=done, left_s=left_s, worst_s=left_s)


class Plain(_Counting):
    """Lines on stderr: each phase once, and of a render a line every few seconds that says how far
    it is and when it ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._spoke, self._line = clock(), ""
        self._speaking = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Plain:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def phase(self, text: str) -> None:
        """One line."""
        super().phase(text)
        self._say(one_line(text))

    def note(self, text: str) -> None:
        """One line."""
        self._say(f"note: {one_line(text)}")

    def advance(self, units: float) -> None:
        """A line, if the last one is old enough."""
        super().advance(units)
        self.tell()

    def tell(self) -> None:
        """How far a render is, if the last such line is old enough and said something else."""
        with self._speaking:
            now = self._clock()
            wait_s = max(LINE_EVERY_S, LINE_SHARE * (now - self._began))
            if not self._eta or now - max(self._spoke, self._began) < wait_s:
                return
            self._spoke, look = now, self._eta.look()
            line = ", ".join(filter(None, (f"{self._name}: {_percent(look)}", _end(look))))
            if line != self._line:
                self._line = line
                self._say(line)

    def _run(self) -> None:
        while not self._ended.wait(LINE_EVERY_S / 4):
            self.tell()

    def _say(self, line: str) -> None:
        """A line, dropped where nobody takes it: outside the command (Prefect) the stream may
        fail."""
        with contextlib.suppress(OSError, ValueError):
            print(f"douga: {line}", file=sys.stderr, flush=True)


class Bar(_Counting):
    """A bar on stderr, one for all of a render, with the time it took and when it ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(time.monotonic)
        self._text = "starting"
        self._console = Console(stderr=True)
        self._live = Live(
            get_renderable=self._draw, console=self._console, transient=True, refresh_per_second=4
        )

    def __enter__(self) -> Bar:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        """A new description; the bar of a render goes on, another one is empty again."""
        super().phase(text)
        self._text = one_line(text)

    def note(self, text: str) -> None:
        """A line above the bar."""
        note = f"note: {one_line(text)}"
        self._console.print(note, style="yellow", markup=False, highlight=False)

    def _draw(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        look = self._look()
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True, overflow="ellipsis", max_width=44)
        line.add_column(ratio=1, min_width=8)
        for _ in range(3):
            line.add_column(no_wrap=True, justify="right")
        line.add_row(
            Text(f"{self._name}: {self._text}" if self._eta else self._text, style="bold"),
            ProgressBar(total=1.0, completed=look.share if look else 0.0, pulse=look is None),
            Text(_percent(look) if look else ""),
            Text(duration_words(self._clock() - self._began)),
            Text(_end(look) if look else ""),
        )
        return line


def _percent(look: Look) -> str:
    """Never 0 % or 100 % of what has begun and not ended."""
    return f"{min(99, max(1, int(100 * look.share)))} %"


def _end(look: Look) -> str:
    return end_words(look, datetime.now())


def make_reporter() -> Plain | Bar:
    """A bar where stderr is a terminal, lines where it is not."""
    return Bar() if sys.stderr.isatty() else Plain()
