"""A night: one episode after the other, each measured and kept before the next begins."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal

from cluster.errors import DougaError, Exit, RefusedError, TimedOut, UsageError
from cluster.ledger import read_ledger
from cluster.settings import settings
from cluster.store import Store
from flows.look import look_at
from flows.nightly.alarm import Alarm, alarm
from flows.nightly.candidates import Forecaster, Readied, Ready, make_ready
from flows.nightly.clock import next_end
from flows.nightly.collect import Desk, collect
from flows.nightly.night import Night, NightEpisode
from flows.nightly.past import PREFIX, SHARED_NIGHTS, Past, hours_by_show, last_good
from flows.nightly.spec import NightlySpec
from flows.nightly.spending import spending_of
from flows.nightly.tonight import Means, Shares, duration_words, plan_night
from flows.nightly.words import night_words
from flows.progress import Reporter
from flows.record import BEGUN, Record
from flows.render import render
from flows.request import RenderRequest
from flows.result import EpisodeResult

STATES = {
    Exit.GOOD: "done",
    Exit.FAILED: "failed",
    Exit.WANTING: "wanting",
    Exit.REFUSED: "refused",
    Exit.TIMEOUT: "stopped",
    Exit.INTERRUPTED: "stopped",
}

Stop = Literal["", "person", "time"]
"""Who ended a night before its end: nobody, a person, or the time given to it."""
Renderer = Callable[[RenderRequest, Reporter], EpisodeResult]
Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
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
        """How it ended, in a word."""
        return STATES[self.exit_code]

    @property
    def words(self) -> str:
        """The line that it ends with; empty for a good night."""
        return night_words(self.night, self.exit_code)


@dataclass(slots=True, kw_only=True)
class NightRun:
    """A night under way: what is over, what may still go, and by when."""

    spec: NightlySpec
    store: Store
    reporter: Reporter
    clock: Clock
    render: Renderer
    night: str
    began: datetime
    past: Past
    end: datetime | None
    give_up: datetime | None
    over: list[NightEpisode] = field(default_factory=list)

    def so_far(self, *, ended: bool = False) -> Night:
        """The night as it is now."""
        return Night(
            nightly=self.spec.name,
            night=self.night,
            began_at=_iso(self.began),
            ended_at=_iso(self.clock()) if ended else "",
            episodes=tuple(self.over),
        )

    def shares(self) -> Shares:
        """What shows have had, in the nights before and in this one so far."""
        nights = [each.night for each in islice(self.past, SHARED_NIGHTS)]
        used = hours_by_show([*nights, self.so_far()])
        return Shares(weights=self.spec.weights, used=used)

    def means(self) -> Means:
        """What is left of time and budget."""
        budget = self.spec.budget
        left = None if self.end is None else (self.end - self.clock()).total_seconds()
        return Means(
            seconds=left,
            gpu_hours=self._unspent(budget.gpu_hours, [each.gpu_hours for each in self.over]),
            cpu_hours=self._unspent(budget.cpu_hours, [each.cpu_hours for each in self.over]),
            money=self._unspent(budget.money, [each.money for each in self.over]),
        )

    @staticmethod
    def _unspent(budget: float | None, spent: list[float]) -> float | None:
        return None if budget is None else budget - sum(spent)

    def go(self, ready: dict[str, Ready]) -> Stop:
        """Take one episode after the other for as long as one fits, then say what is left out."""
        waiting = dict(ready)
        while True:
            if self._gives_up():
                return self._end(waiting, "time")
            tonight = plan_night(
                [each.candidate for each in waiting.values()],
                shares=self.shares(),
                means=self.means(),
                currency=settings().currency,
            )
            if not tonight.taken:
                break
            try:
                self._take(waiting.pop(tonight.taken[0].episode))
            except KeyboardInterrupt:
                return self._end(waiting, "time" if self._gives_up() else "person")
        for left in tonight.left_out:
            self.reporter.note(f"{left.candidate.episode} is left out: {left.why}")
            self._leave(waiting[left.candidate.episode], left.why)
        return ""

    def _end(self, waiting: dict[str, Ready], by: Stop) -> Stop:
        for each in waiting.values():
            self._leave(each, "not begun when the night was stopped")
        return by

    def _leave(self, ready: Ready, why: str) -> None:
        self.over.append(
            NightEpisode(
                episode=ready.candidate.episode,
                show=ready.candidate.show,
                state="left out",
                why=why,
                store=ready.request.store,
            )
        )

    def _take(self, ready: Ready) -> None:
        name, show = ready.candidate.episode, ready.candidate.show
        self.reporter.phase(f"{name}: {ready.candidate.forecast.chunks} chunks to make")
        began = self.clock()
        blank = NightEpisode(episode=name, show=show, state="failed", store=ready.request.store)
        result: EpisodeResult | None = None
        limit = Alarm()
        try:
            with alarm(self._limit_s()) as limit:
                result = self.render(ready.request, self.reporter)
        except KeyboardInterrupt:
            if result is None:
                stopped = replace(blank, state="stopped", why=self._why_stopped(limit))
                self._unfinished(ready, stopped, began)
                if not limit.rang or self._gives_up():
                    raise
                return
        except DougaError as error:
            self._unfinished(ready, replace(blank, why=str(error)), began)
            return
        except Exception as error:  # one episode's bug must not cost the night the others
            why = f"{type(error).__name__}: {error} (a bug)"
            self._unfinished(ready, replace(blank, why=why), began)
            return
        try:
            self.over.append(self._collected(ready, result, blank))
        except KeyboardInterrupt:
            why = "rendered; stopped before it was measured"
            self.over.append(replace(blank, state="stopped", why=why, run=result.run))
            raise

    def _unfinished(self, ready: Ready, episode: NightEpisode, began: datetime) -> None:
        """An episode whose render did not come to its end; what it cost counts all the same."""
        self.reporter.note(f"{episode.episode} {episode.state}: {episode.why}")
        known = read_ledger(ready.prepared.store, episode=episode.episode)
        spent = spending_of(each for each in known if each.finished_at >= began.isoformat())
        self.over.append(
            replace(
                episode,
                wall_s=(self.clock() - began).total_seconds(),
                gpu_hours=spent.gpu_hours,
                cpu_hours=spent.cpu_hours,
                money=spent.money,
            )
        )

    def _collected(self, ready: Ready, result: EpisodeResult, blank: NightEpisode) -> NightEpisode:
        desk = Desk(
            store=self.store,
            limits=self.spec.thresholds,
            good=lambda episode, shots, timed: last_good(
                self.past, episode, shots=shots, timed=timed
            ),
            reporter=self.reporter,
        )
        try:
            episode = collect(ready.prepared, result, show=blank.show, desk=desk)
        except DougaError as error:
            return replace(blank, why=f"rendered, but not measured: {error}", run=result.run)
        late_s = (self.clock() - self.end).total_seconds() if self.end else 0.0
        if late_s > 0:
            late = f"ended {duration_words(late_s)} after the deadline"
            self.reporter.note(f"{episode.episode} {late}")
            episode = replace(episode, why="; ".join(filter(None, (episode.why, late))))
        return episode

    def _limit_s(self) -> float | None:
        """Seconds until an episode that runs is to be stopped."""
        ends = [self.give_up, self.end if self.spec.hard else None]
        left = [(end - self.clock()).total_seconds() for end in ends if end is not None]
        return min(left) if left else None

    def _gives_up(self) -> bool:
        return self.give_up is not None and self.clock() >= self.give_up

    def _why_stopped(self, limit: Alarm) -> str:
        kept = "what was finished is kept"
        if not limit.rang:
            return f"stopped by a person; {kept}"
        if self._gives_up():
            return f"the time given to the night was over; {kept}"
        return f"the deadline passed and the nightly is hard; {kept}"


def run_night(
    spec: NightlySpec,
    store: Store,
    reporter: Reporter,
    *,
    forecast: Forecaster,
    timeout_s: float | None = None,
    episodes_store: str = "",
    command: str = "",
    renderer: Renderer = render,
    clock: Clock = now_utc,
) -> Outcome:
    """Run a night and keep it in the store, as far as it goes.

    `episodes_store` is for every episode what --store is for a render. RefusedError while another
    night of the same nightly runs; UsageError where the file cannot be meant so; KeyboardInterrupt
    or TimedOut where it was stopped before any episode was begun.
    """
    check_prices(spec)
    began = clock()
    name = new_night(began)
    store.probe()
    with Record(store, f"{PREFIX}{spec.name}/{name}", command=command) as record:
        record.begin()
        _check_alone(store, record.place)
        with _planning(timeout_s):
            readied = make_ready(spec, forecast, reporter, store=episodes_store)
        record.begin(shots=sum(len(each.prepared.plan.shots) for each in readied.ready.values()))
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
            give_up=None if timeout_s is None else began + timedelta(seconds=timeout_s),
            over=list(readied.failed),
        )
        outcome = Outcome(stopped=run.go(readied.ready), night=run.so_far(ended=True))
        _keep(outcome, record, store, readied)
    return outcome


def _keep(outcome: Outcome, record: Record, store: Store, readied: Readied) -> None:
    """Keep a night where nights are, and wherever its segments lie: `douga gc` looks there."""
    document = outcome.night.to_json()
    others = {each.prepared.store.url: each.prepared.store for each in readied.ready.values()}
    for url, other in others.items():
        if url != store.url:
            other.put(f"{record.place}.json", json.dumps(document).encode())
    record.ended(document, state=outcome.state, exit_code=outcome.exit_code, error=outcome.words)


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


def new_night(began: datetime) -> str:
    """A night's name, in order of time: when it began (UTC, milliseconds), and against twins."""
    return f"{began:%Y%m%dT%H%M%S}{began.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def check_prices(spec: NightlySpec) -> None:
    """UsageError for a budget in money where nothing has a price."""
    prices = settings()
    if spec.budget.money is not None and not (prices.gpu_hour_price or prices.cpu_hour_price):
        raise UsageError(
            "a budget in money, but no hour has a price",
            where=spec.file,
            remedy="set DOUGA_GPU_HOUR_PRICE or DOUGA_CPU_HOUR_PRICE, or give gpu_hours",
        )


def _check_alone(store: Store, mine: str) -> None:
    """RefusedError if a night of the same nightly began before this one and still runs."""
    folder = f"{BEGUN}{mine.rpartition('/')[0]}/"
    for entry in store.list(folder):
        place = entry.name.removeprefix(BEGUN).removesuffix(".json")
        seen = look_at(store, place) if place < mine else None
        if seen is not None and seen.state == "running":
            raise RefusedError(
                f"a night of it runs already: {seen.run} (process {seen.document['process']} on "
                f"{seen.document['host']})",
                where=seen.name,
                remedy=f"douga wait {seen.run}, or stop it",
            )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
