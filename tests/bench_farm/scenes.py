"""What is played on a farm of sleeping workers, and what is measured of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench_farm.farm import Provider, SleepingFarm, sleeping_farm
from tests.bench_farm.figures import Slept, at_work, busy_s, lost, made_twice
from tests.servers.ray_nodes import ray_nodes

PATIENCE_S = 900.0
SETTLES_WITHIN_S = 60.0
WEIGHTS = {"long": 2.0, "one": 1.0, "two": 1.0}
"""The day's episodes."""
URGENT_SHARE = 0.8
STEADY = "steady"
"""The file that says that the shares are measured from now on."""
AT_ONCE = 2
"""How many of the queued episodes run at once: what admission lets through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a benchmark is: workers, seconds of a chunk and of the window in which shares are
    measured; chunks of each queued episode and their seconds; chunks of the episode on a farm that
    begins with no node, and the CPUs of each node that is brought, which goes when it has idled
    for `idle_s`."""

    workers: int
    chunk_s: float
    window_s: float
    queued: int
    queued_chunk_s: float
    from_zero: int
    node_cpus: int
    idle_s: float


FULL = Size(
    workers=16,
    chunk_s=30.0,
    window_s=600.0,
    queued=208,
    queued_chunk_s=12.0,
    from_zero=520,
    node_cpus=4,
    idle_s=3.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure beside what it may be at the most."""

    name: str
    value: float
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether it keeps to the limit."""
        return self.value <= self.limit


def play_day(folder: Path, size: Size) -> list[Measured]:
    """A full farm, a second and a third episode on it, their shares, then urgent work."""
    many = round(2 * size.workers * (size.window_s / size.chunk_s + 10))
    with ray_nodes(1, cpus=0) as ray, sleeping_farm(folder, ray, chunk_s=size.chunk_s) as farm:
        ray.add(num_cpus=size.workers)
        day = [farm.start("long", chunks=many, weight=WEIGHTS["long"])]
        _until(farm, lambda: _busy(farm) >= size.workers)
        for name in ("one", "two"):
            day.append(farm.start(name, chunks=many, weight=WEIGHTS[name]))
        _until(farm, lambda: all(render.slept for render in day))
        second = min(day[1:], key=lambda render: render.slept[0].began - render.started)
        began = time.time() + 2 * size.chunk_s  # until each has its share
        (folder / STEADY).touch()
        farm.wait(lambda: time.time() > began + size.window_s, within_s=PATIENCE_S)
        worked = [busy_s(render.slept, began, began + size.window_s) for render in day]

        urgent = farm.start("urgent", chunks=10 * size.workers, queue="urgent")
        _until(farm, lambda: '"urgent"' in farm.leases())
        joined = time.time()
        wanted = min(_least(URGENT_SHARE * size.workers), size.workers - len(day))  # each keeps one
        _until(farm, lambda: at_work(urgent.slept, time.time()) >= wanted)
        came = time.time()
        everybody = _settled(farm, came)
        stops_s = max(render.stop() for render in farm.renders)
    return [
        Measured(
            name="a second episode's first chunk on a full farm, seconds from its command",
            value=second.slept[0].began - second.started,
            limit=2 * size.chunk_s + 10,
        ),
        *(
            Measured(
                name=f"share of weight {weight:g} of {sum(WEIGHTS.values()):g}, off by",
                value=abs(had / sum(worked) / (weight / sum(WEIGHTS.values())) - 1),
                limit=0.05,
            )
            for weight, had in zip(WEIGHTS.values(), worked, strict=True)
        ),
        Measured(
            name="farm that idles while three share it",
            value=1 - sum(worked) / (size.workers * size.window_s),
            limit=0.03,
        ),
        Measured(
            name=f"urgent work has {wanted} of {size.workers} workers, seconds from its first sign",
            value=came - joined,
            limit=2 * size.chunk_s,
        ),
        Measured(name="chunks lost", value=lost(everybody, came), limit=0),
        Measured(name="chunks made twice", value=made_twice(everybody), limit=0),
        Measured(name="renders end after SIGTERM, seconds", value=stops_s, limit=10),
    ]


def play_queue(folder: Path, size: Size) -> list[Measured]:
    """Three episodes queued on a farm, of which two run at once."""
    with (
        ray_nodes(1, cpus=0) as ray,
        sleeping_farm(folder, ray, chunk_s=size.queued_chunk_s) as farm,
    ):
        ray.add(num_cpus=size.workers)
        for name in ("first", "second", "third"):
            _until(farm, lambda: sum(each.runs for each in farm.renders) < AT_ONCE)
            farm.start(name, chunks=size.queued)
            if name == "first":
                _until(farm, lambda: _busy(farm) >= size.workers)
        _until(farm, lambda: not any(each.runs for each in farm.renders))
        slept = [one for render in farm.renders for one in render.slept]
        failed = [each for each in farm.renders if "True" not in each.said()]
    full = _full_from(slept, size.workers)
    ends = sorted(max(one.ended for one in render.slept) for render in farm.renders)
    window = (full, ends[-2])
    worked = busy_s(slept, *window)
    return [
        Measured(
            name="farm that idles between queued episodes",
            value=1 - worked / (size.workers * (window[1] - window[0])),
            limit=0.03,
        ),
        Measured(name="queued episodes without a verified film", value=len(failed), limit=0),
        Measured(name="queued chunks made twice", value=made_twice(slept), limit=0),
    ]


def play_from_zero(folder: Path, size: Size) -> list[Measured]:
    """An episode on a cluster that has no node but its head: nodes are brought, and go."""
    most = size.workers // size.node_cpus
    with (
        ray_nodes(1, cpus=0) as ray,
        sleeping_farm(folder, ray, chunk_s=size.queued_chunk_s) as farm,
        Provider(ray, most=most, cpus=size.node_cpus, idle_s=size.idle_s) as provider,
    ):
        render = farm.start("zero", chunks=size.from_zero)
        _until(farm, lambda: not render.runs)
        _until(farm, lambda: not provider.nodes)
        lives = [(start, end) for start, end in provider.spans]
        slept, said = render.slept, render.said()
    paid = size.node_cpus * sum(end - start for start, end in lives)
    return [
        Measured(name="nodes not brought", value=max(0, most - len(lives)), limit=0),
        Measured(
            name="nodes' time that idles, from none to all and back to none",
            value=1 - busy_s(slept, 0, time.time()) / paid,
            limit=0.05,
        ),
        Measured(name="films from zero that are not verified", value="True" not in said, limit=0),
    ]


SCENES: dict[str, Callable[[Path, Size], list[Measured]]] = {
    "three share a full farm, then urgent work comes": play_day,
    "three episodes are queued, two run at once": play_queue,
    "from no node to all and back": play_from_zero,
}


def _until(farm: SleepingFarm, what: Callable[[], bool]) -> None:
    if not farm.wait(what, within_s=PATIENCE_S):
        raise TimeoutError("\n".join(render.said()[-1000:] for render in farm.renders))


def _busy(farm: SleepingFarm) -> int:
    """How many workers are at work."""
    return sum(at_work(render.slept, time.time()) for render in farm.renders)


def _settled(farm: SleepingFarm, before: float) -> list[Slept]:
    """What was done, when all that was begun before a moment has ended, in whatever way."""

    def found() -> list[Slept]:
        return [one for render in farm.renders for one in render.slept]

    farm.wait(lambda: not lost(found(), before), within_s=4 * farm.chunk_s + SETTLES_WITHIN_S)
    return found()


def _full_from(slept: Sequence[Slept], workers: int) -> float:
    """The first moment at which all workers were at work."""
    return next(one.began for one in slept if at_work(slept, one.began) >= workers)


def _least(share: float) -> int:
    """The least whole number that is no less."""
    return -int(-share // 1)


if __name__ == "__main__":
    # A process for each scene: Ray's nodes are started by a main thread.
    name, where = sys.argv[1:]
    print(json.dumps([asdict(one) for one in SCENES[name](Path(where), FULL)]))
