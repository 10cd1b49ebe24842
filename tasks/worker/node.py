"""What a worker finds on the machine that it runs on: a cache of its own, room, the run's store."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cluster.errors import DougaError
from cluster.settings import home_folder
from cluster.store.base import Store

STORE, THE_RUNS = "the store", "the run's"
"""By which name a worker tells of its store, and what it says of the right one."""
DISK, MEMORY, ENOUGH = "free disk", "free memory", "enough"
"""The same of its room."""
SPARE_BYTES = 256 << 20
"""Disk that a worker needs besides its sources: indices, and what a segment's encoder writes."""


def node_cache() -> Path:
    """The cache folder of this machine: in douga's home here, or in the temporary folder where that
    cannot be written. Whoever started the run may be another user on another machine."""
    try:
        return home_folder("cache")
    except DougaError:
        return Path(tempfile.gettempdir()) / f"douga-cache-{os.getuid()}"


def store_seen(store: Store, name: str) -> str:
    """THE_RUNS if an object of the run is in this machine's store, else what is there. Listed: a
    worker's key may look at what is there, and reads little of it."""
    try:
        there = any(stored.name == name for stored in store.list(name))
        return THE_RUNS if there else f"another one at {store.url}"
    except DougaError as error:
        return f"not to be reached ({error.what})"


def disk_seen(cache: Path, needs_bytes: int) -> str:
    """ENOUGH if the disk of the cache folder takes so many bytes and some to spare, else how much
    is free and what for."""
    at = next(folder for folder in (cache, *cache.parents) if folder.exists())
    try:
        free = shutil.disk_usage(at).free
    except OSError:  # what no system call tells, the first write will
        return ENOUGH
    needs_bytes += SPARE_BYTES
    return ENOUGH if free >= needs_bytes else f"{_gib(free)} of {_gib(needs_bytes)} at {at}"


def memory_seen(needs_bytes: int) -> str:
    """ENOUGH if one worker more finds its memory on this machine, else how much is free."""
    free = free_memory_bytes()
    return ENOUGH if free >= needs_bytes else f"{_gib(free)} of {_gib(needs_bytes)}"


def free_memory_bytes() -> int:
    """The memory that this machine could give to programs now, its caches included."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return free
    told = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return max(free, next(told, free))


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
