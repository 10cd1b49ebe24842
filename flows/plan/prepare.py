"""From a request to a plan, step by step; every step is a module of its own in this room."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

from cluster.connect.local import is_this_machine
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.plan.audio import film_origin, passthrough_for
from flows.plan.checks import check_cast, check_frames, check_recipes, check_shot_names
from flows.plan.cut import cut_shots
from flows.plan.engine import Choice, choose_engine
from flows.plan.inputs import index_name, shot_inputs
from flows.plan.partial import Selection, select
from flows.plan.partial_record import ask_store
from flows.plan.plan import RenderPlan, plan_render
from flows.plan.preview import select_preview
from flows.plan.shot_plan import ShotInput
from flows.plan.sources import analyse_sources, probe_sources
from flows.progress import Reporter
from flows.spec.request import RenderRequest
from flows.spec.shots import parse_frames
from tasks.assemble import Passthrough
from tasks.decode import SourceIndex
from tasks.encode.encoders import EncodeSpec
from tasks.frames.colour import delivery_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request, read and planned. `indices` are the sources' in the episode's order, then those
    that its timeline makes: black, and retimed clips."""

    request: RenderRequest
    store: Store
    indices: tuple[SourceIndex, ...]
    inputs: tuple[ShotInput, ...]
    plan: RenderPlan
    origin_s: Fraction | None
    """Where the film's clock begins on the one source's, None where the film is not all of it."""
    engine: Choice
    """What runs its networks, and why that."""

    @property
    def name(self) -> str:
        """The episode's name."""
        return self.request.episode.name

    @property
    def passthrough(self) -> Passthrough | None:
        """Where the film's sound, subtitles, fonts and chapters come from."""
        return passthrough_for(
            self.indices,
            [entry.shot for entry in self.inputs],
            origin_s=self.origin_s,
            audio=self.request.episode.delivery.audio,
        )

    def index_names(self) -> Iterator[tuple[SourceIndex, str]]:
        """Every source's index, and where the store keeps it for workers."""
        for index in self.indices:
            yield index, index_name(index)


def prepare(request: RenderRequest, reporter: Reporter, *, run: str = "") -> Prepared:
    """Everything that is known before a frame is rendered. Writes nothing to the store. `run` is
    the run's name where it has one already.

    Errors: UsageError for the spec, InputError for a source, StoreError.
    """
    episode = request.episode
    check_recipes(episode)
    check_cast(episode)
    store = open_store(request.store)
    indices = probe_sources(episode, reporter)
    shots, indices = cut_shots(episode, indices, reporter)
    check_shot_names(request, shots)
    analyses = analyse_sources(episode, indices, shots, reporter)
    origin_s = film_origin(indices, shots)
    inputs, indices = shot_inputs(episode, indices, analyses, shots, origin_s=origin_s)
    plan, engine = _plan_by_engine(request, store, inputs, run=run or new_run_id())
    plan = replace(plan, selection=_select(request, store, plan))
    return Prepared(
        request=request,
        store=store,
        indices=indices,
        inputs=inputs,
        plan=plan,
        origin_s=origin_s,
        engine=engine,
    )


def _plan_by_engine(
    request: RenderRequest, store: Store, inputs: tuple[ShotInput, ...], *, run: str
) -> tuple[RenderPlan, Choice]:
    """The plan with what the store has, and the engine of its networks. Of two that may be, it is
    the one that the store has more frames by: a run that was broken off left no manifest."""
    steps = (step for entry in inputs for step in entry.recipe)
    elsewhere = "" if is_this_machine(request.ray) else request.ray
    choice = choose_engine(store, request.episode.name, steps, ray=elsewhere, device=device_type())
    plan = _plan_film(request, inputs, run=run, engine=choice.engine)
    check_frames(request, plan)
    plan = ask_store(store, plan)
    if choice.other is not None:
        other = _plan_film(request, inputs, run=run, engine=choice.other)
        other = ask_store(store, other)
        if len(other.stored) > len(plan.stored):
            return other, choice.turned()
    return plan, choice


def _plan_film(
    request: RenderRequest, inputs: tuple[ShotInput, ...], *, run: str, engine: str
) -> RenderPlan:
    """The plan of the whole film as the episode wants it delivered."""
    delivery = request.episode.delivery
    return plan_render(
        inputs,
        episode=request.episode.name,
        run=run,
        chunk=request.chunk,
        device=device_type(),
        engine=engine,
        delivery=partial(delivery_picture, pix_fmt=delivery.pix_fmt, encoder=delivery.encoder),
        encode=EncodeSpec(
            encoder=delivery.encoder,
            quality=delivery.quality,
            preset=delivery.preset or "",
            pix_fmt=delivery.pix_fmt,
        ),
    )


def _select(request: RenderRequest, store: Store, plan: RenderPlan) -> Selection:
    """The shots and frames to make: a preview's, or those that the request names."""
    if request.preview_every:
        return select_preview(store, plan, every=request.preview_every, shots=request.shots)
    return select(request.shots, parse_frames(request.frames))


def device_type() -> str:
    """The device type that keys name: as set, else cuda where this machine has an NVIDIA GPU."""
    chosen = settings().device
    if chosen != "auto":
        return chosen
    return "cuda" if Path("/proc/driver/nvidia/version").exists() else "cpu"


def new_run_id(began: datetime | None = None) -> str:
    """A run's or a night's name: when it began (UTC, to the millisecond, so that names sort by
    time), and four hex digits to tell two of the same moment apart."""
    at = began or datetime.now(UTC)
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}-{secrets.token_hex(2)}"
