"""Signs of life of a long look at a file, for whoever waits for it in another process."""

from __future__ import annotations

from collections.abc import Callable

_tell: list[Callable[[], None]] = []


def beat() -> None:
    """Say that the look goes on. Free of cost where nobody listens."""
    for tell in _tell:
        tell()


def on_beat(tell: Callable[[], None]) -> None:
    """Have `tell` called at every `beat` of this process, from now on."""
    _tell.append(tell)
