"""From a request to a plan: probe the sources, find the cuts, make the shots, ask the store."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

from cluster.errors import InputError, UsageError
from cluster.keys import digest_file, make_key
from cluster.secrets import without_password
from cluster.settings import home_folder, settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.plan.audio import film_origin, local_index, passthrough_for
from flows.plan.partial import ask
from flows.plan.partial_record import recall_pieces
from flows.plan.plan import RenderPlan, plan_render
from flows.plan.preview import asked_preview
from flows.plan.shot_plan import ShotInput
from flows.plan.stage_context import brief_recipe
from flows.progress import Reporter
from flows.spec.documents import StageSpec
from flows.spec.request import RenderRequest
from flows.spec.shots import Shot, parse_frames, shots_from_cuts, shots_from_list
from flows.timeline import conform, slug_after
from tasks.analysis.analyse import ANALYSIS_VERSION, Analysis, drawings_for
from tasks.analysis.sandbox import analyse_apart, index_apart
from tasks.assemble import Passthrough
from tasks.decode import SourceIndex, decoder_build, source_key_material
from tasks.decode.fetch import local_source
from tasks.encode.encoders import EncodeSpec
from tasks.frames.colour import delivery_picture
from tasks.frames.track import Track
from tasks.stages.registry import make_stage
from tasks.worker.item import SourceInput


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
    _check_recipes(request)
    _check_cast(request)
    store = open_store(request.store)
    indices = tuple(_probe(request, position, reporter) for position in range(len(episode.sources)))
    shots, indices = _shots(request, indices, reporter)
    _check_shot_names(request, shots)
    looked = _analyses(request, indices, shots, reporter)
    origin_s = film_origin(indices, shots)
    inputs, indices = _inputs(request, indices, looked, shots, origin_s)
    delivery = episode.delivery
    plan = plan_render(
        inputs,
        episode=episode.name,
        run=run or new_run_id(),
        chunk=request.chunk,
        device=device_type(),
        delivery=partial(delivery_picture, pix_fmt=delivery.pix_fmt, encoder=delivery.encoder),
        encode=EncodeSpec(
            encoder=delivery.encoder,
            quality=delivery.quality,
            preset=delivery.preset or "",
            pix_fmt=delivery.pix_fmt,
        ),
    )
    _check_frames(request, plan)
    plan = recall_pieces(store, plan)
    plan = plan.given(store.has(plan.objects()))
    if request.preview_every:
        asked = asked_preview(store, plan, every=request.preview_every, shots=request.shots)
    else:
        asked = ask(request.shots, parse_frames(request.frames))
    return Prepared(
        request=request,
        store=store,
        indices=indices,
        inputs=inputs,
        plan=replace(plan, asked=asked),
        origin_s=origin_s,
    )


def device_type() -> str:
    """The device type that keys name: as set, else cuda where this machine has an NVIDIA GPU."""
    chosen = settings().device
    if chosen != "auto":
        return chosen
    return "cuda" if Path("/proc/driver/nvidia/version").exists() else "cpu"


def new_run_id(began: datetime | None = None) -> str:
    """A run's or a night's name: when it began (UTC, to the millisecond: names are in order of
    time), and four hex digits against twins."""
    at = began or datetime.now(UTC)
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def _check_recipes(request: RenderRequest) -> None:
    """Every stage and parameter named anywhere must exist before a source is opened."""
    episode = request.episode
    for step in episode.recipe:
        make_stage(step.stage, step.params)
    for name, override in episode.shots.items():
        for step in episode.recipe_for(name):
            make_stage(step.stage, step.params)
        known = {step.stage for step in episode.recipe_for(name)}
        for stage in override.params:
            if stage not in known:
                raise UsageError(
                    f"parameters for {stage!r}, which is not in its recipe",
                    where=f"{episode.name}/{name}",
                )


def _check_cast(request: RenderRequest) -> None:
    """The cast's reference art must be there."""
    episode = request.episode
    for name, member in episode.cast.items():
        for path in member.references:
            if "://" not in path and not Path(episode.resolve(path)).is_file():
                raise InputError(
                    "no such picture", where=f"cast {name}: {path}", remedy="check the path"
                )


def _probe(request: RenderRequest, position: int, reporter: Reporter) -> SourceIndex:
    episode = request.episode
    source = episode.sources[position]
    given = episode.resolve(source.path)
    reporter.phase(f"probing {without_password(source.path)}")
    path = local_source(given, cache=settings().home / "cache") if "://" in given else Path(given)
    index = index_apart(str(path), fps=source.fps, cache_dir=settings().home / "cache")
    for note in index.picture.guessed:
        reporter.note(f"{source.path}: {note}")
    return replace(index, path=given if "://" in given else str(path))


def _shots(
    request: RenderRequest, indices: tuple[SourceIndex, ...], reporter: Reporter
) -> tuple[tuple[Shot, ...], tuple[SourceIndex, ...]]:
    cut = request.episode.cut
    if isinstance(cut, str) and cut != "auto":
        edit = conform(Path(request.episode.resolve(cut)), sources=indices)
        for note in edit.notes:
            reporter.note(note)
        return edit.shots, edit.sources
    if isinstance(cut, tuple):
        return shots_from_list(cut, counts=[len(index.times) for index in indices]), indices
    cuts = [look(index, reporter).cuts for index in indices]
    return shots_from_cuts(cuts, counts=[len(index.times) for index in indices]), indices


