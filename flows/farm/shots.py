"""What is missing of an episode, made on a farm: its shots, several at once, each tried again where
that can help, then its film. Whoever shows the run waits for the same futures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cluster.errors import DougaError
from cluster.settings import settings
from flows.farm.farm import Farm, OpenFarm, open_farm
from flows.farm.film import finish_film
from flows.farm.shot import (
    ShotResult,
    can_retry,
    make_work,
    render_shot_now,
    shots_at_once,
    shots_to_render,
)
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from flows.runs.result import EpisodeResult

RETRY_DELAY_S = 1.0


class Shots:
    """The shots of a run, and what comes of every attempt at each, for whoever waits for it."""

    def __init__(self, prepared: Prepared, farm: Farm, reporter: Reporter) -> None:
        self.work = make_work(prepared, farm, reporter)
        self.at_once = shots_at_once(farm.workers)
        self.attempts = settings().shot_retries + 1
        self._farm = farm
        self._outcomes: dict[str, list[Future[ShotResult]]] = {
            shot.shot.id: [Future() for _ in range(self.attempts)] for shot in self.work.shots
        }

    @property
    def planned(self) -> Sequence[ShotPlan]:
        """The shots, in the order in which they are begun."""
        return self.work.shots

    def attempt(self, shot: str, number: int) -> Future[ShotResult]:
        """What comes of an attempt at a shot, counted from 1; its error where it fails."""
        return self._outcomes[shot][number - 1]

    def render(self) -> list[ShotResult]:
        """Render all of them. One that fails stops no other; its result says why."""
        try:
            return side_by_side(self._farm, self._try_shot, self.planned)
        finally:
            for outcome in (each for many in self._outcomes.values() for each in many):
                outcome.cancel()

    def _try_shot(self, shot: ShotPlan) -> ShotResult:
        for number, outcome in enumerate(self._outcomes[shot.shot.id], 1):
            try:
                result = render_shot_now(self.work, shot)
            except DougaError as error:
                outcome.set_exception(error)
                if number == self.attempts or not can_retry(error):
                    return self.work.give_up(shot, error)
                time.sleep(RETRY_DELAY_S)
            else:
                outcome.set_result(result)
                return result
        raise AssertionError("a shot is tried once at least")


def side_by_side(
    farm: Farm, act: Callable[[ShotPlan], ShotResult], shots: Sequence[ShotPlan]
) -> list[ShotResult]:
    """What `act` gives for each shot, as many at once as the farm wants. The first error ends the
    farm."""
    with ThreadPoolExecutor(max_workers=shots_at_once(farm.workers)) as threads:
        try:
            return list(threads.map(act, shots))
        except BaseException:
            farm.close()  # or the threads would render on to the end
            raise


class ActiveRun:
    """A run while it goes, for whoever shows it: its shots once they are begun, then its result.

    `flow_run` is Prefect's name of it, "" as yet; `link` the page that shows it, if that lasts.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.shots: Future[Shots] = Future()
        self.result: Future[EpisodeResult] = Future()
        self.flow_run = ""
        self.link: str | None = None

    def stop(self, error: BaseException) -> None:
        """The run has ended with an error."""
        self.shots.cancel()
        self.result.set_exception(error)

    def ended_with(self, error: BaseException) -> bool:
        """Whether this very error has ended the run."""
        return self.result.done() and self.result.exception() is error


def render_missing(
    prepared: Prepared,
    reporter: Reporter,
    *,
    began: float,
    farm: OpenFarm = open_farm,
    tell: Callable[[Shots], None] = lambda _: None,
) -> EpisodeResult:
    """Make what is missing of an episode, then its film; `tell` hears of the shots at their begin.

    Without anything missing no farm is opened. `began` is when the run began (time.monotonic).
    """
    if not shots_to_render(prepared):
        return finish_film(prepared, [], reporter, began=began)
    with farm(prepared.request, prepared.plan, reporter) as opened:
        shots = Shots(prepared, opened, reporter)
        tell(shots)
        results = shots.render()
        return finish_film(
            prepared,
            results,
            reporter,
            began=began,
            render_s=shots.work.seconds(),
            quarantined=opened.quarantined,
        )
