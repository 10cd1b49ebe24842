"""The episodes of a nightly, read, planned and forecast: what a night is chosen from."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DougaError, InputError, UsageError
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.farm.output import check_output
from flows.forecast.forecast import Forecast
from flows.nightly.choose import Candidate
from flows.nightly.spec import NightlyEpisodeSpec, NightlySpec
from flows.plan.prepare import Prepared, prepare
from flows.progress import Reporter
from flows.runs.night import NightEpisode
from flows.runs.outcome import Outcome
from flows.spec.request import RenderRequest, make_request

Forecaster = Callable[[Prepared], Forecast]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCandidate:
    """An episode that could be rendered at once."""

    candidate: Candidate
    prepared: Prepared

    @property
    def request(self) -> RenderRequest:
        """What to render."""
        return self.prepared.request


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The episodes that could be rendered, by name, and those that cannot even be planned."""

    planned: dict[str, PlannedCandidate]
    failed: tuple[NightEpisode, ...]


def nightly_store(spec: NightlySpec, *, store: str = "") -> Store:
    """Where nights are kept: as asked, as the file says, or the settings' store."""
    return open_store(store or spec.resolve(spec.store) or settings().store_url)


def plan_candidates(
    spec: NightlySpec, forecast: Forecaster, reporter: Reporter, *, store: str = ""
) -> Candidates:
    """Read, plan and forecast every episode. One that cannot be is reported as failed.

    UsageError where two episodes have one name, or one film, where a film would replace another's
    source, or an episode.yaml is wrong.
    """
    requests: list[tuple[int, NightlyEpisodeSpec, RenderRequest]] = []
    failed: list[NightEpisode] = []
    for place, each in enumerate(spec.episodes):
        try:
            requests.append((place, each, _request(spec, each, store=store)))
        except InputError as error:
            name = Path(each.path).stem
            failed.append(
                NightEpisode(episode=name, show=each.show, state=Outcome.FAILED, why=str(error))
            )
    _check_apart({place: request for place, _, request in requests}, spec)
    planned: dict[str, PlannedCandidate] = {}
    for place, each, request in requests:
        name = request.episode.name
        reporter.phase(f"planning {name}")
        try:
            prepared = prepare(request, reporter)
            check_output(prepared)
            candidate = Candidate(
                episode=name,
                show=each.show,
                priority=each.priority,
                place=place,
                forecast=forecast(prepared),
            )
        except DougaError as error:
            failed.append(
                NightEpisode(episode=name, show=each.show, state=Outcome.FAILED, why=str(error))
            )
        else:
            planned[name] = PlannedCandidate(candidate=candidate, prepared=prepared)
    return Candidates(planned=planned, failed=tuple(failed))


def _request(spec: NightlySpec, each: NightlyEpisodeSpec, *, store: str) -> RenderRequest:
    """What to render; where the episode names no store, the nightly's."""
    path = spec.resolve(each.path)
    request = make_request(
        path,
        output=spec.resolve(each.output),
        recipe=spec.resolve(each.recipe),
        store=store or spec.resolve(each.store),
        ray=spec.ray,
        workers=spec.workers,
        chunk=each.chunk,
        encoder=each.encoder or "",
        quality=each.quality,
        fps=str(each.fps or ""),
        command=shlex.join(["douga", "render", path]),
    )
    if store or each.store or request.episode.store or not spec.store:
        return request
    return request.model_copy(update={"store": open_store(spec.resolve(spec.store)).url})


def _check_apart(requests: Mapping[int, RenderRequest], spec: NightlySpec) -> None:
    films = {place: os.path.realpath(request.output) for place, request in requests.items()}
    names = {place: request.episode.name for place, request in requests.items()}
    for what, values in (("are named", names), ("go to", films)):
        seen: set[str] = set()
        for place, value in values.items():
            if value in seen:
                raise UsageError(
                    f"two episodes {what} {value}",
                    where=spec.where("episodes", place),
                    remedy="give one of them another name: or output:",
                )
            seen.add(value)
    for place, request in requests.items():
        # its own is seen to with every render
        others = [film for other, film in films.items() if other != place]
        for source in request.episode.sources:
            if os.path.realpath(path := request.episode.resolve(source.path)) in others:
                raise UsageError(
                    f"another's film would replace {path}, the source of {request.episode.name}",
                    where=spec.where("episodes", place),
                    remedy="give it another output:",
                )
