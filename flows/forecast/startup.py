"""Seconds that the command takes around a render here: to start, and to end its farm."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from statistics import median

from cluster.cache import read_cached, write_cached
from cluster.errors import DougaError
from cluster.settings import home_folder
from flows.runs.record import process_start

TYPICAL_S = 2.5
"""Where none was measured: imports before, ending Ray and Prefect after, on two idle cores."""
KEPT = 9


def record_startup(wall_s: float) -> None:
    """Record how long this process has lived beyond the `wall_s` of its render; nothing where that
    is not known or cannot be written."""
    began = _process_began()
    if began is None:
        return
    around = time.clock_gettime(time.CLOCK_BOOTTIME) - began - wall_s
    try:
        file = _file()
    except DougaError:
        return
    kept = [*_known(file), round(max(0.0, around), 2)][-KEPT:]
    write_cached(file, json.dumps(kept))


def startup_s() -> float:
    """Seconds that the command takes beyond its render: the median of the last ones here."""
    try:
        known = _known(_file())
    except DougaError:
        known = []
    return median(known) if known else TYPICAL_S


def _file() -> Path:
    return home_folder("cache/forecast") / "command.json"


def _known(file: Path) -> list[float]:
    return read_cached(file, lambda text: [float(value) for value in json.loads(text)]) or []


def _process_began() -> float | None:
    """When this process began, in seconds since boot; None where that is not said."""
    ticks = process_start(os.getpid())
    return int(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None
