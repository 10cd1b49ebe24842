"""A rendered shot as a file for an editor: its segment's packets, untouched, on an exact clock."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from cluster.keys import Key
from cluster.scratch import scratch_folder
from cluster.store.base import Store
from flows.spec.documents import Container
from tasks.assemble import assemble_film
from tasks.frames.picture import Picture
from tasks.worker.item import segment_name


def write_shot_file(
    out: Path,
    *,
    store: Store,
    segments: Sequence[Key],
    frames: int,
    rate: Fraction,
    picture: Picture,
    container: Container,
) -> None:
    """Join stored segments (handle, shot, handle) to one file that begins at 0 and shows each of
    its `frames` for exactly 1 / `rate` s. It appears whole or not at all.

    Errors: StoreError, EncodeError.
    """
    with scratch_folder("shots", beside=out.parent) as folder:
        paths = [folder / f"{place}.mkv" for place in range(len(segments))]
        for key, path in zip(segments, paths, strict=True):
            store.get_file(segment_name(key), path)
        fresh = folder / out.name
        assemble_film(
            fresh,
            segments=paths,
            times=[k / rate for k in range(frames)],
            end=frames / rate,
            picture=picture,
            container=container,
        )
        fresh.replace(out)
