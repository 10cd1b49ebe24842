"""Where the film's clock begins, and where its sound and everything but pictures come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cluster.settings import settings
from flows.spec.documents import Audio
from flows.spec.shots import Shot
from tasks.assemble import Passthrough, SourceRange, probe_source
from tasks.decode import SourceIndex
from tasks.decode.fetch import local_source


def local_index(index: SourceIndex) -> SourceIndex:
    """The index with a path of this machine."""
    if "://" not in index.path:
        return index
    path = local_source(index.path, cache=settings().home / "cache")
    return replace(index, path=str(path))


def film_origin(indices: Sequence[SourceIndex], shots: Sequence[Shot]) -> Fraction | None:
    """The source time that is 0 on the film's clock, if the film is the whole of one source."""
    if len(indices) != 1 or not _covers_source(shots, indices[0]):
        return None
    index = local_index(indices[0])
    if index.kind == "folder":
        return index.times[0]
    return probe_source(Path(index.path)).origin_s(video_start_s=index.times[0])


def _covers_source(shots: Sequence[Shot], index: SourceIndex) -> bool:
    """Whether the shots are the whole of the one source, in order."""
    at = 0
    for shot in shots:
        if shot.start != at:
            return False
        at = shot.end
    return at == len(index.times)


def passthrough_for(
    indices: Sequence[SourceIndex],
    shots: Sequence[Shot],
    *,
    origin_s: Fraction | None,
    audio: Audio,
) -> Passthrough | None:
    """The whole source where the film is one source (`origin_s`); else the range of each shot,
    neighbours joined; None for frame folders, which have no sound.

    Black and retimed shots have no sound; their range names the source before them, or the first
    one."""
    films = [index for index in indices if index.kind != "black"]
    if any(index.kind == "folder" for index in films):
        return None
    here = [local_index(index) for index in indices]
    if origin_s is not None:
        whole = SourceRange(path=Path(here[0].path), start_s=origin_s)
        return Passthrough(ranges=(whole,), audio=audio)
    ranges: list[SourceRange] = []
    path = next(Path(here[s.source].path) for s in shots if here[s.source].kind != "black")
    for shot in shots:
        index = here[shot.source]
        if index.kind == "black" or index.picks:
            length_s = index.end - index.start
            ranges.append(SourceRange(path=path, start_s=Fraction(0), end_s=length_s, silent=True))
            continue
        path = Path(index.path)
        start = index.times[shot.start]
        end = index.times[shot.end] if shot.end < len(index) else index.end
        last = ranges[-1] if ranges else None
        if last and not last.silent and last.path == path and last.end_s == start:
            ranges[-1] = SourceRange(path=path, start_s=last.start_s, end_s=end)
        else:
            ranges.append(SourceRange(path=path, start_s=start, end_s=end))
    return Passthrough(ranges=tuple(ranges), audio=audio)
