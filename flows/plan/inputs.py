"""Every shot with what the plan must know of it: frames, times, recipe, files, key material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from cluster.errors import InputError, os_reason
from cluster.keys import digest_file, make_key
from cluster.settings import home_folder
from flows.plan.shot_plan import ShotInput
from flows.plan.stage_context import shot_recipe
from flows.spec.documents import EpisodeSpec, StageSpec
from flows.spec.shots import Shot
from flows.timeline import slug_after
from tasks.analysis.analyse import Analysis, drawings_for
from tasks.decode import SourceIndex, decoder_build, source_key_material
from tasks.decode.digest import Identity
from tasks.decode.source import FILMS
from tasks.decode.unchanged import HeldFile
from tasks.frames.track import Track
from tasks.stages.registry import make_stage
from tasks.worker.item import SourceInput


def shot_inputs(
    episode: EpisodeSpec,
    indices: Sequence[SourceIndex],
    analyses: Mapping[int, Analysis],
    shots: Sequence[Shot],
    *,
    origin_s: Fraction | None,
) -> tuple[tuple[ShotInput, ...], tuple[SourceIndex, ...]]:
    """The input of every shot; and the sources, black ones as the recipe leaves them.

    Errors: InputError for a file that a stage reads, UsageError for its parameters.
    """
    inputs: list[ShotInput] = []
    sources = list(indices)
    digests: dict[str, str] = {}
    identities = {index.path: held_identity(index) for index in indices}
    clock = Fraction(0)
    first = 0
    for shot in shots:
        index = indices[shot.source]
        begin, end = index.times[shot.start], _end_of(index, shot)
        shift = clock - begin if origin_s is None else -origin_s
        track = _track(index, shot, analyses.get(shot.source), shift_s=shift, first=first)
        recipe: tuple[StageSpec, ...] = ()
        if index.kind == "black":
            track, index = slug_after(track, index, episode.recipe_for(shot.id))
            shot = replace(shot, end=len(track))
            sources[shot.source] = index
        else:
            recipe = shot_recipe(episode, shot.id, shots=[other.id for other in shots])
        inputs.append(
            ShotInput(
                shot=shot,
                track=track,
                source=SourceInput(
                    path=index.path,
                    digest=index.digest,
                    index_name=index_name(index),
                    first=shot.start,
                    identity=identities.get(index.path),
                ),
                recipe=recipe,
                needs=episode.needs_for(shot.id),
                assets=_assets(episode, recipe, digests),
                material=partial(_material, index, shot.start),
            )
        )
        clock += end - begin
        first += len(shot)
    return tuple(inputs), tuple(sources)


def index_name(index: SourceIndex) -> str:
    """Where the store keeps a source's index for workers."""
    about: dict[str, object] = {"source": index.digest, "build": decoder_build()}
    if index.kind == "folder":
        about["frames"] = "with digests"
    return f"probes/{make_key(about)}.json"


def held_identity(index: SourceIndex) -> Identity | None:
    """What the file system says of a film that holds what was indexed; None for other sources.

    InputError if the film is another one by now.
    """
    if index.kind not in FILMS or "://" in index.path:
        return None
    held = HeldFile(index.path, index.content, cache_dir=home_folder("cache"))
    return held.begin()


def _end_of(index: SourceIndex, shot: Shot) -> Fraction:
    """When a shot ends, on its source's clock."""
    return index.times[shot.end] if shot.end < len(index.times) else index.end


def _track(
    index: SourceIndex, shot: Shot, analysis: Analysis | None, *, shift_s: Fraction, first: int
) -> Track:
    """A shot's source frames on the film's clock, `shift_s` later than on the source's."""
    return Track(
        picture=index.picture,
        times=tuple(time + shift_s for time in index.times[shot.start : shot.end]),
        end=_end_of(index, shot) + shift_s,
        rate=index.rate,
        first=first,
        drawing=drawings_for(analysis, shot.start, shot.end) if analysis else (),
    )


def _material(index: SourceIndex, first: int, indices: Sequence[int]) -> object:
    frames = source_key_material(index, [first + i for i in indices])
    return {"build": decoder_build(), "frames": frames}


def _assets(
    episode: EpisodeSpec, recipe: Sequence[StageSpec], digests: dict[str, str]
) -> dict[str, str]:
    """Digest of every file that the recipe's stages read, by the path as written. `digests` are
    those known from other shots; it is added to."""
    for step in recipe:
        for path in make_stage(step.stage, step.params).assets():
            if path not in digests:
                try:
                    digests[path] = digest_file(Path(episode.resolve(path)))
                except OSError as error:
                    raise InputError(
                        f"cannot be read: {os_reason(error)}", where=f"{step.stage} {path}"
                    ) from error
    return digests
