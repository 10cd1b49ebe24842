"""Runs one work item inside a stage actor: load → process → store → receipt.

Several calls run at once in one worker: while one computes, the next one loads and the previous one
stores. One lock guards each source's decoder and one guards computing; nothing else is shared. A
worker makes no chunk that the store already has, and overwrites none that another worker made while
it was stopped.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cluster.chunks.chunk import chunk_info, read_frames
from cluster.chunks.write import encode_chunk
from cluster.errors import DigestError, DougaError
from cluster.keys import Key, canonical
from cluster.ledger.receipts import Receipt
from cluster.store.base import NotStored, Store
from cluster.store.open import open_store
from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.stage import Note, Stage
from tasks.worker.build import check_build, worker_build
from tasks.worker.errors import errors_at, is_memory_error
from tasks.worker.inputs import Inputs
from tasks.worker.item import (
    SegmentItem,
    StageCall,
    WorkItem,
    asset_name,
    chunk_name,
    notes_name,
)
from tasks.worker.notes import pack_notes, unpack_notes
from tasks.worker.process import process
from tasks.worker.readers import Readers
from tasks.worker.receipt import chunk_receipt, now
from tasks.worker.segment_work import make_segment
from tasks.worker.storing import put_with_retry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What a worker gets at its start: the store, a local cache folder, its device, the
    codec of the chunks it writes."""

    store_url: str
    cache: str
    device: Device
    codec: str = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """Finished frames of a chunk, their track, and what they cost."""

    frames: Frames
    track: Track
    notes: tuple[Note, ...]
    bytes_in: int
    load_s: float
    compute_s: float


