"""Reads the frames that a work item asks for, from its source or from stored chunks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np

from cluster.chunks.chunk import read_frames
from cluster.errors import DougaError, StageError
from cluster.store.base import Store
from tasks.frames.codes import Frames
from tasks.worker.errors import errors_at_moment, is_memory_error
from tasks.worker.item import ChunkInput, WorkItem, chunk_name
from tasks.worker.readers import Readers


class Inputs:
    """What work items read. `readers` are the sources that are open."""

    def __init__(self, store: Store, readers: Readers) -> None:
        self._store = store
        self._readers = readers

    def load(self, item: WorkItem, indices: Sequence[int]) -> Frames:
        """Frames (N, H, W, 3) by shot-relative index, ascending. The error of the first frame that
        cannot be read, with its moment."""
        try:
            return self._read(item, indices)
        except DougaError as error:
            if error.retryable or is_memory_error(error):
                raise
            self._name_unreadable(item, indices)
            raise

    def _name_unreadable(self, item: WorkItem, indices: Sequence[int]) -> None:
        """Raises the error of the first unreadable frame, with its moment. Raises nothing if no
        frame can be read: then the cause is not a frame."""
        first: DougaError | None = None
        some = False
        for index in indices:
            try:
                with errors_at_moment(item.track.times[index] - item.track.times[0]):
                    self._read(item, (index,))
                some = True
            except DougaError as error:
                first = first or error
            if some and first is not None:
                raise first

    def _read(self, item: WorkItem, indices: Sequence[int]) -> Frames:
        if item.source is not None:
            first = item.source.first
            return self._readers.read(item.source, [first + index for index in indices])
        if item.chunks is None:
            raise StageError("a work item without input", where=item.where)
        parts = []
        for key, held in item.chunks.chunks:
            wanted = indices[bisect_left(indices, held.start) : bisect_left(indices, held.end)]
            if wanted:
                parts.append(read_frames(self._store, chunk_name(key), wanted))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def stored_frames(store: Store, chunks: ChunkInput) -> Iterator[Frames]:
    """The frames of chunks, a stored part at a time."""
    for key, held in chunks.chunks:
        yield from read_frames(store, chunk_name(key), held.indices())
