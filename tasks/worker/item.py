"""Work items that travel from the plan to a worker: one chunk or one segment each. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from cluster.keys import Key
from tasks.decode.digest import Identity
from tasks.encode.encoders import EncodeSpec
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.stages.registry import make_stage
from tasks.stages.stage import Stage
from tasks.verify.shown import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCall:
    """A stage with its parameters; `assets` maps each path of the recipe to its digest."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    assets: tuple[tuple[str, str], ...] = ()

    def make(self) -> Stage[Any]:
        """The stage, not set up. UsageError if the parameters are wrong."""
        return make_stage(self.name, dict(self.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInput:
    """Frames straight from a source: shot-relative index i is source frame `first + i`.

    `index_name` is where the store keeps the source's index; `path` is a local path or s3:// URL.
    `identity` is a film's when its digest was held against it: where the file looks the same on a
    worker's machine, it is not read through once more.
    """

    path: str
    digest: str
    index_name: str
    first: int
    identity: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkInput:
    """Frames from an earlier run's stored chunks, each with the span it holds."""

    chunks: tuple[tuple[Key, Span], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """Make one chunk: the frames `out` of `shot` after `calls`, from `track` as it comes in.

    At most `batch` frames are worked on at once, 0: all. It changes no pixel and is in no key; nor
    does `have`: other objects that hold frames of `out` already, with the stretch of each, in
    order. These are taken as they are. `build` is what makes the pixels where it was planned
    (build.py); a worker made of anything else refuses it.

    Frames that go into the film are stored as the planes of the picture that is `delivered`, under
    a key of their own; `codes` is then the key that the same chunk has as codes.
    """

    key: Key
    run: str
    episode: str
    shot: str
    name: str
    calls: tuple[StageCall, ...]
    track: Track
    out: Span
    source: SourceInput | None = None
    chunks: ChunkInput | None = None
    batch: int = 0
    have: tuple[tuple[Key, Span], ...] = ()
    build: str = ""
    delivered: Picture | None = None
    codes: Key | None = None

    @property
    def where(self) -> str:
        """The place that messages name."""
        return f"{self.episode}/{self.shot}/{self.name}"

    def lighter(self) -> WorkItem | None:
        """The same work in batches half as large; None if there are none."""
        batch = min(self.batch or len(self.out), len(self.out))
        return replace(self, batch=batch // 2) if batch > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentItem:
    """Encode one shot: its last run's chunks, in order, as one closed-GOP segment.

    `stages` made the chunks, and `shown` of `source` is what they should show: the segment is held
    against both. The chunks' keys say all of it.
    """

    key: Key
    run: str
    episode: str
    shot: str
    chunks: ChunkInput
    frames: int
    picture: Picture
    rate: Fraction
    spec: EncodeSpec
    stages: str
    shown: Shown
    source: SourceInput
    build: str = ""

    @property
    def where(self) -> str:
        """The place that messages name."""
        return f"{self.episode}/{self.shot}/encode"


def chunk_name(key: Key) -> str:
    """Where the store keeps a chunk."""
    return f"frames/{key[:2]}/{key}.arrow"


def notes_name(key: Key) -> str:
    """Where the store keeps what a chunk's stages left for people, if anything: a zip."""
    return f"notes/{key[:2]}/{key}.zip"


def segment_name(key: Key) -> str:
    """Where the store keeps a segment."""
    return f"segments/{key[:2]}/{key}.mkv"


def evidence_name(key: Key) -> str:
    """Where the store keeps what was found of a segment by whoever encoded it."""
    return f"evidence/{key[:2]}/{key}.json"


def asset_name(digest: str) -> str:
    """Where the store keeps a file that a stage reads besides frames."""
    return f"assets/{digest[:2]}/{digest}"


def source_name(digest: str) -> str:
    """Where the store keeps a copy of a source for workers that cannot see its path."""
    return f"sources/{digest[:2]}/{digest}"
