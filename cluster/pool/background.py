"""A pool's threads, and the lines for people that it collects while its lock is held."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class Threads:
    """Daemon threads, known until they end."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, target: Callable[..., None], *args: Any) -> None:
        """Run something in a thread of its own. RuntimeError if the system gives none."""

        def run() -> None:
            try:
                target(*args)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            thread.start()
            self._threads.add(thread)

    def join(self, *, timeout_s: float) -> None:
        """Wait for all but the one that asks, so long at the most."""
        until = time.monotonic() + timeout_s
        with self._lock:
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))


class Lines:
    """Lines for people: each is told once, when `send` is called with no lock held."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._sent: set[str] = set()
        self._waiting: list[str] = []
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        """Queue a line."""
        with self._lock:
            if line not in self._sent:
                self._sent.add(line)
                self._waiting.append(line)

    def send(self) -> None:
        """Tell what waits."""
        with self._lock:
            lines, self._waiting = self._waiting, []
        for line in lines:
            self._tell(line)
