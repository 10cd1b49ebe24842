"""A time limit on work in this process: when it is up, the work ends as by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cluster.errors import DougaError


class Alarm:
    """Whether the limit was reached."""

    def __init__(self) -> None:
        self.rang = False

    def ring(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """The signal's handler: KeyboardInterrupt, which a render knows how to end by."""
        self.rang = True
        raise KeyboardInterrupt


@contextmanager
def alarm(seconds: float | None) -> Iterator[Alarm]:
    """KeyboardInterrupt in the main thread, and `rang`, when the block takes longer; None: never.

    DougaError outside the main thread, where no signal arrives.
    """
    limit = Alarm()
    if seconds is None:
        yield limit
        return
    if threading.current_thread() is not threading.main_thread():
        raise DougaError("a time limit can be kept in a process's main thread only")
    before = signal.signal(signal.SIGALRM, limit.ring)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
    try:
        yield limit
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
