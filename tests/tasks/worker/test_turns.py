"""Of several chunks in a worker's hands the first one computes; one that leaves ends that alone."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from cluster.errors import GivenBack
from tasks.worker.turns import Turns


class Chunk:
    """A chunk of one frame after the other: each is computed when the test says `go`."""

    def __init__(self, turns: Turns, threads: ThreadPoolExecutor, frames: int) -> None:
        self.in_hand, self.at_work, self.go = Event(), Event(), Event()
        self._turns, self._frames = turns, frames
        self.made: Future[int] = threads.submit(self._make)

    def _make(self) -> int:
        with self._turns.of_chunk() as turn:
            self.in_hand.set()
            for _ in range(self._frames):
                with turn:
                    self.at_work.set()
                    assert self.go.wait(60)
            return self._frames


def test_the_first_chunk_goes_first() -> None:
    turns = Turns()
    with ThreadPoolExecutor() as threads:
        first = Chunk(turns, threads, frames=3)
        assert first.at_work.wait(60)
        second = Chunk(turns, threads, frames=1)
        assert second.in_hand.wait(60)
        first.go.set()
        assert first.made.result(60) == 3
        assert second.at_work.wait(60)
        second.go.set()
        assert second.made.result(60) == 1


def test_who_leaves_ends_the_chunk_in_hand_and_gives_the_others_back() -> None:
    turns = Turns()
    with ThreadPoolExecutor() as threads:
        first = Chunk(turns, threads, frames=3)
        assert first.at_work.wait(60)
        second = Chunk(turns, threads, frames=1)
        assert second.in_hand.wait(60)
        turns.leave()
        assert isinstance(second.made.exception(60), GivenBack)
        first.go.set()
        assert first.made.result(60) == 3
    with pytest.raises(GivenBack), turns.of_chunk():
        pass


def test_who_leaves_before_anything_is_computed_gives_all_back() -> None:
    turns = Turns()
    with turns.of_chunk() as turn:
        turns.leave()
        with pytest.raises(GivenBack), turn:
            pass
