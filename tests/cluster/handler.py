"""A handler for the pool's tests, in a module of its own so that an actor can import it."""

import os
import time
from pathlib import Path

from cluster.errors import InputError


class Handler:
    """Doubles numbers; notes in a folder what it was asked, so that tests can count attempts."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def pid(self, _: None) -> int:
        """The actor's process."""
        return os.getpid()

    def double(self, number: int) -> int:
        """Twice the number, after a moment in which a test may kill the actor."""
        (self._folder / f"{number}.{os.getpid()}.{time.monotonic_ns()}").touch()
        time.sleep(0.15)
        return 2 * number

    def refuse(self, name: str) -> None:
        """An error of ours, with a place."""
        raise InputError("not a picture", where=name, remedy="paint it")

    def break_down(self, _: None) -> None:
        """A bug."""
        raise ZeroDivisionError("one over nothing")

    def die(self, _: None) -> None:
        """Takes its process down every time."""
        os.kill(os.getpid(), 9)
