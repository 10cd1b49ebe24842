"""A night: one episode after the other, each measured and kept before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cluster.errors import Exit, RefusedError, StoreError, TimedOut, UsageError
from cluster.keys import make_key
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.records import record_text
from flows.nightly.candidates import Candidates, Forecaster, plan_candidates
from flows.nightly.clock import next_end
from flows.nightly.compact_ledgers import compact_ledgers
from flows.nightly.render_night import Clock, NightRun, Renderer, Stop
from flows.nightly.spec import NightlySpec
from flows.nightly.time_limit import Alarm, alarm
from flows.plan.prepare import new_run_id
from flows.progress import Reporter
from flows.render import kept_servers, render
from flows.report.night.words import night_words
from flows.runs.job import Claim, ClaimLost, error_of, once
from flows.runs.night import Night
from flows.runs.nights import PREFIX, Past
from flows.runs.outcome import Outcome
from flows.runs.record import BEGUN, Record
from flows.runs.state import RUNNING, RunStatus, known_status

YIELD_TIMEOUT_S, POLL_S = 10.0, 0.2
"""So long a night waits for one that began at the same moment to give way; between two polls."""


def now_utc() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightResult:
    """A night as it was kept, and who stopped it."""

    night: Night
    stopped: Stop = ""

    @property
    def exit_code(self) -> Exit:
        """The exit code of its command."""
        if self.stopped:
            return Exit.TIMEOUT if self.stopped == "time" else Exit.INTERRUPTED
        return self.night.exit_code

    @property
    def state(self) -> str:
        """How it ended, in the word of its record."""
        return Outcome.of_exit(self.exit_code).recorded

    @property
    def words(self) -> str:
        """The line that it ends with; empty for a good night."""
        return night_words(self.night, self.exit_code)


def run_night(
    spec: NightlySpec,
    store: Store,
    reporter: Reporter,
    *,
    forecast: Forecaster,
    timeout_s: float | None = None,
    episodes_store: str = "",
    command: str = "",
    claim: Claim | None = None,
    renderer: Renderer = render,
    clock: Clock = now_utc,
    yield_timeout_s: float = YIELD_TIMEOUT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> NightResult:
    """Run a night and keep it in the store, as far as it goes.

    `episodes_store` is for every episode what --store is for a render; `claim` is the job that the
    night is for (`flows.runs.job`). RefusedError while another night of the same nightly runs, and
    does not give way in `yield_timeout_s`; UsageError where the file cannot be meant so;
    KeyboardInterrupt or TimedOut where it was stopped before any episode was begun.
    """
    check_prices(spec)
    began = clock()
    name = claim.run if claim else new_run_id(began)
    store.probe()
    job = claim.job if claim else ""
    with Record(store, f"{PREFIX}{spec.name}/{name}", command=command, job=job) as record:
        record.begin()
        if claim and not claim.stands(store):
            record.withdraw()
            raise ClaimLost(f"job {job} went to another night")
        try:
            _check_alone(store, record.place, yield_timeout_s=yield_timeout_s, sleep=sleep)
        except RefusedError:
            if claim is None:  # who waits for the nightly means the night that runs
                record.withdraw()
            raise
        with _planning(timeout_s):
            candidates = plan_candidates(spec, forecast, reporter, store=episodes_store)
        record.begin(
            shots=sum(len(each.prepared.plan.shots) for each in candidates.planned.values())
        )
        run = NightRun(
            spec=spec,
            store=store,
            reporter=reporter,
            clock=clock,
            render=renderer,
            night=name,
            began=began,
            past=Past(store, spec.name, before=name),
            end=night_end(spec, began),
            stop_at=None if timeout_s is None else began + timedelta(seconds=timeout_s),
            ended=list(candidates.failed),
        )
        with kept_servers():
            stopped = run.render_all(candidates.planned)
        result = NightResult(stopped=stopped, night=run.so_far(ended=True))
        _keep(result, record, store, candidates, reporter)
    if not result.stopped:
        compact_ledgers((each.prepared.store for each in candidates.planned.values()), reporter)
    return result


def run_night_once(
    spec: NightlySpec,
    store: Store,
    reporter: Reporter,
    *,
    job: str,
    act: Callable[[Claim], NightResult],
    command: str,
) -> NightResult:
    """Run a night for a job key, once, however often and by whomever it is submitted.

    Where another has taken the job this waits for it and gives what it came to. UsageError where
    the key was used for something else; what the other night ended with, where that was an error.
    """
    return once(
        job,
        store=store,
        place=f"{PREFIX}{spec.name}/{new_run_id(now_utc())}",
        asked=make_key(spec.model_dump(mode="json")),
        command=command,
        act=act,
        recall=_recall,
        reporter=reporter,
    )


def _recall(status: RunStatus) -> NightResult:
    if "episodes" not in status.document:
        raise error_of(status)
    stops: dict[int | None, Stop] = {Exit.TIMEOUT: "time", Exit.INTERRUPTED: "person"}
    night = Night.from_json(status.document)
    return NightResult(night=night, stopped=stops.get(status.exit_code, ""))


def _keep(
    result: NightResult, record: Record, store: Store, candidates: Candidates, reporter: Reporter
) -> None:
    """Keep a night where nights are, and wherever its segments lie: `douga gc` looks there."""
    document = result.night.to_json()
    others = {each.prepared.store.url: each.prepared.store for each in candidates.planned.values()}
    for url, other in others.items():
        if url != store.url:
            try:
                other.put(f"{record.place}.json", record_text(document).encode())
            except StoreError as error:  # one store that is gone must not cost the night itself
                reporter.note(f"the night is not kept in {url}: {error}")
    record.ended(document, state=result.state, exit_code=result.exit_code, error=result.words)


@contextmanager
def _planning(timeout_s: float | None) -> Iterator[None]:
    limit = Alarm()
    try:
        with alarm(timeout_s) as limit:
            yield
    except KeyboardInterrupt:
        if not limit.rang:
            raise
        raise TimedOut(
            f"the episodes could not be planned in {timeout_s:g} s", remedy="give it more time"
        ) from None


def night_end(spec: NightlySpec, began: datetime) -> datetime | None:
    """The deadline of a night, None where there is none."""
    return next_end(spec.deadline, began=began, zone=spec.zone) if spec.deadline else None


def check_prices(spec: NightlySpec) -> None:
    """UsageError for a budget in money where nothing has a price."""
    prices = settings()
    if spec.budget.money is not None and not (prices.gpu_hour_price or prices.cpu_hour_price):
        raise UsageError(
            "a budget in money, but no hour has a price",
            where=spec.file,
            remedy="set DOUGA_GPU_HOUR_PRICE or DOUGA_CPU_HOUR_PRICE, or give gpu_hours",
        )


def _check_alone(
    store: Store, mine: str, *, yield_timeout_s: float, sleep: Callable[[float], None]
) -> None:
    """RefusedError if another night of the same nightly runs. Of two that begin at one moment the
    later by name gives way, and the earlier waits a little for it to do so."""
    until = time.monotonic() + yield_timeout_s
    while (status := _other_night(store, mine)) is not None:
        if status.place < mine or time.monotonic() >= until:
            raise RefusedError(
                f"a night of it runs already: {status.run} (process "
                f"{status.document['process']} on {status.document['host']})",
                where=status.name,
                remedy=f"douga wait {status.run}, or stop it",
            )
        sleep(POLL_S)


def _other_night(store: Store, mine: str) -> RunStatus | None:
    """A night of the same nightly that runs beside this one, the earliest if there are several."""
    folder = f"{BEGUN}{mine.rpartition('/')[0]}/"
    names = sorted(entry.name for entry in store.list(folder))
    for place in (name.removeprefix(BEGUN).removesuffix(".json") for name in names):
        status = known_status(store, place) if place != mine else None
        if status is not None and status.state == RUNNING:
            return status
    return None
