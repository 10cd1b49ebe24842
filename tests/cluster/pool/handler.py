"""A handler for the pool's tests, in a module of its own so that an actor can import it."""

import fcntl
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path

import ray

from cluster.errors import InputError, OutOfMemory, StoreError

log = logging.getLogger("tasks.handler")


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

    def stumble(self, name: str) -> str:
        """Answers the third time; before, its store is busy."""
        if self._count(name) < 3:
            raise StoreError("the store is busy", where=name, retryable=True)
        return name

    def crowd(self, most: int) -> int:
        """Runs out of memory when more than `most` are at it in all processes together."""
        log.warning("crowd: at it")
        with ExitStack() as held:
            for seat in range(most):
                file = held.enter_context((self._folder / f"seat{seat}").open("w"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    continue
            else:
                raise OutOfMemory("out of memory")
            time.sleep(0.3)
        return most

    def fit(self, batch: int) -> int:
        """How many it was to work on at once."""
        return batch

    def hang(self, name: str) -> str:
        """Takes for ever."""
        self._count(name)
        time.sleep(600)
        return name

    def only_elsewhere(self, work: tuple[str, str]) -> str:
        """Fails on one node; says where it went well."""
        node, name = work
        here = ray.get_runtime_context().get_node_id()
        if here == node:
            self._count(name)
            raise ValueError("bit rot")
        return str(here)

    def _count(self, name: str) -> int:
        """Which time this is, in all processes together."""
        (self._folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}").touch()
        return len(list(self._folder.glob(f"{name}.*")))


class Latecomer:
    """Of several, the first is there at once, the others when a file `go` is in the folder."""

    def __init__(self, config: str) -> None:
        try:
            (Path(config) / "first").touch(exist_ok=False)
        except FileExistsError:
            while not (Path(config) / "go").exists():
                time.sleep(0.02)

    def where(self, _: object) -> int:
        """The process that answers."""
        time.sleep(0.05)
        return os.getpid()


class Stranger(Handler):
    """Made of something else in as many actors as the file `strangers` in its folder says."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        most = int((self._folder / "strangers").read_text())
        self._stage = "3" if self._count("strange") > most else "2"

    def build(self) -> dict[str, str]:
        """What it is made of."""
        return {"code": "9f3c", "stage upscale": self._stage}
