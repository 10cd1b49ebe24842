"""An episode cut into shots: by its editor's timeline, by a list of frames, or where it is cut."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flows.plan.sources import analyse_source
from flows.progress import Reporter
from flows.spec.documents import EpisodeSpec
from flows.spec.shots import Shot, shots_from_cuts, shots_from_list
from flows.timeline import conform
from tasks.decode import SourceIndex


def cut_shots(
    episode: EpisodeSpec, indices: tuple[SourceIndex, ...], reporter: Reporter
) -> tuple[tuple[Shot, ...], tuple[SourceIndex, ...]]:
    """The shots in film order, and the sources with those that a timeline adds: black, and retimed
    clips. UsageError for a list or timeline that does not fit the sources."""
    cut = episode.cut
    if isinstance(cut, str) and cut != "auto":
        edit = conform(Path(episode.resolve(cut)), sources=indices)
        for note in edit.notes:
            reporter.note(note)
        return edit.shots, edit.sources
    counts = [len(index.times) for index in indices]
    if isinstance(cut, tuple):
        at = partial(episode.where, "cut")
        return shots_from_list(cut, counts=counts, where=at), indices
    cuts = [analyse_source(index, reporter).cuts for index in indices]
    return shots_from_cuts(cuts, counts=counts), indices
