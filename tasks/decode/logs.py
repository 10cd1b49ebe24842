"""Reads libav's log: it reports only there the damage that it skips."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av

_turn = threading.Condition()
_listening = 0
_threaded = 0


@contextmanager
def heard_errors() -> Iterator[list[tuple[int, str, str]]]:
    """Error lines (level, component, text) that libav logs in this thread meanwhile.

    Silent, hearing nothing, while a decoder with threads of its own is open in the process: such
    threads would wait in the log for an interpreter that may be waiting for them.
    """
    if not _begin_listening():
        yield []
        return
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        _end_listening()


def described(container: av.container.InputContainer) -> str:
    """libavformat's verbose description of a container, as `ffmpeg -v verbose -i` prints it."""
    with _turn:
        av.logging.set_level(av.logging.VERBOSE)
        av.logging.set_libav_level(av.logging.VERBOSE)
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_level(av.logging.ERROR if _listening else None)


def enter_threaded() -> None:
    """Announce a decoder with threads; waits until nobody listens. Pair with `leave_threaded`."""
    global _threaded
    with _turn:
        _turn.wait_for(lambda: _listening == 0)
        _threaded += 1


def leave_threaded() -> None:
    """A decoder with threads has closed."""
    global _threaded
    with _turn:
        _threaded -= 1


def _begin_listening() -> bool:
    global _listening
    with _turn:
        if _threaded:
            return False
        _listening += 1
        if _listening == 1:
            # Else a line that an earlier source logged too would not be said again.
            av.logging.set_skip_repeated(False)
            av.logging.set_level(av.logging.ERROR)
        return True


def _end_listening() -> None:
    global _listening
    with _turn:
        _listening -= 1
        if _listening == 0:
            av.logging.set_level(None)
        _turn.notify_all()
