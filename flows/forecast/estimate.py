"""What a plan costs and when it will be done: history read, the farm simulated many times."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from statistics import NormalDist, quantiles

from cluster.pool.spec import PoolSpec
from cluster.settings import settings
from flows.farm.shot import shots_at_once
from flows.forecast.calibrate import calibrate_works
from flows.forecast.durations import Durations, Estimate, Timing, Work
from flows.forecast.forecast import Forecast
from flows.forecast.history import History, read_earlier_runs
from flows.forecast.makespan import GPU, makespan_s
from flows.forecast.overhead import learn_overhead
from flows.forecast.startup import startup_s
from flows.forecast.work import Todo, todo_of, workers_for
from flows.plan.prepare import Prepared
from flows.progress import Reporter, Silent
from flows.words import count_words

HOUR_S = 3600
SEED = 20
MOST_ITEMS = 20_000
"""Work items that are simulated in all: about a third of a second's work."""
LEAST, MOST = 12, 250
"""How many times a plan is simulated; the least is enough for a bar."""
NOTHING_LEFT = Forecast(
    chunks=0,
    gpu_hours=0.0,
    cpu_hours=0.0,
    bytes_put=0,
    money=0.0,
    finish_p50_s=0.0,
    finish_p90_s=0.0,
    basis="none",
    based_on="everything is stored",
)


def forecast(
    prepared: Prepared,
    *,
    workers: int = 0,
    calibrate: bool = True,
    plays: int = MOST,
    reporter: Reporter | None = None,
) -> Forecast:
    """What a render of this plan is expected to take, as a whole command, from what similar work
    and earlier runs of the same store took. Writes nothing to the store; the same store and plan
    give the same forecast.

    `workers` 0: as many as the farm would have. Work of which nothing is known is tried here on a
    few frames, reported to `reporter`, unless `calibrate` is False. What is still unknown then is
    in no number, both times are 0, `basis` is "none", and `based_on` says what is not known.
    """
    if not any(prepared.plan.has_work(shot) for shot in prepared.plan.shots):
        return NOTHING_LEFT
    pools = workers_for(prepared, workers)
    todo = todo_of(prepared, pools)
    history = read_earlier_runs(prepared.store, stages={work.stage for work in todo.works})
    if prepared.request.ray and not (workers or prepared.request.workers) and history.runs:
        pools = workers_for(prepared, history.runs[0].workers)
    durations = Durations(history.samples)
    tried = _unknown(todo, durations) if calibrate else []
    if tried:
        fresh = calibrate_works(prepared, todo, tried, pools, reporter or Silent())
        durations = Durations([*history.samples, *fresh])
    estimates = [durations.of(work) for work in todo.works]
    known = [estimate for estimate in estimates if estimate is not None]
    unknown = sorted({todo.works[i].stage for i, each in enumerate(estimates) if each is None})
    cost = _cost(todo, estimates, pools)
    p50 = p90 = 0.0
    if not unknown:
        p50, p90 = _finish(prepared, todo, known, history, pools, plays=plays)
    return Forecast(
        chunks=todo.chunks,
        gpu_hours=cost.gpu_hours,
        cpu_hours=cost.cpu_hours,
        bytes_put=cost.bytes_put,
        money=cost.money,
        finish_p50_s=p50,
        finish_p90_s=p90,
        basis="none" if unknown else "calibration" if tried else "history",
        based_on=_words(todo, durations, sorted({work.stage for work in tried}), unknown),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    gpu_hours: float
    cpu_hours: float
    bytes_put: int
    money: float


def _cost(todo: Todo, estimates: Sequence[Estimate | None], pools: Mapping[str, PoolSpec]) -> _Cost:
    """A worker of a GPU keeps that busy, any other one core."""
    gpu_s = cpu_s = size = 0.0
    for step in (step for shot in todo.shots for step in shot):
        for item in step.items:
            estimate = estimates[item]
            if estimate is None:
                continue
            size += estimate.expected.bytes_out
            if step.pool == GPU:
                gpu_s += estimate.expected.seconds
            else:
                cpu_s += estimate.expected.seconds
    prices = settings()
    gpu_hours, cpu_hours = gpu_s / HOUR_S, cpu_s / HOUR_S
    return _Cost(
        gpu_hours=gpu_hours,
        cpu_hours=cpu_hours,
        bytes_put=round(size),
        money=gpu_hours * prices.gpu_hour_price + cpu_hours * prices.cpu_hour_price,
    )


def _finish(
    prepared: Prepared,
    todo: Todo,
    estimates: Sequence[Estimate],
    history: History,
    pools: Mapping[str, PoolSpec],
    *,
    plays: int,
) -> tuple[float, float]:
    """Seconds that half, and nine of ten, of renders take at the most."""
    workers = {pool: spec.workers for pool, spec in pools.items()}
    at_once = shots_at_once(sum(workers.values()))
    chance = random.Random(SEED)

    def play(took: Sequence[Timing]) -> float:
        return makespan_s(todo.shots, took, workers=workers, at_once=at_once)

    expected = [estimate.expected for estimate in estimates]
    busy = sum(each.seconds for each in expected)
    shares = zip(estimates, expected, strict=True)
    unsure = sum(each.unsure * took.seconds for each, took in shares) / busy if busy else 0.0
    overhead = learn_overhead(
        history.runs,
        episode=prepared.name,
        film_frames=todo.film_frames,
        played_s=play(expected),
    )
    ends = []
    for z in _normal(max(LEAST, min(plays, MOST_ITEMS // len(todo.works))), chance):
        played = play([chance.choice(estimate.draws) for estimate in estimates])
        played *= exp(unsure * z)
        ends.append(played + overhead.draw(chance, played_s=played))
    deciles = quantiles(ends, n=10, method="inclusive")
    command = startup_s()
    return round(deciles[4] + command, 1), round(deciles[8] + command, 1)


def _normal(count: int, chance: random.Random) -> list[float]:
    """Normal deviates in no order, evenly from all of the distribution however few there are."""
    deviates = [NormalDist().inv_cdf((at + 0.5) / count) for at in range(count)]
    chance.shuffle(deviates)
    return deviates


def _unknown(todo: Todo, durations: Durations) -> list[Work]:
    """The longest work item of each kind and size of which there is no receipt."""
    longest: dict[tuple[str, str, str, int], Work] = {}
    for work in todo.works:
        estimate = durations.of(work)
        if estimate is None or estimate.far:
            kind = (work.stage, work.kind, work.device, work.pixels)
            if kind not in longest or longest[kind].frames < work.frames:
                longest[kind] = work
    return list(longest.values())


def _words(todo: Todo, durations: Durations, tried: Sequence[str], unknown: Sequence[str]) -> str:
    """Where the numbers come from, for people."""
    receipts: dict[str, int] = {}
    for work in set(todo.works):
        estimate = durations.of(work)
        if estimate and work.stage not in tried:
            receipts[work.stage] = max(receipts.get(work.stage, 0), estimate.samples)
    chunks = sum(count for stage, count in receipts.items() if stage != "encode")
    parts = []
    if chunks:
        parts.append(f"{count_words(chunks, 'chunk')} of history")
    elif receipts:
        parts.append(f"{count_words(receipts['encode'], 'segment')} of history")
    if tried and not set(tried) <= set(unknown):
        parts.append(f"a short calibration here of {', '.join(tried)}")
    if unknown:
        parts.append(f"nothing known of {', '.join(unknown)}")
    return " and ".join(parts)
