"""What an episode's sources are: their indices, and the cuts and repeated drawings in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.cache import cached
from cluster.keys import make_key
from cluster.secrets import without_password
from cluster.settings import home_folder, settings
from flows.plan.audio import local_index
from flows.progress import Reporter
from flows.spec.allowed_paths import check_allowed
from flows.spec.documents import EpisodeSpec, SourceSpec
from flows.spec.shots import Shot
from tasks.analysis.analyse import ANALYSIS_VERSION, Analysis
from tasks.analysis.sandbox import analyse_in_sandbox, index_in_sandbox
from tasks.decode import SourceIndex, decoder_build
from tasks.decode.fetch import local_source
from tasks.decode.folder import find_frames
from tasks.stages.registry import make_stage


def probe_sources(episode: EpisodeSpec, reporter: Reporter) -> tuple[SourceIndex, ...]:
    """The index of every source, in the episode's order. InputError for one that cannot be read."""
    return tuple(_probe(episode, source, reporter) for source in episode.sources)


def _probe(episode: EpisodeSpec, source: SourceSpec, reporter: Reporter) -> SourceIndex:
    named = episode.resolve(source.path)
    reporter.phase(f"probing {without_password(source.path)}")
    path = local_source(named, cache=settings().home / "cache") if "://" in named else Path(named)
    if (frames := find_frames(str(path))) is not None:
        for name in frames.names:  # a link may stand for a single one
            check_allowed(str(frames.folder / name))
    index = index_in_sandbox(str(path), fps=source.fps, cache_dir=settings().home / "cache")
    for note in index.picture.guessed:
        reporter.note(f"{source.path}: {note}")
    return replace(index, path=named if "://" in named else str(path))


def analyse_sources(
    episode: EpisodeSpec,
    indices: Sequence[SourceIndex],
    shots: Sequence[Shot],
    reporter: Reporter,
) -> dict[int, Analysis]:
    """The analyses that a stage of some shot's recipe asks for, by source."""
    needed = {
        shot.source
        for shot in shots
        if indices[shot.source].kind != "black"
        and any(
            make_stage(step.stage, step.params).card().needs_drawings
            for step in episode.recipe_for(shot.id)
        )
    }
    return {number: analyse_source(indices[number], reporter) for number in sorted(needed)}


def analyse_source(index: SourceIndex, reporter: Reporter) -> Analysis:
    """The cuts and repeated drawings of a source, from the cache or by decoding it once."""
    key = make_key({"source": index.digest, "build": decoder_build(), "analysis": ANALYSIS_VERSION})

    def analyse() -> str:
        reporter.phase(f"finding cuts in {Path(index.path).name}")
        return analyse_in_sandbox(
            local_index(index), progress=reporter.fraction, cache_dir=settings().home / "cache"
        ).to_json()

    return cached(home_folder("cache/analysis") / f"{key}.json", analyse, Analysis.from_json)
