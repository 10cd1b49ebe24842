"""Encodes a shot's chunks as one segment, looks at it, and stores it with what was found.

The segment is decoded again, and held against the frames that it was encoded from while these are
at hand; they are held against their source. Who assembles the film need not look again.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from cluster.chunks.chunk import Picture, StoredChunk
from cluster.errors import InputError, StoreError
from cluster.keys import digest_bytes
from cluster.ledger.receipts import Receipt
from cluster.scratch import scratch_folder
from cluster.store.base import Store
from tasks.encode.segment import encode_segment
from tasks.models.device import Device
from tasks.verify import read_packet_digests
from tasks.verify.chunks import ChunkExpectation, ChunkLook
from tasks.verify.evidence import Evidence, look_at_segment
from tasks.verify.pictures import Small, small_size
from tasks.verify.shown import ShotComparison, SourcePictures
from tasks.worker.build import check_build
from tasks.worker.errors import errors_at
from tasks.worker.item import SegmentItem, chunk_name, evidence_name, segment_name
from tasks.worker.readers import Readers
from tasks.worker.receipt import now, segment_receipt
from tasks.worker.storing import put_with_retry

log = logging.getLogger(__name__)

TRIES = 2
"""A segment that does not show its frames is encoded once more: the machine may have erred. What
is wrong again is told when the film is verified."""


def make_segment(store: Store, readers: Readers, item: SegmentItem, *, device: Device) -> Receipt:
    """Makes and stores a segment that the store lacks. EncodeError naming the shot."""
    check_build(item.build, where=item.where)
    name = segment_name(item.key)
    began_at = now()
    if store.has([name]):
        return segment_receipt(item, device=device, began_at=began_at, reused=True)
    with (
        errors_at(item.where),
        scratch_folder("encode") as folder,
    ):
        began = time.monotonic()
        path = folder / "segment.mkv"
        with TemporaryFile(dir=folder) as small:
            work = _SegmentWork(store, readers, item, small=small)
            evidence = work.encode(path)
        encoded = time.monotonic()
        size = path.stat().st_size
        digest = put_with_retry(partial(store.put_file, name, path, if_absent=True))
        if evidence is not None and evidence.segment == digest:
            _put_evidence(store, item, evidence)
        stored = time.monotonic()
    return replace(
        segment_receipt(item, device=device, began_at=began_at),
        digest=digest,
        compute_s=encoded - began,
        verify_s=work.verify_s,
        store_s=stored - encoded,
        bytes_out=size,
    )


class _SegmentWork:
    """The encoding of one segment. Its frames are kept `small` in a file, for a shot may be a whole
    film; `verify_s` is what looking at it took."""

    def __init__(
        self, store: Store, readers: Readers, item: SegmentItem, *, small: IO[bytes]
    ) -> None:
        self._store = store
        self._readers = readers
        self._item = item
        self.verify_s = 0.0
        picture = item.shown.track.picture
        width, height = small_size(picture.width, picture.height)
        self._small_shape = (height, width, 3)
        self._small = small
        self._faults: list[str] = []
        self._comparison = ShotComparison(item.shown)

    def encode(self, path: Path) -> Evidence | None:
        """Encode it; what was found, None where the source could not be looked at here."""
        item = self._item
        for tries in range(TRIES):
            self._faults, self._comparison = [], ShotComparison(item.shown)
            self._small.seek(0)
            info = encode_segment(
                path,
                self._frames(),
                count=item.frames,
                spec=item.spec,
                picture=item.picture,
                rate=item.rate,
            )
            began = time.monotonic()
            wrong = self._wrong(path)
            self.verify_s += time.monotonic() - began
            if not wrong:
                break
            then = "it is encoded again" if tries + 1 < TRIES else "its film will be looked at"
            log.warning("%s: %s; %s", item.where, wrong[0], then)
        began = time.monotonic()
        try:
            packets = read_packet_digests(path)
            findings = (*self._faults, *wrong, *self._mismatches())
        except (InputError, StoreError) as error:
            log.warning("%s: its film is looked at, not this: %s", item.where, error)
            return None
        finally:
            self.verify_s += time.monotonic() - began
        return Evidence(segment=info.digest, packets=packets, findings=findings)

    def _frames(self) -> Iterator[Picture]:
        """The frames of its chunks, each looked at."""
        for expected in self._expected():
            name = chunk_name(expected.key)
            look = ChunkLook(expected)
            try:
                yield from look.frames(self._store.get(name))
            except StoreError as error:
                if error.where.startswith(self._store.url):
                    raise
                raise error.at(f"{self._store.url}: {name}") from error
            self._faults += [f"{f.what}: expected {f.expected}, got {f.got}" for f in look.faults]
            if not look.small:  # of another head: what it holds of these frames
                chunk = StoredChunk(self._store, name, expected.out.indices())
                yield from map(chunk.picture, chunk.wanted)
            else:
                self._small.write(b"".join(small.tobytes() for small in look.small))
                self._comparison.add_frames(expected.out.start, look.small)

    def _expected(self) -> Iterator[ChunkExpectation]:
        item = self._item
        for key, span in item.chunks.chunks:
            yield ChunkExpectation(
                key=key,
                stages=item.stages,
                out=span,
                track=item.shown.track,
                delivered=item.picture,
            )

    def _wrong(self, path: Path) -> list[str]:
        """What of the segment is not as its frames."""
        if self._faults:  # the frames are not what they should be
            return []
        self._small.flush()
        found = look_at_segment(
            path, picture_of=self._small_frame, count=self._item.frames, picture=self._item.picture
        )
        return [str(each) for each in found if each.severity == "error"]

    def _small_frame(self, frame: int) -> Small:
        size = math.prod(self._small_shape)
        data = os.pread(self._small.fileno(), size, frame * size)
        return np.frombuffer(data, np.uint8).reshape(self._small_shape)

    def _mismatches(self) -> list[str]:
        """What of the frames is not as their source."""
        source = self._item.source
        pictures = SourcePictures(
            self._readers.index(source),
            cache_dir=self._readers.cache,
            known=source.identity,
            threads=1,
        )
        try:
            found = self._comparison.mismatches(pictures)
        finally:
            pictures.close()
        return [f"{each.what}: expected {each.expected}, got {each.got}" for each in found]


def _put_evidence(store: Store, item: SegmentItem, evidence: Evidence) -> None:
    """Keep what was found; without it the film is looked at when it is assembled."""
    name, data = evidence_name(item.key), evidence.to_json().encode()
    try:
        if store.put(name, data, if_absent=True) != digest_bytes(data):
            store.put(name, data)
    except StoreError as error:
        log.warning("%s: what was found is not kept: %s", item.where, error)
