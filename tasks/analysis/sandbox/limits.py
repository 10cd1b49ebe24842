"""Limits of the process that opens an untrusted file: memory, time, no core dump."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass

from cluster.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`memory_bytes` of address space; at most `heartbeat_timeout_s` between two heartbeats."""

    memory_bytes: int
    heartbeat_timeout_s: float


def configured_limits() -> Limits:
    """From DOUGA_DECODE_MEMORY_GIB and DOUGA_DECODE_TIMEOUT_S; memory no more than this process is
    allowed (ulimit -v)."""
    chosen = settings()
    memory = int(chosen.decode_memory_gib * 2**30)
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    return Limits(
        memory_bytes=memory if allowed == resource.RLIM_INFINITY else min(memory, allowed),
        heartbeat_timeout_s=chosen.decode_timeout_s,
    )


def apply_limits(limits: Limits) -> None:
    """Limits this process for good. Call it before anything large is imported."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS accepts the call and ignores it
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def extend_cpu_time(limits: Limits) -> None:
    """Allows `heartbeat_timeout_s` more on every core; then the kernel kills this process, even if
    its parent is gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    more = limits.heartbeat_timeout_s * (os.cpu_count() or 1)
    end = int(used.ru_utime + used.ru_stime + more) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
