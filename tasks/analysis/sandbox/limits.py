"""What a process that looks at an unknown file may take: memory, time, no core dump."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass

from cluster.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`memory_bytes` of address space; `quiet_s` seconds between two signs of life."""

    memory_bytes: int
    quiet_s: float


def limits() -> Limits:
    """As set: DOUGA_DECODE_MEMORY_GIB and DOUGA_DECODE_TIMEOUT_S."""
    chosen = settings()
    return Limits(
        memory_bytes=int(chosen.decode_memory_gib * 2**30), quiet_s=chosen.decode_timeout_s
    )


def confine(given: Limits) -> None:
    """Put this process under limits, for good. Call it before anything large is imported."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS takes the call and does not keep to it
        resource.setrlimit(resource.RLIMIT_AS, (given.memory_bytes, given.memory_bytes))


def allow_more(given: Limits) -> None:
    """Let this process compute on for `quiet_s` on every core: past that the kernel ends it, also
    where whoever waited for it is gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    more = int(used.ru_utime + used.ru_stime + given.quiet_s * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (more, resource.RLIM_INFINITY))
