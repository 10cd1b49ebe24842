"""What a plan is expected to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["history", "calibration", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Expected work of a plan. Hours are of busy devices, seconds of the wall clock from now.

    `money` is in the currency of the settings' rates, 0 where none are set. Half of all renders end
    before `finish_p50_s`, nine of ten before `finish_p90_s`. `basis` says where the durations come
    from ("none": nothing is to be made), `based_on` in words, for people.
    """

    chunks: int
    gpu_hours: float
    cpu_hours: float
    bytes_put: int
    money: float
    finish_p50_s: float
    finish_p90_s: float
    basis: Basis
    based_on: str