def _check_shot_names(request: RenderRequest, shots: Sequence[Shot]) -> None:
    names = {shot.id for shot in shots}
    for asked in (*request.shots, *parse_frames(request.frames), *request.episode.shots):
        if asked not in names:
            raise UsageError(
                f"no shot {asked!r}",
                where=request.episode.name,
                remedy=f"shots are {min(names)} to {max(names)}; see douga plan",
            )


def _check_frames(request: RenderRequest, plan: RenderPlan) -> None:
    """The frames asked for, counted in each shot as it comes out, must exist."""
    frames = {shot.shot.id: len(shot.track) for shot in plan.shots}
    for name, asked in parse_frames(request.frames).items():
        if max(asked) >= frames[name]:
            raise UsageError(
                f"{name} comes out with {frames[name]} frames, so there is no frame {max(asked)}",
                where="--frames",
                remedy="frames of a shot are counted from 0",
            )


def look(index: SourceIndex, reporter: Reporter) -> Analysis:
    """The cuts and repeated drawings of a source, from the cache or by decoding it once."""
    key = make_key({"source": index.digest, "build": decoder_build(), "analysis": ANALYSIS_VERSION})
    cached = home_folder("cache/analysis") / f"{key}.json"
    if cached.exists():
        return Analysis.from_json(cached.read_text())
    reporter.phase(f"finding cuts in {Path(index.path).name}")
    analysis = analyse_apart(local_index(index), progress=reporter.fraction)
    partial_file = cached.with_name(f"{cached.name}.{secrets.token_hex(4)}")
    partial_file.write_text(analysis.to_json())
    partial_file.replace(cached)
    return analysis


def _analyses(
    request: RenderRequest,
    indices: Sequence[SourceIndex],
    shots: Sequence[Shot],
    reporter: Reporter,
) -> dict[int, Analysis]:
    """The analyses that a stage of some shot's recipe asks for, by source."""
    wanted = {
        shot.source
        for shot in shots
        if indices[shot.source].kind != "black"
        and any(
            make_stage(step.stage, step.params).card().needs_drawings
            for step in request.episode.recipe_for(shot.id)
        )
    }
    return {number: look(indices[number], reporter) for number in sorted(wanted)}


def _inputs(
    request: RenderRequest,
    indices: Sequence[SourceIndex],
    looked: dict[int, Analysis],
    shots: Sequence[Shot],
    origin_s: Fraction | None,
) -> tuple[tuple[ShotInput, ...], tuple[SourceIndex, ...]]:
    """Every shot and what is known of it; and the sources, black ones as the recipe leaves them."""
    inputs: list[ShotInput] = []
    sources = list(indices)
    digests: dict[str, str] = {}
    clock = Fraction(0)
    first = 0
    for shot in shots:
        index = indices[shot.source]
        begin = index.times[shot.start]
        finish = index.times[shot.end] if shot.end < len(index.times) else index.end
        shift = clock - begin if origin_s is None else -origin_s
        analysis = looked.get(shot.source)
        track = Track(
            picture=index.picture,
            times=tuple(time + shift for time in index.times[shot.start : shot.end]),
            end=finish + shift,
            rate=index.rate,
            first=first,
            drawing=drawings_for(analysis, shot.start, shot.end) if analysis else (),
        )
        recipe: tuple[StageSpec, ...] = ()
        if index.kind == "black":
            track, index = slug_after(track, index, request.episode.recipe_for(shot.id))
            shot = replace(shot, end=len(track))
            sources[shot.source] = index
        else:
            recipe = brief_recipe(request.episode, shot.id, shots=[other.id for other in shots])
        inputs.append(
            ShotInput(
                shot=shot,
                track=track,
                source=SourceInput(
                    path=index.path,
                    digest=index.digest,
                    index_name=index_name(index),
                    first=shot.start,
                ),
                recipe=recipe,
                assets=_assets(request, recipe, digests),
                material=partial(_material, index, shot.start),
            )
        )
        clock += finish - begin
        first += shot.end - shot.start
    return tuple(inputs), tuple(sources)


def index_name(index: SourceIndex) -> str:
    """Where the store keeps a source's index for workers."""
    return f"probes/{make_key({'source': index.digest, 'build': decoder_build()})}.json"


def _material(index: SourceIndex, first: int, indices: Sequence[int]) -> object:
    frames = source_key_material(index, [first + i for i in indices])
    return {"build": decoder_build(), "frames": frames}


def _assets(
    request: RenderRequest, recipe: Sequence[StageSpec], digests: dict[str, str]
) -> dict[str, str]:
    """Digest of every file that the recipe's stages read, by the path as written. `digests` are
    those known from other shots; it is added to."""
    for step in recipe:
        for path in make_stage(step.stage, step.params).assets():
            if path not in digests:
                try:
                    digests[path] = digest_file(Path(request.episode.resolve(path)))
                except OSError as error:
                    raise InputError(
                        f"cannot be read: {error.strerror}", where=f"{step.stage} {path}"
                    ) from error
    return digests
