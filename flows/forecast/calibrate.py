"""A short try of work of which nothing is known: a few frames, in this process, stored nowhere."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

from cluster.cache import read_cached, write_cached
from cluster.errors import DougaError
from cluster.keys import Key, make_key
from cluster.ledger.receipts import Receipt
from cluster.pool.spec import PoolSpec
from cluster.scratch import scratch_folder
from cluster.settings import home_folder, settings
from cluster.store.base import Store
from cluster.store.folder import FolderStore
from flows.forecast.durations import Sample, Timing, Work
from flows.forecast.work import Todo, device_of
from flows.plan.partial import pick_frames
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from tasks.worker.item import ChunkInput, asset_name
from tasks.worker.readers import pack_index

FEW_FRAMES = 2
LONG_S = 4.0
"""Seconds that all second tries may take, by what the first ones took."""
SOME_SHOTS = 3
"""Shots that work is tried on: films begin black, and a title or a night is no measure either."""
RUN = "calibration"


def calibrate_works(
    prepared: Prepared,
    todo: Todo,
    unknown: Sequence[Work],
    pools: Mapping[str, PoolSpec],
    reporter: Reporter,
) -> list[Sample]:
    """What these works would take, each tried on a few frames from the middle of some shots, from
    the source on. What was tried before is read from douga's home. Work that fails is left out, and
    reported."""
    files = {work: _file(work) for work in unknown}
    known = {work: read_cached(file, partial(_read, work)) for work, file in files.items()}
    samples = [each for each in known.values() if each is not None]
    left = [work for work, each in known.items() if each is None]
    while left:
        shots = _some_shots(prepared, todo, left[0])
        names = ", ".join(shot.shot.id for shot in shots)
        reporter.phase(f"no history of {left[0].stage}: trying some frames of {names}")
        tried: dict[tuple[str, str, int], list[_Tried]] = defaultdict(list)
        try:
            for shot in shots:
                long_s = LONG_S / len(shots)
                for group, each in _try_shot(prepared, shot, pools, long_s=long_s).items():
                    tried[group].append(each)
        except DougaError as error:
            reporter.note(f"{left[0].stage} cannot be tried: {error}")
            tried.clear()
        made = [work for work in left if _group(work) in tried]
        for work in made:
            took = _mean([each.at(work.frames) for each in tried[_group(work)]])
            samples.append(Sample(work=work, run=RUN, took=took))
            write_cached(files[work], _text(samples[-1]))
        left = [work for work in left[1:] if work not in made]
    return samples


def _some_shots(prepared: Prepared, todo: Todo, work: Work) -> list[ShotPlan]:
    """Shots that such work is to be done on, from all over the film."""
    wanted = {
        shot.shot.id
        for (shot, _), each in zip(todo.made_by, todo.works, strict=True)
        if _group(each) == _group(work)
    }
    shots = [shot for shot in prepared.plan.shots if shot.shot.id in wanted]
    count = min(SOME_SHOTS, len(shots))
    return [shots[(2 * at + 1) * len(shots) // (2 * count)] for at in range(count)]


def _mean(took: Sequence[Timing]) -> Timing:
    return Timing(
        load_s=fmean(each.load_s for each in took),
        compute_s=fmean(each.compute_s for each in took),
        store_s=fmean(each.store_s for each in took),
        bytes_out=fmean(each.bytes_out for each in took),
    )


def _group(work: Work) -> tuple[str, str, int]:
    """What one try of a stage stands for."""
    return work.stage, work.kind, work.pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A try of few frames, and one of more, or the same."""

    few: Receipt
    more: Receipt

    def at(self, frames: int) -> Timing:
        """What so many frames would take, in a straight line through both."""
        a, b = self.few.frames, self.more.frames
        whole = _seconds(self.more)
        each = whole / b
        if b > a:
            each = max((whole - _seconds(self.few)) / (b - a), each / 10)
        factor = (whole + each * (frames - b)) / whole if whole else 1.0
        return Timing(
            load_s=self.more.load_s * factor,
            compute_s=self.more.compute_s * factor,
            store_s=self.more.store_s * factor,
            bytes_out=self.more.bytes_out * frames / b,
        )