class Worker:
    """The handler that a stage actor hosts; its models and open sources stay warm."""

    def __init__(self, config: WorkerConfig, *, store: Store | None = None) -> None:
        self._config = config
        self._store: Store = store or open_store(config.store_url)
        self._inputs = Inputs(self._store, Readers(self._store, Path(config.cache)))
        self._stages: dict[str, Stage[Any]] = {}
        self._ready: set[str] = set()
        self._batches: dict[str, int] = {}
        self._computing = threading.Lock()
        cv2.setNumThreads(1)

    def build(self) -> dict[str, str]:
        """What makes the pixels here, as the driver's `build_for` says what must."""
        return worker_build()

    def pid(self, _: None) -> int:
        """The worker's process id."""
        return os.getpid()

    def warm(self, calls: tuple[StageCall, ...]) -> None:
        """Sets stages up before the first chunk needs them: importing torch takes seconds."""
        with self._computing:
            for call in calls:
                self._stage(call, ready=True)

    def make_chunk(self, item: WorkItem) -> Receipt:
        """Makes and stores a chunk. StageError, or the input's error, naming shot and frames."""
        check_build(item.build, where=item.where)
        name = chunk_name(item.key)
        began_at = now()
        if self._store.has([name]):
            return self._receipt(item, began_at=began_at, reused=True)
        where = f"{item.where} frames {item.out.start}-{item.out.end - 1}"
        with errors_at(where):
            made, taken = self._make_missing(item)
            after = made.track
            stored_from = time.monotonic()
            data = encode_chunk(
                np.ascontiguousarray(made.frames),
                first=item.out.start,
                times=[after.times[i] - after.times[0] for i in item.out.indices()],
                meta={
                    "key": item.key,
                    "stage": item.name,
                    "picture": canonical(after.picture),
                },
                codec=self._config.codec,
            )
            if made.notes:
                notes = pack_notes(made.notes)
                put_with_retry(
                    partial(self._store.put, notes_name(item.key), notes, if_absent=True)
                )
            digest = put_with_retry(partial(self._store.put, name, data, if_absent=True))
            stored = time.monotonic()
        return replace(
            self._receipt(item, began_at=began_at),
            digest=digest,
            frames=len(item.out) - taken,
            load_s=made.load_s,
            compute_s=made.compute_s,
            store_s=stored - stored_from,
            bytes_in=made.bytes_in,
            bytes_out=len(data),
        )

    def remake(self, item: WorkItem) -> Frames:
        """The frames of a chunk, made anew whatever is stored; nothing is stored of them."""
        with errors_at(f"{item.where} frames {item.out.start}-{item.out.end - 1}"):
            return self._make_frames(item, item.out).frames

    def make_segment(self, item: SegmentItem) -> Receipt:
        """Encodes a shot's chunks as one segment and stores it. EncodeError naming the shot."""
        return make_segment(self._store, item, device=self._config.device)

    def _make_missing(self, item: WorkItem) -> tuple[_Result, int]:
        """The frames of a chunk, and how many of them were copied from other objects."""
        parts: list[_Result] = []
        at, taken = item.out.start, 0
        for key, span in item.have:
            held = self._copy(item, key, span)
            if held is None:
                continue
            if at < span.start:
                parts.append(self._make_frames(item, Span(at, span.start)))
            parts.append(held)
            at, taken = span.end, taken + len(span)
        if at < item.out.end or not parts:
            parts.append(self._make_frames(item, Span(at, item.out.end)))
        return _join(parts), taken

    def _copy(self, item: WorkItem, key: Key, span: Span) -> _Result | None:
        """Copies frames of a chunk, and its notes, from another object.

        None if they must be made: the object is gone or damaged, or its notes cover other frames.
        """
        began = time.monotonic()
        name, notes = chunk_name(key), tuple[Note, ...]()
        try:
            if self._store.has([notes_name(key)]):
                info = chunk_info(self._store.get(name))
                if (info.first, info.count) != (span.start, len(span)):
                    return None
                notes = unpack_notes(self._store.get(notes_name(key)))
            frames = read_frames(self._store, name, span.indices())
        except (NotStored, DigestError) as error:
            log.warning("%s: %s; its frames are made again", error.where, error.what)
            return None
        track = item.track
        for call in item.calls:
            track = self._stage(call).track_after(track)
        load_s = time.monotonic() - began
        return _Result(
            frames=frames,
            track=track,
            notes=notes,
            bytes_in=frames.nbytes,
            load_s=load_s,
            compute_s=0.0,
        )

    def _make_frames(self, item: WorkItem, out: Span) -> _Result:
        """Makes frames of a chunk in batches, and halves the batch whenever memory runs out."""
        count = max(1, len(out))
        while True:
            batch = min(count, item.batch or count, self._batches.get(item.name, count))
            spans = [Span(at, min(at + batch, out.end)) for at in _starts(out, batch)]
            try:
                return _join([self._make_batch(item, span) for span in spans])
            except (MemoryError, RuntimeError, cv2.error, DougaError) as error:
                if batch == 1 or not is_memory_error(error):
                    raise
                self._batches[item.name] = batch // 2
                log.warning(
                    "%s: out of memory; going on with %d frames at once", item.name, batch // 2
                )

    def _make_batch(self, item: WorkItem, out: Span) -> _Result:
        """Runs all stages on one batch of a chunk."""
        tracks, read, spans = self._unroll(item, out)
        began = time.monotonic()
        frames = self._inputs.load(item, read)
        loaded = time.monotonic()
        bytes_in = frames.nbytes
        notes: tuple[Note, ...] = ()
        with self._computing:
            started = time.monotonic()
            given = read
            for call, track, made in zip(item.calls, tracks, spans, strict=False):
                stage = self._stage(call, ready=True)
                frames = process(stage, track, given, frames, made)
                given = made.indices()
                notes += stage.take_notes()
            computed = time.monotonic()
        return _Result(
            frames=frames,
            track=tracks[-1],
            notes=notes,
            bytes_in=bytes_in,
            load_s=loaded - began,
            compute_s=computed - started,
        )

    def _unroll(self, item: WorkItem, out: Span) -> tuple[list[Track], tuple[int, ...], list[Span]]:
        """The track before and after each call, the frames to read, and what each call makes.

        Reads only the frames that the first call asks for, however far apart: a drawing may have
        been held for minutes.
        """
        tracks = [item.track]
        for call in item.calls:
            tracks.append(self._stage(call).track_after(tracks[-1]))
        spans: list[Span] = []
        needed = out.indices()
        for call, track in zip(reversed(item.calls), reversed(tracks[:-1]), strict=True):
            spans.insert(0, Span(min(needed), max(needed) + 1))
            needed = self._stage(call).needs(spans[0], track)
        return tracks, needed, spans

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


def _starts(span: Span, step: int) -> range:
    """Where batches of `step` frames begin in a span; an empty span has one batch."""
    return range(span.start, max(span.end, span.start + 1), step)


def _join(made: list[_Result]) -> _Result:
    """Joins batches."""
    if len(made) == 1:
        return made[0]
    return _Result(
        frames=np.concatenate([part.frames for part in made]),
        track=made[0].track,
        notes=tuple(note for part in made for note in part.notes),
        bytes_in=sum(part.bytes_in for part in made),
        load_s=sum(part.load_s for part in made),
        compute_s=sum(part.compute_s for part in made),
    )
