"""The device that a worker's networks run on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a worker runs: torch device type ("cpu" or "cuda"), tile edge (0: whole frames).

    A worker computes with one thread, always: networks split their sums by the number of threads,
    so that two give other last bits than one. More cores are used by more workers.
    """

    kind: str = "cpu"
    tile: int = 0
