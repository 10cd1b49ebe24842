"""What runs inside a stage actor: one handler, what it says, and how its errors leave."""

from __future__ import annotations

import logging
import os
import platform
import threading
import traceback
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cluster.errors import Attempt, DougaError, OutOfMemory, StageError

LOGGERS = ("cluster", "tasks")
"""What their code warns of is told to people by the driver: a worker's log is in a file."""
VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where an actor is: its node's id in Ray, that machine's name, its process, and how many
    processes the machine has killed for want of memory so far."""

    node: str
    host: str
    pid: int
    oom_kills: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call gave: its result, or the error it raised, and what was warned of meanwhile."""

    result: Any = None
    error: DougaError | None = None
    said: tuple[str, ...] = ()


class Actor:
    """Hosts a handler named as `module:attribute`; its calls run in several threads."""

    def __init__(self, handler: str, config: Any) -> None:
        self._said = _Said()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._said)
        module, _, attribute = handler.partition(":")
        self._handler = getattr(import_module(module), attribute)(config)

    def ready(self) -> Whereabouts:
        """Where it is, as soon as it is there."""
        import ray

        return Whereabouts(
            node=ray.get_runtime_context().get_node_id(),
            host=platform.node(),
            pid=os.getpid(),
            oom_kills=oom_kills(),
        )

    def call(self, method: str, payload: Any) -> Answer:
        """Call a method of the handler. Nothing is raised: an error is part of the answer, as the
        handler raised it if it is ours, with this attempt and its traceback in it."""
        try:
            answer = Answer(result=getattr(self._handler, method)(payload))
        except Exception as error:  # a bug of a handler is to be told, not to end its process
            answer = Answer(error=own_error(error))
        return replace(answer, said=self._said.take())


class _Said(logging.Handler):
    """Collects warnings until they are taken."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self._texts: list[str] = []
        self._taking = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        with self._taking:
            self._texts.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        """All lines since the last time."""
        with self._taking:
            texts, self._texts = self._texts, []
        return tuple(texts)


def own_error(error: Exception) -> DougaError:
    """An error of ours as it was raised, any other as a StageError with its name; its attempt
    says where it was raised and by what."""
    ours = (
        error if isinstance(error, DougaError) else StageError(f"{type(error).__name__}: {error}")
    )
    told = Attempt(
        worker=str(os.getpid()),
        node=platform.node(),
        error=str(ours),
        traceback="".join(traceback.format_exception(error)),
    )
    ours.attempts = (*ours.attempts, told)
    return ours


def _named(error: Exception) -> DougaError:
    kind = OutOfMemory if isinstance(error, MemoryError) else StageError
    return kind(f"{type(error).__name__}: {error}")


def oom_kills() -> int:
    """How many processes this machine has killed for want of memory since it started; 0 where it
    does not say (proc(5), vmstat's oom_kill)."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
