"""Render one shot on the farm: its missing chunks, then its segment, then its manifest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cluster.errors import DigestError, DougaError, InputError, StoreError, UsageError
from cluster.keys import Key
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.set_aside import set_aside_damaged
from flows.changes.manifest import write_manifest
from flows.farm.farm import Farm
from flows.plan.partial import reused_frames
from flows.plan.partial_record import record_partials
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.prepare import Prepared
from flows.plan.shot_plan import RunPlan
from flows.progress import Reporter
from flows.runs.failure import Failure, keep_failure, make_failure, place_failure
from tasks.worker.item import SegmentItem, WorkItem

SEGMENT_UNIT = 0.1
"""What encoding a frame counts in the progress bar; rendering it counts 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotResult:
    """What came of a shot: the receipts of what was made, and the error if it failed."""

    shot: str
    receipts: tuple[Receipt, ...] = ()
    error: DougaError | None = None
    failure: Failure | None = None
    frames_reused: int = 0
    """Frames of the chunks made that were taken from partial chunks."""


class ShotWork:
    """What every shot of a run shares. A plain class, so that Prefect does not walk its fields."""

    def __init__(
        self,
        *,
        plan: RenderPlan,
        store: Store,
        farm: Farm,
        reporter: Reporter,
        shots: Sequence[ShotPlan],
        command: str = "",
    ) -> None:
        self.plan = plan
        self.command = command
        self.store = store
        self.farm = farm
        self.reporter = reporter
        self.shots = tuple(shots)
        self._receipts: dict[str, list[Receipt]] = {shot.shot.id: [] for shot in shots}
        self._reused: dict[str, int] = {}
        self._tried: set[str] = set()
        self._read_damaged: set[str] = set()
        self._failed_at: dict[str, WorkItem | SegmentItem] = {}
        self._due = _due_units(plan, shots)
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def begin(self, shot: ShotPlan) -> RenderPlan:
        """The plan for an attempt at a shot. A second attempt asks the store again: the first may
        have failed because an object that the plan counts on has vanished, or is damaged: that one
        is set aside."""
        with self._lock:
            if shot.shot.id in self._tried:
                names = set(shot.objects())
                there = self.store.has(names)
                rotten = sorted(there) if shot.shot.id in self._read_damaged else ()
                for name in set_aside_damaged(self.store, rotten):
                    self.reporter.note(f"{name} was damaged; it is set aside and made again")
                    there -= {name}
                self.plan = self.plan.with_stored((self.plan.stored - names) | there)
            self._tried.add(shot.shot.id)
            self._failed_at.pop(shot.shot.id, None)
            return self.plan

    def failed_at(self, shot: ShotPlan, item: WorkItem | SegmentItem, error: DougaError) -> None:
        """Remember the item that an attempt at a shot failed at, and whether it read damage."""
        self._failed_at[shot.shot.id] = item
        if isinstance(error, DigestError):
            self._read_damaged.add(shot.shot.id)

    def give_up(self, shot: ShotPlan, error: DougaError) -> ShotResult:
        """The result of a shot that failed for good; why is kept in the store."""
        item = self._failed_at.get(shot.shot.id)
        error = place_failure(shot, item, error)
        failure = make_failure(
            shot,
            item,
            error,
            episode=self.plan.episode,
            run=self.plan.run,
            command=self.command,
        )
        try:
            keep_failure(self.store, failure, item, error)
        except StoreError as unkept:  # the shot's own error is the one to report
            self.reporter.note(f"why {shot.shot.id} failed could not be kept: {unkept}")
        return replace(self.result(shot), error=error, failure=failure)

    def result(self, shot: ShotPlan) -> ShotResult:
        """What came of a shot so far, in all attempts."""
        name = shot.shot.id
        return ShotResult(
            shot=name, receipts=tuple(self._receipts[name]), frames_reused=self._reused.get(name, 0)
        )

    def report_made(self, item: WorkItem | SegmentItem, receipt: Receipt) -> None:
        """Count what an item reused, and move the progress bar: once for an item, and for none that
        a further attempt makes beside those that were due."""
        if isinstance(item, WorkItem) and not receipt.reused:
            with self._lock:
                self._reused[item.shot] = self._reused.get(item.shot, 0) + reused_frames(item)
        if units := self._due.pop(item.key, 0.0):
            self.reporter.advance(units)

    def record_receipts(self, shot: ShotPlan, receipts: Sequence[Receipt]) -> None:
        """Add what an attempt made to the shot's result and to the ledger."""
        self._receipts[shot.shot.id].extend(receipts)
        append_receipts(self.store, self.plan.run, list(receipts))

    def seconds(self) -> float:
        """Seconds since the work was handed over."""
        return time.monotonic() - self._began

    def due_units(self) -> float:
        """What all that is still to be made counts in the progress bar."""
        return sum(self._due.values())


