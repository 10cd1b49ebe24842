"""The command's own process: streams that may go away, signals that end it in bounded time."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cluster.errors import Exit

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a scheduler, a terminal that closes."""
ENDS_WITHIN_S = 9.0
"""How long a command may take to end after a signal; then it is ended where it stands. Ten seconds
are promised."""
TAKES_WITHIN_S = 5.0
"""How long the log waits for a reader that does not read (a full pipe, a terminal at Ctrl-S)."""


class Stream(io.FileIO):
    """Standard output or error. What it cannot take is dropped, and the work goes on: its reader
    went away, its disk is full, its terminal was closed. `lost` is the last reason, None if all
    was taken. With `hurried`, neither does it wait long for a reader that does not read, and not
    again until that has read."""

    lost: OSError | None = None
    hurried = False
    _is_stuck = False

    def write(self, data: object) -> int:
        """Write bytes, as many as the system takes; all count as written where it takes none."""
        # What a pipe has room for when it says that it has any: more would block.
        part = memoryview(data)[: select.PIPE_BUF]  # type: ignore[arg-type]
        wait_s = (0 if self._is_stuck else TAKES_WITHIN_S) if self.hurried else None
        try:
            while select.select([], [self], [], wait_s)[1]:
                written = super().write(part)
                if written is not None:
                    self._is_stuck = False
                    return written
            self._is_stuck = True
        except OSError as error:
            self.lost = error
        return memoryview(data).nbytes  # type: ignore[arg-type]


def keep_streams() -> Stream:
    """Make standard output and error streams that never fail; standard output.

    A number that is closed when the process starts is /dev/null from now on: a file opened later
    would get it, and what is printed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    out, err = Stream(1, "w", closefd=False), Stream(2, "w", closefd=False)
    err.hurried = True  # the work is not done yet when the log is written; a result waits
    # Who replaced a stream (a test) wants what is printed for itself.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(out, getattr(sys.stdout, "encoding", None))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(err, getattr(sys.stderr, "encoding", None))
    return out


def _text(stream: Stream, encoding: str | None) -> io.TextIOWrapper:
    lines = stream.fileno() == 2 or stream.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=encoding or "utf-8",
        errors="backslashreplace",
        line_buffering=lines,
    )


def end_by_signals() -> None:
    """Make SIGTERM and SIGHUP end the process as Ctrl-C does, and all three in bounded time.

    SIGHUP stays ignored where it is (nohup). A scheduler's SIGTERM or SIGHUP that comes again while
    the process ends is ignored; Ctrl-C again breaks off what it does.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGTERM:
            signal.signal(number, _interrupt)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """The same for the length of a `with`, where another program's handlers are to stand again: a
    run that Prefect ends by SIGTERM keeps what it has done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    end_by_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    ending = any(isinstance(thread, _LastResort) for thread in threading.enumerate())
    if not ending:
        _LastResort().start()
    if not ending or number == signal.SIGINT:
        raise KeyboardInterrupt


class _LastResort(threading.Thread):
    """Ends the process if it does not end by itself."""

    def __init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        threading.Event().wait(ENDS_WITHIN_S)
        print(f"douga: did not stop within {ENDS_WITHIN_S:g} s, ended", file=sys.stderr)
        os._exit(Exit.INTERRUPTED)
