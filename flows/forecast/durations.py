"""How long a work item takes, from what similar work took before. Pure.

Near beats far: receipts of the same parameters, size and length come first, others only where there
are none, scaled by how time has grown with pixels and frames (in proportion, until two sizes or
lengths were seen). One receipt is drawn at a time, so that load, compute and store stay together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, variance

NEAREST = 200
"""Receipts that one estimate rests on at the most, the latest of the nearest."""
NEAR = 0.35
"""Receipts so much farther than the nearest still count as near; as a ratio of sizes, 1.4."""
FEW = 8
"""With fewer near receipts, farther ones say how much times scatter."""
SCATTER = 0.2
"""How much times of similar chunks scatter (log) where too few were seen to say."""
RUNS_SCATTER = 0.08
"""How much runs as a whole differ (log) where fewer than three were seen."""
FAR_OUT = 3.5
"""Robust standard deviations (log) from the median; a time beyond is taken as one just there."""
OTHER_PARAMETERS = 0.7
"""Distance of work with other parameters: as if it were twice as large."""
OTHER_ENGINE = 3.0
"""Distance of work of the same stages by another engine or version: twenty times as large."""
LEAST_S = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A chunk or segment to make: what its time depends on. `kind` as in `tasks.worker.work_class`,
    "" for not known; `pixels` are of one frame made, 0 for not known."""

    stage: str
    kind: str
    model: str
    device: str
    pixels: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a work item took or may take: seconds of its worker, bytes stored."""

    load_s: float
    compute_s: float
    store_s: float
    bytes_out: float

    @property
    def seconds(self) -> float:
        """All of its seconds."""
        return self.load_s + self.compute_s + self.store_s

    def slower(self, factor: float) -> Timing:
        """The same, slower by a factor."""
        return self.scaled(factor, 1.0)

    def scaled(self, time: float, size: float) -> Timing:
        """The same, its seconds and its bytes multiplied."""
        return Timing(
            load_s=self.load_s * time,
            compute_s=self.compute_s * time,
            store_s=self.store_s * time,
            bytes_out=self.bytes_out * size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A receipt: what a work item of a run took."""

    work: Work
    run: str
    took: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a work item may take: equally likely outcomes. `unsure` is how far their level as a
    whole may be off (log): runs differ by more than their chunks' scatter, and few were seen.
    `samples` receipts were near enough to count; `far` says that they are of another engine, or of
    frames of another size."""

    draws: tuple[Timing, ...]
    unsure: float
    samples: int
    far: bool

    @property
    def expected(self) -> Timing:
        """The mean outcome."""
        return Timing(
            load_s=fmean(draw.load_s for draw in self.draws),
            compute_s=fmean(draw.compute_s for draw in self.draws),
            store_s=fmean(draw.store_s for draw in self.draws),
            bytes_out=fmean(draw.bytes_out for draw in self.draws),
        )


class Durations:
    """Estimates from receipts, the latest last."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_stage: dict[tuple[str, str], dict[Work, list[Sample]]] = defaultdict(dict)
        for one in samples:
            stage = self._by_stage[one.work.stage, one.work.device]
            stage.setdefault(one.work, []).append(one)
        self._similar: dict[Work, _SimilarWork | None] = {}
        self._known: dict[Work, Estimate | None] = {}

    def of(self, work: Work) -> Estimate | None:
        """What a work item may take; None where no receipt is of its stages, model and device."""
        if work not in self._known:
            sizeless = replace(work, pixels=0, frames=0)
            if sizeless not in self._similar:
                self._similar[sizeless] = _similar_work(
                    work, self._by_stage[work.stage, work.device]
                )
            similar = self._similar[sizeless]
            self._known[work] = _estimate(work, similar) if similar else None
        return self._known[work]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SimilarWork:
    """The receipts of the work most alike some work, by size and length, with how far that is from
    it, and the powers with which its time grows with pixels and frames."""

    groups: tuple[tuple[float, Work, Sequence[Sample]], ...]
    by_pixels: float
    by_frames: float


def _similar_work(work: Work, samples: Mapping[Work, Sequence[Sample]]) -> _SimilarWork | None:
    groups = [
        (_work_distance(work, other), other, receipts)
        for other, receipts in samples.items()
        if not (other.model and work.model) or other.model == work.model
    ]
    if not groups:
        return None
    nearest = min(far for far, _, _ in groups)
    similar = tuple(group for group in groups if group[0] < nearest + 1)
    receipts = [one for _, _, group in similar for one in group]
    return _SimilarWork(
        groups=similar,
        by_pixels=_growth(receipts, lambda one: one.pixels, lambda one: one.frames),
        by_frames=_growth(receipts, lambda one: one.frames, lambda one: one.pixels),
    )


