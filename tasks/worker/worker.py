"""Runs one work item inside a stage actor: load → process → store → receipt.

Several calls run at once in one worker: while one computes, the next one loads and the previous one
stores. One lock guards each source's decoder, and `turns` says whose frame is computed; nothing
else is shared. A worker makes no chunk that the store already has, and overwrites none that another
worker made while it was stopped.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from cluster.chunks.chunk import StoredChunk
from cluster.chunks.write import ChunkWriter
from cluster.errors import DigestError, DougaError
from cluster.keys import Key, canonical
from cluster.ledger.receipts import Receipt
from cluster.store.base import NotStored, Store
from cluster.store.open import open_store
from tasks.frames.codes import Frames
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.stage import Note, Stage
from tasks.worker.build import check_build, worker_build
from tasks.worker.delivered import Delivered
from tasks.worker.errors import errors_at, is_memory_error
from tasks.worker.inputs import Inputs
from tasks.worker.item import (
    SegmentItem,
    SourceInput,
    StageCall,
    WorkItem,
    asset_name,
    chunk_name,
    notes_name,
)
from tasks.worker.node import (
    DISK,
    MEMORY,
    STORE,
    THE_RUNS,
    disk_seen,
    memory_seen,
    node_cache,
    store_seen,
)
from tasks.worker.notes import pack_notes, unpack_notes
from tasks.worker.process import Spent, one_at_a_time, process_window
from tasks.worker.readers import Readers
from tasks.worker.receipt import chunk_receipt, now
from tasks.worker.segment_work import make_segment
from tasks.worker.storing import put_with_retry
from tasks.worker.turns import Turns

log = logging.getLogger(__name__)

LARGE_PIXELS = 4_000_000
LARGE_AT_ONCE = 2
"""Chunks of frames from so many pixels on that one worker on the CPU has in hand: from 1080p to 4K
it then takes under 900 MB, with three 1,050."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What a worker gets at its start: the store, a cache folder of its machine ("" for its own
    home's), its device, the codec of the chunks it writes. `sees` names an object of the run: a
    worker that does not see it has another store before it, and one that does is to have room for
    the run's `sources` and `memory_bytes`."""

    store_url: str
    cache: str
    device: Device
    codec: str = "zstd"
    sees: str = ""
    sources: tuple[SourceInput, ...] = ()
    memory_bytes: int = 0


