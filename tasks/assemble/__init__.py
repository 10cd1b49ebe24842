"""Segments joined into one film, with sound.

`film` is the story; `grid` and `clock` give each packet its exact time, `streams` plans what else
goes in, `sound`, `subtitles` and `passthrough` copy it from the sources once, `display` and `tags`
say how it is shown. In: segments, sources. Out: a film, not yet named.
"""

from tasks.assemble.film import FilmInfo, FilmStream, assemble_film
from tasks.assemble.source import (
    AudioMode,
    Passthrough,
    Source,
    SourceRange,
    SourceStream,
    probe_source,
)
from tasks.assemble.streams import Container, FilmPlan, plan_streams

__all__ = [
    "AudioMode",
    "Container",
    "FilmInfo",
    "FilmPlan",
    "FilmStream",
    "Passthrough",
    "Source",
    "SourceRange",
    "SourceStream",
    "assemble_film",
    "plan_streams",
    "probe_source",
]
