"""Whose turn it is to compute in a worker that has several chunks in hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from cluster.errors import GivenBack


class Turns:
    """One frame is computed at a time, and the chunk that came first goes first: another has the
    moments when that loads or stores. So a worker that is to leave ends the one chunk that it is
    at, and has hardly begun the others."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: list[Turn] = []
        self._waiting: set[Turn] = set()
        self._is_busy = False
        self._stays: Turn | None = None
        self._leaves = False

    @contextmanager
    def of_chunk(self) -> Iterator[Turn]:
        """The turns of one chunk: enter what this gives for each frame. GivenBack, then or there,
        for a chunk that is left to another worker."""
        turn = Turn(self)
        with self._changed:
            if self._leaves:
                raise _given_back()
            self._chunks.append(turn)
        try:
            yield turn
        finally:
            with self._changed:
                self._chunks.remove(turn)
                self._changed.notify_all()

    def leave(self) -> None:
        """Give back every chunk but the first, and that too where none of it is computed."""
        with self._changed:
            self._leaves = True
            first = self._chunks[0] if self._chunks else None
            self._stays = first if first is not None and first.has_begun else None
            self._changed.notify_all()

    def take(self, turn: Turn) -> None:
        """Wait until a chunk may compute."""
        with self._changed:
            self._waiting.add(turn)
            try:
                while self._is_busy or self._first_waiting() is not turn:
                    if self._leaves and turn is not self._stays:
                        break
                    self._changed.wait()
                if self._leaves and turn is not self._stays:
                    raise _given_back()
                self._is_busy = turn.has_begun = True
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def end(self) -> None:
        """It has computed."""
        with self._changed:
            self._is_busy = False
            self._changed.notify_all()

    def _first_waiting(self) -> Turn:
        return next(turn for turn in self._chunks if turn in self._waiting)


class Turn:
    """A chunk's turns, one after the other."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.has_begun = False

    def __enter__(self) -> None:
        self._turns.take(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turns.end()


def _given_back() -> GivenBack:
    return GivenBack("the worker leaves")
