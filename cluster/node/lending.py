"""When a machine is the farm's: by its hours, its owner's absence, a cloud's notice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from cluster.errors import ClusterError, UsageError
from cluster.node.idle import Idle, find_idle
from cluster.node.notice import Notice

HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
WAIT = re.compile(r"(\d+)(s|m|h)")
UNIT_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """From when to when of each day, by this machine's clock; over midnight where it ends first."""

    start: time
    end: time

    def hold(self, now: time) -> bool:
        """Whether it is within them."""
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Why the machine is not the farm's now; until when, where that is known. Ray must have left
    within `within_s` (None: as soon as the chunks in hand are done). Nobody is at it where it
    `may_sleep`."""

    why: str
    until: str = ""
    within_s: float | None = None
    may_sleep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """The rule by which a machine is lent; with neither hours, idle time nor notice: always."""

    hours: Hours | None = None
    idle_s: float = 0.0
    idle: Callable[[], Idle] = find_idle
    notice: Callable[[], Notice | None] = lambda: None
    clock: Callable[[], datetime] = datetime.now

    def away(self) -> Away | None:
        """Why the machine is not the farm's now; None if it is."""
        if notice := self.notice():
            return Away(why=notice.what, until=notice.at, within_s=notice.within_s)
        idle_s = self.idle().seconds if self.idle_s else None
        here = idle_s is not None and idle_s < self.idle_s
        unsure = bool(self.idle_s) and idle_s is None
        if self.hours and not self.hours.hold(self.clock().time()):
            until = f"{self.hours.start:%H:%M}"
            return Away(why=f"lent {self.hours} only", until=until, may_sleep=not (here or unsure))
        return Away(why="its owner is there") if here else None

    def check(self) -> str:
        """A line for people where it cannot be known whether the owner is there; "" where it can.
        ClusterError where nothing else says when the machine is the farm's."""
        if not self.idle_s or (idle := self.idle()).seconds is not None:
            return ""
        if not self.hours:
            raise ClusterError(
                f"nothing says whether the owner is there ({idle.why})",
                where="--when-idle",
                remedy="give --hours",
            )
        return f"nothing says whether the owner is there ({idle.why}); lent by its hours alone"


def read_hours(text: str) -> Hours | None:
    """`20:00-08:00`; "": none. UsageError for anything else."""
    if not text:
        return None
    if found := HOURS.fullmatch(text.strip()):
        first, minute, last, to_minute = (int(number) for number in found.groups())
        try:
            hours = Hours(start=time(first, minute), end=time(last, to_minute))
        except ValueError:
            pass
        else:
            if hours.start != hours.end:
                return hours
    raise UsageError(f"expected hours such as 20:00-08:00, got {text[:40]!r}", where="--hours")


def read_wait(text: str) -> float:
    """`10m`, `90s` or `1h` in seconds; "": 0. UsageError for anything else."""
    if not text:
        return 0.0
    if (found := WAIT.fullmatch(text.strip())) and int(found[1]):
        return float(int(found[1]) * UNIT_S[found[2]])
    raise UsageError(f"expected a time such as 10m, got {text[:40]!r}", where="--when-idle")
