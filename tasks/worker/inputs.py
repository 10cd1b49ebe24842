"""Reads the frames that a work item asks for, from its source or from stored chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cluster.chunks.chunk import StoredChunk
from cluster.errors import DougaError, StageError
from cluster.keys import Key
from cluster.store.base import Store
from tasks.frames.codes import Frames
from tasks.worker.errors import errors_at_moment, is_memory_error
from tasks.worker.item import WorkItem, chunk_name
from tasks.worker.process import Pull, Spent
from tasks.worker.readers import Readers


class Inputs:
    """What work items read. `readers` are the sources that are open."""

    def __init__(self, store: Store, readers: Readers) -> None:
        self._store = store
        self._readers = readers

    def open(self, item: WorkItem, indices: Sequence[int], spent: Spent) -> Pull:
        """These frames of an item's input, by shot-relative index. A source's are decoded now, and
        become codes one by one as they are asked for, each again unless it was the last.

        The error of the first frame that cannot be read, with its moment.
        """
        if item.source is None and item.chunks is None:
            raise StageError("a work item without input", where=item.where)
        with _timed(spent, item):
            try:
                read = self._of_source if item.source is not None else self._of_chunks
                codes = read(item, indices)
            except DougaError as error:
                if error.retryable or is_memory_error(error):
                    raise
                self._name_unreadable(item, indices)
                raise
        last: tuple[int, Frames] | None = None

        def pull(index: int) -> Frames:
            nonlocal last
            if last is None or last[0] != index:
                with _timed(spent, item):
                    frame = codes(index)
                frame.flags.writeable = False
                spent.bytes_in += frame.nbytes
                last = (index, frame)
            return last[1]

        return pull

    def _of_source(self, item: WorkItem, indices: Sequence[int]) -> Callable[[int], Frames]:
        assert item.source is not None
        first = item.source.first
        reader, decoded = self._readers.decode(item.source, [first + index for index in indices])
        planes = dict(zip(indices, decoded, strict=True))
        return lambda index: reader.codes_of(planes[index])

    def _of_chunks(self, item: WorkItem, indices: Sequence[int]) -> Callable[[int], Frames]:
        """Each chunk is read when a frame of it is first asked for, and kept until one of another
        is."""
        assert item.chunks is not None
        chunks = item.chunks.chunks
        opened: tuple[Key, StoredChunk] | None = None

        def codes(index: int) -> Frames:
            nonlocal opened
            key, held = next((key, held) for key, held in chunks if index in held.indices())
            if opened is None or opened[0] != key:
                wanted = [one for one in indices if held.start <= one < held.end]
                opened = (key, StoredChunk(self._store, chunk_name(key), wanted))
            return opened[1].codes(index)

        return codes

    def _name_unreadable(self, item: WorkItem, indices: Sequence[int]) -> None:
        """Raises the error of the first unreadable frame, with its moment. Raises nothing if no
        frame can be read: then the cause is not a frame."""
        first: DougaError | None = None
        some = False
        for index in indices:
            try:
                with errors_at_moment(item.track.times[index] - item.track.times[0]):
                    self._of_source(item, (index,))
                some = True
            except DougaError as error:
                first = first or error
            if some and first is not None:
                raise first


@contextmanager
def _timed(spent: Spent, item: WorkItem) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        took_s = time.monotonic() - began
        spent.load_s += took_s
        spent.decode_s += took_s if item.source is not None else 0.0
