"""Join the shots' segments into one film, with the sources' sound and everything else, once."""

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