def _try_shot(
    prepared: Prepared, shot: ShotPlan, pools: Mapping[str, PoolSpec], *, long_s: float
) -> dict[tuple[str, str, int], _Tried]:
    """Every run of a shot and its encoding, tried, by stage, kind and pixels."""
    with scratch_folder("calibrate") as folder:
        store = FolderStore(Path(folder))
        _store_inputs(prepared, shot, store)
        trial = _TrialWorkers(store.url, shot, pools)
        few = trial.make(min(FEW_FRAMES, trial.longest))
        taken = sum(map(_seconds, few))
        frames = min(trial.longest, int(FEW_FRAMES * long_s / max(taken, 1e-3)))
        more = trial.make(frames) if frames > FEW_FRAMES else few
    return {
        (small.stage, small.kind, small.width * small.height): _Tried(few=small, more=large)
        for small, large in zip(few, more, strict=True)
    }


class _TrialWorkers:
    """Workers of this process, one of each device, their models ready."""

    def __init__(self, store_url: str, shot: ShotPlan, pools: Mapping[str, PoolSpec]) -> None:
        from tasks.worker.worker import Worker

        self._shot = shot
        items = shot.runs[-1].items
        self._middle = items[len(items) // 2].out
        self._pools = pools
        self._workers: dict[str, Worker] = {}
        for spec in pools.values():
            config = replace(spec.config, store_url=store_url)
            self._workers[config.device.kind] = Worker(config)
        for run in shot.runs:
            self._workers[device_of(run, pools)].warm(run.planner.base.calls)

    @property
    def longest(self) -> int:
        """How many frames can be tried."""
        return len(self._middle)

    def make(self, frames: int) -> list[Receipt]:
        """The receipts of frames of the middle chunk: of each run, and of their encoding."""
        shot = self._shot
        receipts: list[Receipt] = []
        start = self._middle.start
        picked = pick_frames(shot.runs, range(start, start + frames), stored=frozenset())
        for run, items in zip(shot.runs, picked, strict=True):
            worker = self._workers[device_of(run, self._pools)]
            delivered = run.items[0].delivered
            made = [worker.make_chunk(replace(item, delivered=delivered)) for item in items]
            receipts.append(_sum(made))
        assert shot.segment is not None
        segment = replace(
            shot.segment,
            key=Key(f"{frames:040x}"),
            chunks=ChunkInput(chunks=tuple((item.key, item.out) for item in picked[-1])),
            frames=frames,
        )
        return [*receipts, self._workers[device_of(None, self._pools)].make_segment(segment)]


def _store_inputs(prepared: Prepared, shot: ShotPlan, store: Store) -> None:
    """What the workers read besides frames, put into a store of their own."""
    entry = shot.runs[0].planner.entry
    for index, name in prepared.index_names():
        if name == entry.source.index_name:
            store.put(name, pack_index(index))
    for path, digest in entry.assets.items():
        store.put_file(asset_name(digest), Path(prepared.request.episode.resolve(path)))


def _sum(receipts: Sequence[Receipt]) -> Receipt:
    """Receipts of one run as one."""
    return replace(
        receipts[0],
        frames=sum(receipt.frames for receipt in receipts),
        load_s=sum(receipt.load_s for receipt in receipts),
        compute_s=sum(receipt.compute_s for receipt in receipts),
        store_s=sum(receipt.store_s for receipt in receipts),
        bytes_out=sum(receipt.bytes_out for receipt in receipts),
    )


def _seconds(receipt: Receipt) -> float:
    return receipt.load_s + receipt.compute_s + receipt.store_s


def _file(work: Work) -> Path:
    """Where a try of such work on this machine is kept."""
    same = [work.stage, work.kind, work.model, work.device, work.pixels]
    key = make_key([*same, os.cpu_count(), settings().cell])
    return home_folder("cache/calibration") / f"{key}.json"


def _read(work: Work, text: str) -> Sample:
    kept = json.loads(text)
    return Sample(work=replace(work, frames=kept["frames"]), run=RUN, took=Timing(**kept["took"]))


def _text(sample: Sample) -> str:
    return json.dumps({"frames": sample.work.frames, "took": asdict(sample.took)})
