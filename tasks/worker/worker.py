"""Runs one work item inside a stage actor: load → process → store → receipt.

Several calls run at once in one worker: while one computes, the next one loads and the previous one
stores. One lock guards each source's decoder and one guards computing; nothing else is shared. A
worker makes no chunk that the store already has, and overwrites none that another worker made while
it was stopped.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cluster.chunks.chunk import chunk_info, encode_chunk, read_frames
from cluster.errors import DigestError, DougaError, StageError, StoreError
from cluster.keys import Digest, Key, canonical
from cluster.ledger.receipts import Receipt
from cluster.retry import Backoff
from cluster.scratch import scratch_folder
from cluster.settings import foreign
from cluster.store.base import NotStored, Store
from cluster.store.open import open_store
from tasks.encode.segment import encode_segment
from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.stage import Note, Stage, Window
from tasks.worker.build import check_build, worker_build
from tasks.worker.errors import errors_at, errors_at_moment, is_memory_error
from tasks.worker.item import (
    ChunkInput,
    SegmentItem,
    StageCall,
    WorkItem,
    asset_name,
    chunk_name,
    notes_name,
    segment_name,
)
from tasks.worker.notes import pack_notes, unpack_notes
from tasks.worker.readers import Readers
from tasks.worker.work_class import encoding_class, work_class

log = logging.getLogger(__name__)

STORE_RETRIES = 4
STORE_BACKOFF = Backoff(first_s=2.0, longest_s=16.0, jitter=0.0)
"""On top of the store's own retries, 30 s in all: a server that restarts is back by then."""


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
        self._readers = Readers(self._store, Path(config.cache))
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
        began_at = _now()
        if self._store.has([name]):
            return self._receipt(item, item.out, began_at=began_at, reused=True)
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
                _put_with_retry(
                    partial(self._store.put, notes_name(item.key), notes, if_absent=True)
                )
            digest = _put_with_retry(partial(self._store.put, name, data, if_absent=True))
            stored = time.monotonic()
        return replace(
            self._receipt(item, item.out, began_at=began_at),
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
        check_build(item.build, where=item.where)
        name = segment_name(item.key)
        span = Span(0, item.frames)
        began_at = _now()
        if self._store.has([name]):
            return self._receipt(item, span, began_at=began_at, reused=True)
        with (
            errors_at(item.where),
            scratch_folder("encode") as folder,
        ):
            began = time.monotonic()
            path = folder / "segment.mkv"
            encode_segment(
                path,
                self._frames_of(item.chunks),
                count=item.frames,
                spec=item.spec,
                picture=item.picture,
                rate=item.rate,
            )
            encoded = time.monotonic()
            size = path.stat().st_size
            digest = _put_with_retry(partial(self._store.put_file, name, path, if_absent=True))
            stored = time.monotonic()
        return replace(
            self._receipt(item, span, began_at=began_at),
            digest=digest,
            compute_s=encoded - began,
            store_s=stored - encoded,
            bytes_out=size,
        )

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
        frames = self._load(item, read)
        loaded = time.monotonic()
        bytes_in = frames.nbytes
        notes: tuple[Note, ...] = ()
        with self._computing:
            started = time.monotonic()
            given = read
            for call, track, made in zip(item.calls, tracks, spans, strict=False):
                frames = self._process(call, track, given, frames, made)
                given = made.indices()
                notes += self._stage(call).take_notes()
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

    def _load(self, item: WorkItem, indices: tuple[int, ...]) -> Frames:
        try:
            return self._read(item, indices)
        except DougaError as error:
            if error.retryable or is_memory_error(error):
                raise
            self._name_unreadable(item, indices)
            raise

    def _name_unreadable(self, item: WorkItem, indices: tuple[int, ...]) -> None:
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

    def _read(self, item: WorkItem, indices: tuple[int, ...]) -> Frames:
        if item.source is not None:
            first = item.source.first
            return self._readers.read(item.source, [first + index for index in indices])
        if item.chunks is None:
            raise StageError("a work item without input", where=item.where)
        return self._from_chunks(item.chunks, indices)

    def _from_chunks(self, chunks: ChunkInput, indices: tuple[int, ...]) -> Frames:
        parts = []
        for key, held in chunks.chunks:
            wanted = indices[bisect_left(indices, held.start) : bisect_left(indices, held.end)]
            if wanted:
                parts.append(read_frames(self._store, chunk_name(key), wanted))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _frames_of(self, chunks: ChunkInput) -> Iterator[Frames]:
        for key, held in chunks.chunks:
            yield from read_frames(self._store, chunk_name(key), held.indices())

    def _process(
        self,
        call: StageCall,
        track: Track,
        given: tuple[int, ...],
        frames: Frames,
        out: Span,
    ) -> Frames:
        stage = self._stage(call, ready=True)
        frames.flags.writeable = False
        needed = stage.needs(out, track)
        if stage.card().per_frame:
            made = _process_per_frame(stage, track, given, frames, out)
        else:
            picked = frames if needed == given else frames[_offsets(needed, given)]
            made = stage.process(Window(track=track, indices=needed, frames_nhwc=picked), out)
        expected = stage.track_after(track).picture
        if made.dtype != np.uint16 or made.shape != (len(out), expected.height, expected.width, 3):
            raise StageError(
                f"expected uint16 frames {(len(out), expected.height, expected.width, 3)}, "
                f"got {made.dtype} {made.shape}",
                where=call.name,
            )
        return made

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

    def _receipt(
        self, item: WorkItem | SegmentItem, span: Span, *, began_at: str, reused: bool = False
    ) -> Receipt:
        model, device = "", self._config.device
        if isinstance(item, WorkItem):
            stages = [self._stage(call) for call in item.calls]
            cards = [stage.card() for stage in stages]
            model = "+".join(card.model[:12] for card in cards if card.model)
            kind = work_class(stages)
            track = item.track
            for stage in stages:
                track = stage.track_after(track)
            picture = track.picture
        else:
            kind = encoding_class(item.spec)
            picture = item.picture
        return Receipt(
            run=item.run,
            episode=item.episode,
            shot=item.shot,
            stage=item.name if isinstance(item, WorkItem) else "encode",
            key=item.key,
            start=span.start,
            end=span.end,
            model=model,
            device=device.kind,
            worker=str(os.getpid()),
            node=socket.gethostname(),
            reused=reused,
            began_at=began_at,
            finished_at=_now(),
            kind=kind,
            width=picture.width,
            height=picture.height,
            frames=len(span),
            threads=1,
            gpu=foreign("CUDA_VISIBLE_DEVICES") if device.kind == "cuda" else "",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _put_with_retry(put: Callable[[], Digest]) -> Digest:
    """Puts an object and returns the digest of what is stored there now.

    Waits for a store that is away instead of making the frames again. After the last wait it raises
    the store's error, and the pool retries the work item.
    """
    for failed in range(1, STORE_RETRIES + 1):
        try:
            return put()
        except StoreError as error:
            if not error.retryable:
                raise
            wait_s = STORE_BACKOFF.wait_s(failed)
            log.warning("%s: %s; trying again in %g s", error.where, error.what, wait_s)
            time.sleep(wait_s)
    return put()


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


def _process_per_frame(
    stage: Stage[Any], track: Track, given: tuple[int, ...], frames: Frames, out: Span
) -> Frames:
    """Processes frame by frame and reuses the result for an equal frame: holds cost nothing."""
    made: list[Frames] = []
    for offset, index in enumerate(out.indices(), start=given.index(out.start)):
        if made and np.array_equal(frames[offset], frames[offset - 1]):
            made.append(made[-1])
            continue
        window = Window(track=track, indices=(index,), frames_nhwc=frames[offset : offset + 1])
        with errors_at_moment(track.times[index] - track.times[0]):
            made.append(stage.process(window, Span(index, index + 1))[0])
    return np.stack(made)


def _offsets(indices: tuple[int, ...], given: tuple[int, ...]) -> list[int]:
    places = {index: place for place, index in enumerate(given)}
    return [places[index] for index in indices]