def _estimate(work: Work, similar: _SimilarWork) -> Estimate:
    placed = sorted(
        ((far + _size_distance(work, other), receipts) for far, other, receipts in similar.groups),
        key=lambda entry: entry[0],
    )
    nearest = placed[0][0]
    near = [one for far, group in placed if far <= nearest + NEAR for one in group[-NEAREST:]]
    near = near[:NEAREST]
    scaled = [_scaled(one, work, similar) for one in near]
    level = _level(scaled)
    if len(near) < FEW:
        rest = [one for far, group in placed if far > nearest + NEAR for one in group[-FEW:]]
        others = [_scaled(one, work, similar) for one in rest[: FEW * 4]]
        if others:
            shift = math.exp(level - _level(others))
            scaled += [other.slower(shift) for other in others]
    draws = _without_outliers(scaled, level)
    return Estimate(
        draws=tuple(draws),
        unsure=_unsure(near, [_log(one) for one in draws[: len(near)]]),
        samples=len(near),
        far=not any(
            far < OTHER_ENGINE and _pixel_distance(work, other) <= NEAR
            for far, other, _ in similar.groups
        ),
    )


def _work_distance(work: Work, other: Work) -> float:
    """How far the work itself is from other work, whatever the size."""
    if not work.kind or not other.kind or work.kind == other.kind:
        return 0.0 if work.kind == other.kind else OTHER_PARAMETERS
    same_engine = work.kind.partition(".")[0] == other.kind.partition(".")[0]
    return OTHER_PARAMETERS if same_engine else OTHER_ENGINE


def _size_distance(work: Work, other: Work) -> float:
    length = abs(math.log(max(1, work.frames) / max(1, other.frames)))
    return _pixel_distance(work, other) + length / 2


def _pixel_distance(work: Work, other: Work) -> float:
    return abs(math.log(work.pixels / other.pixels)) if work.pixels and other.pixels else 1.0


def _scaled(one: Sample, work: Work, similar: _SimilarWork) -> Timing:
    pixels = work.pixels / one.work.pixels if work.pixels and one.work.pixels else 1.0
    frames = max(1, work.frames) / max(1, one.work.frames)
    return one.took.scaled(pixels**similar.by_pixels * frames**similar.by_frames, pixels * frames)


def _growth(
    samples: Sequence[Sample], what: Callable[[Work], int], other: Callable[[Work], int]
) -> float:
    """The power with which time grows with a size, from 0 to 1: the slope between the mean log
    times of the sizes seen, all else equal; 1 until two sizes were seen often enough."""
    groups: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in samples:
        if what(one.work):
            groups[other(one.work)][what(one.work)].append(_log(one.took))
    above = below = 0.0
    for sizes in groups.values():
        points = [
            (math.log(size), median(logs), len(logs))
            for size, logs in sizes.items()
            if len(logs) >= 3
        ]
        if len(points) < 2:
            continue
        count = sum(n for *_, n in points)
        x0 = sum(x * n for x, _, n in points) / count
        y0 = sum(y * n for _, y, n in points) / count
        above += sum((x - x0) * (y - y0) * n for x, y, n in points)
        below += sum((x - x0) ** 2 * n for x, _, n in points)
    return min(1.0, max(0.0, above / below)) if below > 0.1 else 1.0


def _log(took: Timing) -> float:
    return math.log(max(took.seconds, LEAST_S))


def _level(took: Sequence[Timing]) -> float:
    return median(_log(one) for one in took)


def _without_outliers(draws: Sequence[Timing], level: float) -> list[Timing]:
    """Draws with those far out brought nearer; with the usual scatter where there are too few."""
    if len(draws) < FEW:
        spread = (-1.5, -0.9, -0.4, 0.0, 0.4, 0.9, 1.5)
        return [draw.slower(math.exp(SCATTER * z)) for draw in draws for z in spread]
    robust = 1.4826 * median(abs(_log(draw) - level) for draw in draws)
    most = FAR_OUT * max(robust, SCATTER / 2)
    excess = [abs(_log(draw) - level) - most for draw in draws]
    return [
        draw if over <= 0 else draw.slower(math.exp(-math.copysign(over, _log(draw) - level)))
        for draw, over in zip(draws, excess, strict=True)
    ]


def _unsure(near: Sequence[Sample], logs: Sequence[float]) -> float:
    """How far the level of another run may be from that of these."""
    if len(near) < FEW:
        return SCATTER
    by_run: dict[str, list[float]] = defaultdict(list)
    for one, log in zip(near, logs, strict=True):
        by_run[one.run].append(log)
    runs = [values for values in by_run.values() if len(values) >= 2]
    within = fmean(variance(values) for values in runs) if runs else 0.0
    between = RUNS_SCATTER**2
    if len(by_run) >= 3:
        levels = [fmean(values) for values in by_run.values()]
        chance = fmean(within / len(values) for values in by_run.values())
        between = max(0.0, variance(levels) - chance)
    count = len(by_run)
    return math.sqrt(between * (1 + 1 / count) + within / len(logs))