class Worker:
    """The handler that a stage actor hosts; its models and open sources stay warm."""

    def __init__(self, config: WorkerConfig, *, store: Store | None = None) -> None:
        self._config = config
        self._store: Store = store or open_store(config.store_url)
        cache = Path(config.cache) if config.cache else node_cache()
        self._readers = Readers(self._store, cache)
        self._inputs = Inputs(self._store, self._readers)
        self._stages: dict[str, Stage[Any]] = {}
        self._ready: set[str] = set()
        self._batches: dict[str, int] = {}
        self._turns = Turns()
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        cv2.setNumThreads(1)

    def build(self) -> dict[str, str]:
        """What makes the pixels here, as the driver's `build_for` says what must, and on a cluster
        whether the run's store is this one and there is room for its work."""
        wanted, seen = self._config, {}
        if wanted.sees:
            seen[STORE] = store_seen(self._store, wanted.sees)
            seen[MEMORY] = memory_seen(wanted.memory_bytes)
        if seen.get(STORE) == THE_RUNS:
            copies_bytes = self._readers.copies_bytes(wanted.sources)
            seen[DISK] = disk_seen(self._readers.cache, copies_bytes)
        return worker_build() | seen

    def pid(self, _: None) -> int:
        """The worker's process id."""
        return os.getpid()

    def warm(self, calls: tuple[StageCall, ...]) -> None:
        """Sets stages up before the first chunk needs them: importing torch takes seconds."""
        with self._turns.of_chunk() as turn, turn:
            for call in calls:
                self._stage(call, ready=True)

    def leave(self, _: None) -> None:
        """Ends the chunk that is computed, and gives back (GivenBack) those that are not begun."""
        self._turns.leave()

    def make_chunk(self, item: WorkItem) -> Receipt:
        """Makes and stores a chunk. StageError, or the input's error, naming shot and frames."""
        check_build(item.build, where=item.where)
        name = chunk_name(item.key)
        began_at = now()
        if self._store.has([name]):
            return self._receipt(item, began_at=began_at, reused=True)
        kept = _Stored()
        track = self._tracks(item)[-1]
        as_stored = Delivered(item.delivered) if item.delivered else None
        writer = ChunkWriter(first=item.out.start, codec=self._config.codec)
        with errors_at(_where(item)), self._room_for(track.picture):
            with self._turns.of_chunk() as turn:
                spent = Spent(turn=turn)
                frames = self._frames(item, spent, kept)
                for index, frame in enumerate(frames, item.out.start):
                    began = time.monotonic()
                    picture = as_stored.planes_of(index, frame) if as_stored else frame
                    writer.add(picture, track.times[index] - track.times[0])
                    kept.pack_s += time.monotonic() - began
            stored_from = time.monotonic()
            meta = {"key": item.key, "stage": item.name, "picture": canonical(track.picture)}
            data = writer.finish(meta | (as_stored.meta() if as_stored else {}))
            if spent.notes:
                notes = pack_notes(spent.notes)
                put_with_retry(
                    partial(self._store.put, notes_name(item.key), notes, if_absent=True)
                )
            digest = put_with_retry(partial(self._store.put, name, data, if_absent=True))
            put_s = time.monotonic() - stored_from
        return replace(
            self._receipt(item, began_at=began_at),
            digest=digest,
            frames=len(item.out) - kept.taken,
            load_s=spent.load_s,
            decode_s=spent.decode_s,
            compute_s=spent.compute_s,
            store_s=kept.pack_s + put_s,
            pack_s=kept.pack_s,
            bytes_in=spent.bytes_in,
            bytes_out=len(data),
        )

    @contextmanager
    def _room_for(self, picture: Picture) -> Iterator[None]:
        """Waits while as many large frames are in hand as a small machine has memory for. One CPU
        is kept busy by two chunks; a GPU wants three."""
        if self._config.device.kind != "cpu" or picture.width * picture.height < LARGE_PIXELS:
            yield
            return
        with self._large:
            yield

    def remake(self, item: WorkItem) -> Iterator[Frames]:
        """The frames of a chunk one by one, made anew whatever is stored; nothing is stored of
        them."""
        with errors_at(_where(item)), self._turns.of_chunk() as turn:
            yield from self._make_frames(item, item.out, Spent(turn=turn))

    def make_segment(self, item: SegmentItem) -> Receipt:
        """Encodes a shot's chunks as one segment and stores it. EncodeError naming the shot."""
        return make_segment(self._store, self._readers, item, device=self._config.device)

    def _frames(self, item: WorkItem, spent: Spent, kept: _Stored) -> Iterator[Frames]:
        """The frames of a chunk one by one, some of them copied from other objects."""
        at = item.out.start
        for key, span in item.have:
            held = self._copy(item, key, span, spent)
            if held is None:
                continue
            yield from self._make_frames(item, Span(at, span.start), spent)
            yield from held
            kept.taken += len(span)
            at = span.end
        yield from self._make_frames(item, Span(at, item.out.end), spent)

    def _copy(
        self, item: WorkItem, key: Key, span: Span, spent: Spent
    ) -> tuple[Frames, ...] | None:
        """Copies frames of a chunk, and its notes, from another object.

        None if they must be made: the object is gone or damaged, or its notes cover other frames.
        """
        began = time.monotonic()
        try:
            notes: tuple[Note, ...] = ()
            chunk = StoredChunk(self._store, chunk_name(key), span.indices())
            if self._store.has([notes_name(key)]):
                if (chunk.info.first, chunk.info.count) != (span.start, len(span)):
                    return None
                notes = unpack_notes(self._store.get(notes_name(key)))
            frames = tuple(map(chunk.codes, span.indices()))
        except (NotStored, DigestError) as error:
            log.warning("%s: %s; its frames are made again", error.where, error.what)
            return None
        spent.notes.extend(notes)
        spent.bytes_in += sum(frame.nbytes for frame in frames)
        spent.load_s += time.monotonic() - began
        return frames

    def _make_frames(self, item: WorkItem, out: Span, spent: Spent) -> Iterator[Frames]:
        """Makes frames of a chunk one by one. Stages that need frames together are given half as
        many at once whenever memory runs out."""
        at, whole = out.start, max(1, len(out))
        while at < out.end:
            batch = min(whole, item.batch or whole, self._batches.get(item.name, whole))
            try:
                part = Span(at, min(at + batch, out.end))
                for frame in self._make_batch(item, part, spent):
                    yield frame
                    at += 1
            except (MemoryError, RuntimeError, cv2.error, DougaError) as error:
                if batch == 1 or not is_memory_error(error):
                    raise
                self._batches[item.name] = batch // 2
                log.warning(
                    "%s: out of memory; going on with %d frames at once", item.name, batch // 2
                )

    def _make_batch(self, item: WorkItem, out: Span, spent: Spent) -> Iterator[Frames]:
        stages = [self._stage(call, ready=True) for call in item.calls]
        tracks = self._tracks(item)
        spans, read = _unroll(stages, tracks, out)
        pull = self._inputs.open(item, read, spent)
        for stage, track, made in zip(stages, tracks, spans, strict=False):
            card = stage.card()
            if card.per_frame or card.one_at_a_time:
                pull = one_at_a_time(stage, track, pull, spent=spent)
            else:
                pull = process_window(stage, track, pull, made, spent=spent)
        yield from map(pull, out.indices())

    def _tracks(self, item: WorkItem) -> list[Track]:
        """The track before and after each of an item's calls."""
        tracks = [item.track]
        for call in item.calls:
            tracks.append(self._stage(call).track_after(tracks[-1]))
        return tracks

    def _stage(self, call: StageCall, *, ready: bool = False) -> Stage[Any]:
        name = canonical([call.name, call.params, call.assets])
        stage = self._stages.get(name)
        if stage is None:
            stage = self._stages.setdefault(name, call.make())
        if ready and name not in self._ready:
            digests = dict(call.assets)
            stage.setup(
                self._config.device, lambda path: self._store.get(asset_name(digests[path]))
            )
            self._ready.add(name)
        return stage

    def _receipt(self, item: WorkItem, *, began_at: str, reused: bool = False) -> Receipt:
        stages = [self._stage(call) for call in item.calls]
        return chunk_receipt(
            item, stages, device=self._config.device, began_at=began_at, reused=reused
        )


@dataclass(slots=True, kw_only=True)
class _Stored:
    """Of a chunk so far: seconds of packing, and frames that other objects had."""

    pack_s: float = 0.0
    taken: int = 0


def _where(item: WorkItem) -> str:
    return f"{item.where} frames {item.out.start}-{item.out.end - 1}"


def _unroll(
    stages: Sequence[Stage[Any]], tracks: Sequence[Track], out: Span
) -> tuple[list[Span], tuple[int, ...]]:
    """What each stage makes for the frames `out` of the last, and the frames to read.

    Only the frames that the first stage asks for are read, however far apart: a drawing may have
    been held for minutes.
    """
    spans: list[Span] = []
    needed = out.indices()
    for stage, track in zip(reversed(stages), reversed(tracks[:-1]), strict=True):
        spans.insert(0, Span(min(needed), max(needed) + 1))
        needed = stage.needs(spans[0], track)
    return spans, needed
