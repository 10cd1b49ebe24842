"""Encodes a shot's chunks as one segment, and stores it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from cluster.ledger.receipts import Receipt
from cluster.scratch import scratch_folder
from cluster.store.base import Store
from tasks.encode.segment import encode_segment
from tasks.models.device import Device
from tasks.worker.build import check_build
from tasks.worker.errors import errors_at
from tasks.worker.inputs import stored_pictures
from tasks.worker.item import SegmentItem, segment_name
from tasks.worker.receipt import now, segment_receipt
from tasks.worker.storing import put_with_retry


def make_segment(store: Store, item: SegmentItem, *, device: Device) -> Receipt:
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
        encode_segment(
            path,
            stored_pictures(store, item.chunks),
            count=item.frames,
            spec=item.spec,
            picture=item.picture,
            rate=item.rate,
        )
        encoded = time.monotonic()
        size = path.stat().st_size
        digest = put_with_retry(partial(store.put_file, name, path, if_absent=True))
        stored = time.monotonic()
    return replace(
        segment_receipt(item, device=device, began_at=began_at),
        digest=digest,
        compute_s=encoded - began,
        store_s=stored - encoded,
        bytes_out=size,
    )