def make_work(prepared: Prepared, farm: Farm, reporter: Reporter) -> ShotWork:
    """The work on a request's missing shots; its partial chunks are recorded in the store."""
    plan = prepared.plan
    work = ShotWork(
        plan=plan,
        store=prepared.store,
        farm=farm,
        reporter=reporter,
        shots=longest_first(plan, shots_to_render(prepared)),
        command=prepared.request.command,
    )
    reporter.phase(f"rendering {len(work.shots)} of {len(plan.shots)} shots")
    record_partials(prepared.store, plan)
    pieces = sum(len(plan.todo(shot)) for shot in work.shots) or len(work.shots)
    reporter.total(work.due_units(), piece=work.due_units() / pieces, workers=farm.workers)
    return work


def _due_units(plan: RenderPlan, shots: Iterable[ShotPlan]) -> dict[Key, float]:
    """What every item to be made counts in the progress bar, by its key."""
    units: dict[Key, float] = {}
    for shot in shots:
        units |= {item.key: float(len(item.out)) for item in plan.todo(shot)}
        if shot.segment and plan.selects_all(shot):
            units[shot.segment.key] = SEGMENT_UNIT * shot.segment.frames
    return units


def shots_to_render(prepared: Prepared) -> list[ShotPlan]:
    """The shots of which something that is asked for is missing, in film order."""
    return [shot for shot in prepared.plan.shots if prepared.plan.has_work(shot)]


def longest_first(plan: RenderPlan, shots: Sequence[ShotPlan]) -> list[ShotPlan]:
    """Shots by the work on them, so that no long one is left when the others are done."""
    return sorted(shots, key=lambda shot: work_on(plan, shot), reverse=True)


def work_on(plan: RenderPlan, shot: ShotPlan) -> float:
    """An estimate of the work on what is missing of a shot, in pixels to compute."""
    todo = zip(shot.runs, plan.todo_by_run(shot), strict=True)
    work = sum(_chunk_work(item, run) for run, items in todo for item in items)
    if shot.segment and plan.selects_all(shot) and not plan.is_done(shot):
        picture = shot.segment.picture
        work += picture.width * picture.height * shot.segment.frames * SEGMENT_UNIT
    return work


def _chunk_work(item: WorkItem, run: RunPlan) -> float:
    picture = run.track.picture
    return float(picture.width * picture.height * (len(item.out) - reused_frames(item)))


def can_retry(error: BaseException | None) -> bool:
    """A second attempt at a shot helps where an object has vanished: it is planned again. It
    does not help against a wrong picture or recipe, nor where workers have tried more than once."""
    if isinstance(error, StoreError):
        return True
    return not isinstance(error, InputError | UsageError) and not getattr(error, "attempts", ())


def shots_at_once(workers: int) -> int:
    """Shots in flight on a farm of so many workers: enough that each of them finds a chunk while
    other shots wait at a run's end. A shot in flight is a waiting thread of 33 KiB."""
    return settings().shots_at_once or max(4, 3 * workers)


def render_shot_now(work: ShotWork, shot: ShotPlan) -> ShotResult:
    """Make what is missing of a shot. Raises the first DougaError; what is stored stays stored."""
    made: list[Receipt] = []
    plan = work.begin(shot)
    whole = plan.selects_all(shot)
    left = work_on(plan, shot)
    try:
        for run, items in zip(shot.runs, plan.todo_by_run(shot), strict=True):
            chunks: dict[Future[Any], WorkItem | SegmentItem] = {}
            for item in items:
                chunks[work.farm.make_chunk(item, run, rank=left)] = item
                left -= _chunk_work(item, run)
            drop_rest = partial(work.farm.cancel, shot.shot.id, run)
            _gather(work, shot, chunks, made, drop_rest=drop_rest)
        if shot.segment and whole and not plan.is_done(shot):
            segment = work.farm.make_segment(shot.segment, rank=left)
            _gather(work, shot, {segment: shot.segment}, made)
    finally:
        work.record_receipts(shot, made)
    if shot.segment and whole:
        write_manifest(work.store, work.plan, shot)
    return work.result(shot)


def _gather(
    work: ShotWork,
    shot: ShotPlan,
    futures: Mapping[Future[Any], WorkItem | SegmentItem],
    receipts: list[Receipt],
    *,
    drop_rest: Callable[[], None] = lambda: None,
) -> None:
    """Wait for all, reporting each; raise the first error, once what is in flight has ended."""
    first: DougaError | None = None
    for future in as_completed(futures):
        try:
            receipt = future.result()
        except CancelledError:
            continue
        except DougaError as error:
            if first is None:
                first = error
                work.failed_at(shot, futures[future], error)
                drop_rest()
            continue
        receipts.append(receipt)
        work.report_made(futures[future], receipt)
    if first is not None:
        raise first
