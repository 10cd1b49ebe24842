"""What a receipt says before the work's own times and sizes are known."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cluster.ledger.receipts import Receipt
from cluster.settings import foreign
from tasks.frames.picture import Picture
from tasks.frames.track import Span
from tasks.models.device import Device
from tasks.stages.stage import Stage
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.work_class import encoding_class, work_class


def now() -> str:
    """The time in UTC, as receipts state it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def chunk_receipt(
    item: WorkItem,
    stages: Sequence[Stage[Any]],
    *,
    device: Device,
    began_at: str,
    reused: bool = False,
) -> Receipt:
    """Of a chunk made by these stages; `reused` if it was stored already."""
    track = item.track
    for stage in stages:
        track = stage.track_after(track)
    return _receipt(
        item,
        item.out,
        stage=item.name,
        model="+".join(card.model[:12] for card in (s.card() for s in stages) if card.model),
        kind=work_class(stages),
        picture=track.picture,
        device=device,
        began_at=began_at,
        reused=reused,
    )


def segment_receipt(
    item: SegmentItem, *, device: Device, began_at: str, reused: bool = False
) -> Receipt:
    """Of a segment; `reused` if it was stored already."""
    return _receipt(
        item,
        Span(0, item.frames),
        stage="encode",
        model="",
        kind=encoding_class(item.spec),
        picture=item.picture,
        device=device,
        began_at=began_at,
        reused=reused,
    )


def _receipt(
    item: WorkItem | SegmentItem,
    span: Span,
    *,
    stage: str,
    model: str,
    kind: str,
    picture: Picture,
    device: Device,
    began_at: str,
    reused: bool,
) -> Receipt:
    return Receipt(
        run=item.run,
        episode=item.episode,
        shot=item.shot,
        stage=stage,
        key=item.key,
        start=span.start,
        end=span.end,
        model=model,
        device=device.kind,
        worker=str(os.getpid()),
        node=socket.gethostname(),
        reused=reused,
        began_at=began_at,
        finished_at=now(),
        kind=kind,
        width=picture.width,
        height=picture.height,
        frames=len(span),
        threads=1,
        gpu=foreign("CUDA_VISIBLE_DEVICES") if device.kind == "cuda" else "",
    )
