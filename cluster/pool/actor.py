"""The code inside a stage actor: hosts one handler, collects its warnings, returns its errors."""

from __future__ import annotations

import logging
import os
import platform
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cluster.errors import Attempt, DougaError, OutOfMemory, StageError

LOGGERS = ("cluster", "tasks")
"""The driver shows people the warnings of these loggers: a worker's own log is in a file."""
VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorLocation:
    """Where an actor runs: its node's id in Ray, the machine's name, its process id, and how many
    processes the machine has killed so far because memory ran out. `build` is what its handler
    says that it is made of."""

    node: str
    host: str
    pid: int
    oom_kills: int = 0
    build: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A call's result, or the error it raised, and the warnings logged meanwhile."""

    result: Any = None
    error: DougaError | None = None
    warnings: tuple[str, ...] = ()


class Actor:
    """Hosts a handler named as `module:attribute`, with variables added to the environment; runs
    its calls in several threads."""

    def __init__(self, handler: str, config: Any, variables: Mapping[str, str]) -> None:
        os.environ.update(variables)
        self._warnings = _Warnings()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._warnings)
        module, _, attribute = handler.partition(":")
        self._handler = getattr(import_module(module), attribute)(config)

    def ready(self) -> ActorLocation:
        """The actor's location; answers as soon as the actor is up."""
        import ray

        return ActorLocation(
            node=ray.get_runtime_context().get_node_id(),
            host=platform.node(),
            pid=os.getpid(),
            oom_kills=oom_kills(),
            build=self._handler.build() if hasattr(self._handler, "build") else {},
        )

    def call(self, method: str, payload: Any) -> Answer:
        """Call a method of the handler. Raises nothing: the answer carries the error, with this
        attempt and its traceback in it."""
        try:
            answer = Answer(result=getattr(self._handler, method)(payload))
        except Exception as error:  # report a handler's bug; do not end its process
            answer = Answer(error=to_douga_error(error))
        return replace(answer, warnings=self._warnings.take())


class _Warnings(logging.Handler):
    """Collects warnings until `take` removes them."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self._texts: list[str] = []
        self._taking = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        with self._taking:
            self._texts.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        """All warnings since the last call."""
        with self._taking:
            texts, self._texts = self._texts, []
        return tuple(texts)


def to_douga_error(error: Exception) -> DougaError:
    """The error itself if it is a DougaError, OutOfMemory for a MemoryError, else a StageError that
    names it; with an Attempt that says where it was raised and by what."""
    if isinstance(error, DougaError):
        ours = error
    elif isinstance(error, MemoryError):
        ours = OutOfMemory("out of memory", remedy="use fewer --workers or a smaller --chunk")
    else:
        ours = StageError(f"{type(error).__name__}: {error}")
    attempt = Attempt(
        worker=str(os.getpid()),
        node=platform.node(),
        error=str(ours),
        traceback="".join(traceback.format_exception(error)),
    )
    ours.attempts = (*ours.attempts, attempt)
    return ours


def oom_kills() -> int:
    """How many processes this machine has killed since it booted because memory ran out; 0 where
    it does not say (proc(5), vmstat's oom_kill)."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
