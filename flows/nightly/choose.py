"""Which episodes a night takes, in which order, and which it leaves out. Pure.

The higher priority first; among equals the show that is furthest below its share by weight; then
the order of the file. What does not fit into the time and budget left is left out whole, and what
comes behind it may still go if it fits: nothing that is left out would have fitted without what
was taken before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flows.forecast.forecast import Forecast
from flows.words import duration_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An episode that may be chosen. `place` is its line in the file, from 0."""

    episode: str
    show: str
    priority: int
    place: int
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left of a night: seconds to the deadline and budget; None: no limit."""

    seconds: float | None = None
    gpu_hours: float | None = None
    cpu_hours: float | None = None
    money: float | None = None

    def less(self, work: Forecast) -> Remaining:
        """What is left after an episode of this forecast."""
        return Remaining(
            seconds=_less(self.seconds, work.finish_p90_s),
            gpu_hours=_less(self.gpu_hours, work.gpu_hours),
            cpu_hours=_less(self.cpu_hours, work.cpu_hours),
            money=_less(self.money, work.money),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An episode that does not go, and why."""

    candidate: Candidate
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The episodes taken, in order, and those left out."""

    taken: tuple[Candidate, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shows' weights, and the device hours that each has had (in past nights and tonight)."""

    weights: Mapping[str, float]
    used: Mapping[str, float] = field(default_factory=dict)

    def served(self, show: str) -> float:
        """Hours had per weight: the show with the least is furthest below its share."""
        return self.used.get(show, 0.0) / self.weights.get(show, 1.0)

    def after(self, show: str, hours: float) -> Shares:
        """The shares once a show has had more hours."""
        return replace(self, used={**self.used, show: self.used.get(show, 0.0) + hours})


def choose_episodes(
    candidates: Sequence[Candidate], *, shares: Shares, remaining: Remaining, currency: str = ""
) -> Choice:
    """What a night takes with what it has left."""
    taken: list[Candidate] = []
    left_out: list[LeftOut] = []
    waiting = list(candidates)
    while waiting:
        candidate = min(waiting, key=lambda each: _turn(each, shares))
        waiting.remove(candidate)
        why = why_not(candidate.forecast, remaining, currency=currency)
        if why:
            left_out.append(LeftOut(candidate=candidate, why=why))
            continue
        taken.append(candidate)
        remaining = remaining.less(candidate.forecast)
        shares = shares.after(candidate.show, hours(candidate.forecast))
    return Choice(taken=tuple(taken), left_out=tuple(left_out))


def hours(work: Forecast) -> float:
    """Device hours, GPUs and cores alike: what shows share."""
    return work.gpu_hours + work.cpu_hours


def why_not(work: Forecast, remaining: Remaining, *, currency: str = "") -> str:
    """By how much an episode would go over what is left; empty where it fits."""
    if remaining.seconds is not None and work.finish_p90_s > remaining.seconds:
        late = duration_words(work.finish_p90_s - remaining.seconds)
        left = duration_words(max(0.0, remaining.seconds))
        return (
            f"would end {late} after the deadline "
            f"(p90 {duration_words(work.finish_p90_s)}, {left} left)"
        )
    for unit, needed, left_over in (
        ("GPU-hours", work.gpu_hours, remaining.gpu_hours),
        ("CPU-hours", work.cpu_hours, remaining.cpu_hours),
        (currency or "money", work.money, remaining.money),
    ):
        if left_over is not None and needed > left_over:
            return (
                f"needs {needed:.3g} {unit}, {max(0.0, left_over):.3g} left "
                f"({needed - max(0.0, left_over):.3g} over the budget)"
            )
    return ""


def _turn(candidate: Candidate, shares: Shares) -> tuple[float, float, int]:
    return (-candidate.priority, shares.served(candidate.show), candidate.place)


def _less(left: float | None, taken: float) -> float | None:
    return None if left is None else left - taken
