"""Where an exported timeline and its shots' files go, and that they may go there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cluster.errors import UsageError, unwritable
from flows.plan.prepare import Prepared
from flows.spec.documents import Container, Encoder
from flows.spec.request import HOLDS

REMEDY = "name another place"

CONTAINER_FOR: dict[Encoder, Container] = {
    "libx264": "mov",
    "libx265": "mov",
    "prores": "mov",
    "libsvtav1": "mp4",
    "ffv1": "mkv",
}
"""What editors open of each encoder: mov and mp4 keep times exactly, mkv to the millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Where a timeline goes, the folder of its shots' files, and an EDL beside it if asked for.

    `container` None is the one for the encoder. `partial` takes shots that are not rendered yet as
    missing media instead of refusing.
    """

    timeline: Path
    shots: Path
    edl: Path | None = None
    container: Container | None = None
    partial: bool = False

    def container_of(self, encoder: Encoder) -> Container:
        """What the shots' files are. UsageError where it does not hold what the encoder makes."""
        container = self.container or CONTAINER_FOR[encoder]
        if encoder not in HOLDS[container]:
            raise UsageError(
                f"{container} does not hold what {encoder} makes",
                where="--container",
                remedy=f"use {CONTAINER_FOR[encoder]} or mkv",
            )
        return container

    def url(self, media: Path) -> str:
        """A file as a URL that resolves from the timeline's folder, percent-encoded UTF-8."""
        return quote(Path(os.path.relpath(media, self.timeline.parent)).as_posix())


def check_places(prepared: Prepared, export: Export) -> None:
    """UsageError where a file would replace what the episode is made of."""
    episode = prepared.request.episode
    container = export.container_of(episode.delivery.encoder)
    written = {export.timeline, *([export.edl] if export.edl else [])}
    written |= {export.shots / f"{shot.shot.id}.{container}" for shot in prepared.plan.shots}
    named = [source.path for source in episode.sources]
    if isinstance(episode.cut, str) and episode.cut != "auto":
        named.append(episode.cut)
    for path in named:
        needed = episode.resolve(path)
        if "://" not in needed and Path(needed).resolve() in {one.resolve() for one in written}:
            raise UsageError(
                "the export would replace what the episode is made of",
                where=needed,
                remedy="name another place with -o or --shots",
            )


def make_folders(export: Export) -> None:
    """The folders of all that is written. EncodeError where one cannot be."""
    edl = [export.edl.parent] if export.edl else []
    for folder in (export.shots, export.timeline.parent, *edl):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error, remedy=REMEDY) from error


def write_document(path: Path, text: str) -> None:
    """A document under its name, whole or not at all. EncodeError where it cannot be written."""
    fresh = path.with_name(f".{path.name}.partial")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise unwritable(path, error, remedy=REMEDY) from error
