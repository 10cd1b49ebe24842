"""What the logs of sleeping workers say: who had the farm when, and whether anything was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Slept:
    """A chunk that a worker was at, from `began` to `ended` (inf: it is still, or never came to an
    end)."""

    key: str
    began: float
    ended: float = float("inf")


def read_log(folder: Path) -> list[Slept]:
    """What an episode's workers did, in order."""
    try:
        lines = (folder / "log").read_text().splitlines()
    except FileNotFoundError:
        return []
    slept: list[Slept] = []
    open_: dict[tuple[str, str], int] = {}
    for line in lines:
        at, what, key, pid = line.split()
        if what == "begun":
            open_[key, pid] = len(slept)
            slept.append(Slept(key=key, began=float(at)))
        else:
            number = open_.pop((key, pid))
            slept[number] = Slept(key=key, began=slept[number].began, ended=float(at))
    return slept


def busy_s(slept: Iterable[Slept], start: float, end: float) -> float:
    """Seconds of work between two moments."""
    return sum(max(0.0, min(one.ended, end) - max(one.began, start)) for one in slept)


def at_work(slept: Iterable[Slept], at: float) -> int:
    """How many workers were at work at a moment."""
    return sum(one.began <= at < one.ended for one in slept)


def first_at(slept: Sequence[Slept], count: int) -> float | None:
    """The first moment at which so many workers were at work at once; None: never."""
    return next((one.began for one in slept if at_work(slept, one.began) >= count), None)


def made_twice(slept: Iterable[Slept]) -> int:
    """How many chunks were made more than once."""
    made = Counter(one.key for one in slept if one.ended < float("inf"))
    return sum(count > 1 for count in made.values())


def lost(slept: Iterable[Slept], before: float) -> int:
    """How many chunks that were begun before a moment were neither made, nor begun again."""
    found = list(slept)
    made = {one.key for one in found if one.ended < float("inf")}
    return len({one.key for one in found if one.began < before} - made)
