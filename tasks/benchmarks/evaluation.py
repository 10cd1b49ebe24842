"""Every way on every case, held against the truth in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Literal

import numpy as np

from tasks.metrics.flicker import flicker
from tasks.metrics.ink import line_distance
from tasks.metrics.scores import Frame, mean_db, psnr, ssim

Kind = Literal["reference", "ours", "peer", "bound"]
"""bound: chosen by the truth, so that nothing made of the same pictures can do better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What methods are given, and what they should make of it.

    `truth` and `inputs` are (H, W, 3) uint8 R'G'B'. `source` is where it comes from, `name` a
    caption. `beside` are true frames next to it in time, shown unchanged before or after it;
    `follows` says that the case before this one is the frame before it.
    """

    source: str
    name: str
    inputs: tuple[Frame, ...]
    truth: Frame
    beside: tuple[Frame, ...] = ()
    follows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to make the picture of a case from its inputs; `name` as tables have it.

    `default` marks the one that a render takes when nobody chooses.
    """

    name: str
    kind: Kind
    make: Callable[..., Frame]
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One picture: dB, SSIM, pixels that lines are off, codes of flicker, seconds it took.

    NaN where there is nothing to tell: no lines, nothing that stands still, no time of its own.
    """

    psnr: float
    ssim: float
    lines: float
    flicker: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A method's means over cases; `ms` is milliseconds per picture. None: nothing to tell.

    `regions` and `pixels` are shares of 1 in the right colour, where regions are painted.
    """

    method: str
    kind: Kind
    default: bool
    cases: int
    psnr: float
    ssim: float
    lines_px: float | None
    flicker: float | None
    ms: float | None
    regions: float | None = None
    pixels: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of ways, by their names, on cases, in order."""

    ways: tuple[Way, ...]
    sources: tuple[str, ...]
    follows: tuple[bool, ...]
    scores: Mapping[str, tuple[Score, ...]]

    def rows(self, source: str | None = None) -> tuple[Row, ...]:
        """Means per way over all cases, or over those of one source."""
        taken = [k for k, name in enumerate(self.sources) if source in (None, name)]
        return tuple(_row(way, [self.scores[way.name][k] for k in taken]) for way in self.ways)

    def worst(self, count: int) -> list[int]:
        """The cases, by number, on which the default way is farthest from the truth.

        Of cases that follow one another only the worse one.
        """
        psnr_of = [score.psnr for score in self.scores[default_of(self.ways).name]]
        taken: list[int] = []
        for k in sorted(range(len(psnr_of)), key=psnr_of.__getitem__):
            after_taken = self.follows[k] and k - 1 in taken
            before_taken = k + 1 in taken and self.follows[k + 1]
            if not after_taken and not before_taken and len(taken) < count:
                taken.append(k)
        return taken


Bounds = Callable[[Mapping[str, Frame], Frame], Mapping[str, Frame]]
"""Pictures by way and the truth → further pictures that only the truth could choose."""


def evaluate(
    cases: Iterable[Case],
    ways: Sequence[Way],
    *,
    border: int = 0,
    bounds: Bounds | None = None,
    progress: Callable[[], None] | None = None,
) -> Evaluation:
    """Make every case's picture in every way and score it; `progress` is told of each case.

    `border` pixels at each edge count in no score. Cases are taken one by one, so that they may
    be read while it runs. A way that gives a picture of another size is a ValueError.
    """
    sources: list[str] = []
    follows: list[bool] = []
    scores: dict[str, list[Score]] = {}
    last: tuple[Frame, dict[str, Frame]] | None = None
    for case in cases:
        sources.append(case.source)
        follows.append(case.follows)
        made: dict[str, Frame] = {}
        took: dict[str, float] = {}
        for way in ways:
            began = time.perf_counter()
            made[way.name] = way.make(*case.inputs)
            took[way.name] = time.perf_counter() - began
            _check(way, made[way.name], case)
        if bounds:
            made |= bounds(made, case.truth)
        for name, picture in made.items():
            beside = [(frame, frame) for frame in case.beside]
            if case.follows and last:
                beside.append((last[1][name], last[0]))
            score = score_picture(
                picture, case.truth, beside=beside, border=border, seconds=took.get(name, nan)
            )
            scores.setdefault(name, []).append(score)
        last = case.truth, made
        if progress:
            progress()
    known = {way.name for way in ways}
    extra = [Way(name=name, kind="bound", make=_none) for name in scores if name not in known]
    return Evaluation(
        ways=(*ways, *extra),
        sources=tuple(sources),
        follows=tuple(follows),
        scores={name: tuple(every) for name, every in scores.items()},
    )


def score_picture(
    made: Frame,
    truth: Frame,
    *,
    beside: Sequence[tuple[Frame, Frame]] = (),
    border: int = 0,
    seconds: float = nan,
) -> Score:
    """The score of one picture. `beside` are frames next to it in time: (as made, as true)."""
    rows, columns = (slice(border, side - border) for side in truth.shape[:2])
    made, truth = made[rows, columns], truth[rows, columns]
    near = [(frame[rows, columns], true[rows, columns]) for frame, true in beside]
    return Score(
        psnr=psnr(made, truth),
        ssim=ssim(made, truth),
        lines=line_distance(made, truth),
        flicker=flicker(made, truth, beside=near),
        seconds=seconds,
    )


def default_of(ways: Sequence[Way]) -> Way:
    """The way that a render takes; the first of ours where none says so, else the first."""
    ours = [way for way in ways if way.kind == "ours"]
    return next((m for m in ours if m.default), (ours or list(ways))[0])


def _row(way: Way, some: Sequence[Score]) -> Row:
    return Row(
        method=way.name,
        kind=way.kind,
        default=way.default,
        cases=len(some),
        psnr=mean_db(score.psnr for score in some),
        ssim=_mean([score.ssim for score in some]),
        lines_px=_told(_mean([score.lines for score in some])),
        flicker=_told(_mean([score.flicker for score in some])),
        ms=_told(1000 * _mean([score.seconds for score in some])),
    )


def _mean(values: Sequence[float]) -> float:
    """The mean of what is a number; NaN for none."""
    told = [value for value in values if not np.isnan(value)]
    return float(np.mean(told)) if told else nan


def _told(value: float) -> float | None:
    return None if np.isnan(value) or value == inf else value


def _check(way: Way, made: Frame, case: Case) -> None:
    if made.shape != case.truth.shape or made.dtype != np.uint8:
        raise ValueError(
            f"{way.name} on {case.source} {case.name}: expected uint8 {case.truth.shape}, "
            f"got {made.dtype} {made.shape}"
        )


def _none(*_: Frame) -> Frame:
    raise ValueError("a bound is chosen by the truth, it cannot be made without")
