"""A night while it renders: which episode goes next, what is left of time and budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from cluster.errors import DougaError, explained
from cluster.ledger.history import read_ledger
from cluster.settings import settings
from cluster.store.base import Store
from flows.nightly.candidates import PlannedCandidate
from flows.nightly.choose import Remaining, Shares, choose_episodes
from flows.nightly.collect import Comparison, collect
from flows.nightly.spec import NightlySpec
from flows.nightly.time_limit import Alarm, alarm
from flows.progress import Reporter
from flows.runs.costs import Spending, spending_of
from flows.runs.night import Night, NightEpisode
from flows.runs.nights import SHARED_NIGHTS, Past, hours_by_show, last_good
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest
from flows.words import count_words, duration_words

Stop = Literal["", "person", "time"]
"""Who ended a night before its end: nobody, a person, or the time given to it."""
Renderer = Callable[[RenderRequest, Reporter], EpisodeResult]
Clock = Callable[[], datetime]


@dataclass(slots=True, kw_only=True)
class NightRun:
    """A night while it renders: what is over, what may still go, and by when."""

    spec: NightlySpec
    store: Store
    reporter: Reporter
    clock: Clock
    render: Renderer
    night: str
    began: datetime
    past: Past
    end: datetime | None
    stop_at: datetime | None
    ended: list[NightEpisode] = field(default_factory=list)

    def so_far(self, *, ended: bool = False) -> Night:
        """The night as it is now."""
        return Night(
            nightly=self.spec.name,
            night=self.night,
            began_at=_iso(self.began),
            ended_at=_iso(self.clock()) if ended else "",
            episodes=tuple(self.ended),
        )

    def shares(self) -> Shares:
        """What shows have had, in the nights before and in this one so far."""
        nights = [each.night for each in islice(self.past, SHARED_NIGHTS)]
        used = hours_by_show([*nights, self.so_far()])
        return Shares(weights=self.spec.weights, used=used)

    def remaining(self) -> Remaining:
        """What is left of time and budget."""
        budget = self.spec.budget
        left = None if self.end is None else (self.end - self.clock()).total_seconds()
        return Remaining(
            seconds=left,
            gpu_hours=self._unspent(budget.gpu_hours, [each.gpu_hours for each in self.ended]),
            cpu_hours=self._unspent(budget.cpu_hours, [each.cpu_hours for each in self.ended]),
            money=self._unspent(budget.money, [each.money for each in self.ended]),
        )

    @staticmethod
    def _unspent(budget: float | None, spent: list[float]) -> float | None:
        return None if budget is None else budget - sum(spent)

    def render_all(self, planned: dict[str, PlannedCandidate]) -> Stop:
        """Take one episode after the other for as long as one fits, then say what is left out."""
        waiting = dict(planned)
        while True:
            if self._is_time_up():
                return self._end(waiting, "time")
            choice = choose_episodes(
                [each.candidate for each in waiting.values()],
                shares=self.shares(),
                remaining=self.remaining(),
                currency=settings().currency,
            )
            if not choice.taken:
                break
            try:
                self._take(waiting.pop(choice.taken[0].episode))
            except KeyboardInterrupt:
                return self._end(waiting, "time" if self._is_time_up() else "person")
        for left in choice.left_out:
            self.reporter.note(f"{left.candidate.episode} is left out: {left.why}")
            self._leave_out(waiting[left.candidate.episode], left.why)
        return ""

    def _end(self, waiting: dict[str, PlannedCandidate], by: Stop) -> Stop:
        for each in waiting.values():
            self._leave_out(each, "not begun when the night was stopped")
        return by

    def _leave_out(self, planned: PlannedCandidate, why: str) -> None:
        self.ended.append(
            NightEpisode(
                episode=planned.candidate.episode,
                show=planned.candidate.show,
                state=Outcome.LEFT_OUT,
                why=why,
                store=planned.request.store,
            )
        )

    def _take(self, planned: PlannedCandidate) -> None:
        name, show = planned.candidate.episode, planned.candidate.show
        self.reporter.phase(
            f"{name}: {count_words(planned.candidate.forecast.chunks, 'chunk')} to make"
        )
        began = self.clock()
        blank = NightEpisode(
            episode=name, show=show, state=Outcome.FAILED, store=planned.request.store
        )
        result: EpisodeResult | None = None
        limit = Alarm()
        try:
            with alarm(self._limit_s()) as limit:
                result = self.render(planned.request, self.reporter)
        except KeyboardInterrupt:
            if result is None:
                stopped = replace(blank, state=Outcome.STOPPED, why=self._why_stopped(limit))
                self._unfinished(planned, stopped, began)
                if not limit.rang or self._is_time_up():
                    raise
                return
        except Exception as error:  # one episode's bug must not cost the night the others
            self._unfinished(planned, replace(blank, why=str(explained(error))), began)
            return
        try:
            self.ended.append(self._collected(planned, result, blank))
        except KeyboardInterrupt:
            why = "rendered; stopped before it was measured"
            self.ended.append(replace(blank, state=Outcome.STOPPED, why=why, run=result.run))
            raise

    def _unfinished(
        self, planned: PlannedCandidate, episode: NightEpisode, began: datetime
    ) -> None:
        """An episode whose render did not come to its end; what it cost counts all the same."""
        self.reporter.note(f"{episode.episode} {episode.state.words}: {episode.why}")
        spent = Spending()
        try:
            known = read_ledger(planned.prepared.store, episode=episode.episode)
            spent = spending_of(each for each in known if each.finished_at >= began.isoformat())
        except DougaError as error:  # its store may be what failed
            self.reporter.note(f"what {episode.episode} cost is not known: {error}")
        finally:
            self.ended.append(
                replace(
                    episode,
                    wall_s=(self.clock() - began).total_seconds(),
                    gpu_hours=spent.gpu_hours,
                    cpu_hours=spent.cpu_hours,
                    money=spent.money,
                )
            )

    def _collected(
        self, planned: PlannedCandidate, result: EpisodeResult, blank: NightEpisode
    ) -> NightEpisode:
        comparison = Comparison(
            store=self.store,
            limits=self.spec.thresholds,
            good=lambda episode, shots, timed: last_good(
                self.past, episode, shots=shots, timed=timed
            ),
            reporter=self.reporter,
        )
        try:
            episode = collect(planned.prepared, result, show=blank.show, comparison=comparison)
        except Exception as error:
            why = f"rendered, but not measured: {explained(error)}"
            return replace(blank, why=why, run=result.run)
        late_s = (self.clock() - self.end).total_seconds() if self.end else 0.0
        if late_s > 0:
            late = f"ended {duration_words(late_s)} after the deadline"
            self.reporter.note(f"{episode.episode} {late}")
            episode = replace(episode, why="; ".join(filter(None, (episode.why, late))))
        return episode

    def _limit_s(self) -> float | None:
        """Seconds until an episode that runs is to be stopped."""
        ends = [self.stop_at, self.end if self.spec.hard else None]
        left = [(end - self.clock()).total_seconds() for end in ends if end is not None]
        return min(left) if left else None

    def _is_time_up(self) -> bool:
        return self.stop_at is not None and self.clock() >= self.stop_at

    def _why_stopped(self, limit: Alarm) -> str:
        kept = "what was finished is kept"
        if not limit.rang:
            return f"stopped by a person; {kept}"
        if self._is_time_up():
            return f"the time given to the night was over; {kept}"
        return f"the deadline passed and the nightly is hard; {kept}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
