"""Heartbeats of a long read of a file, for a process that waits for this one."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def heartbeat() -> None:
    """Says that reading goes on. Costs nothing if nobody listens."""
    for listener in _listeners:
        listener()


def on_heartbeat(listener: Callable[[], None]) -> None:
    """Calls `listener` at every heartbeat of this process from now on."""
    _listeners.append(listener)
