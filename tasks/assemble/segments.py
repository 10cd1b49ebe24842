"""Segments, the video of one shot each, and the check that they can be joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from cluster.errors import EncodeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One closed-GOP, video-only file.

    `order[k]` is the show index within the segment of the k-th packet in decode order. Only the
    order of the file's timestamps is used, so any clock that keeps them apart will do.
    """

    path: Path
    order: tuple[int, ...]
    codec: str
    width: int
    height: int
    pix_fmt: str
    headers: bytes

    def __len__(self) -> int:
        return len(self.order)


def scan_segment(path: Path) -> Segment:
    """Read a segment's packets' times. Errors: EncodeError for anything that cannot be joined."""
    try:
        with av.open(str(path)) as file:
            if not file.streams.video:
                raise EncodeError("expected a video segment, got none", where=path.name)
            stream = file.streams.video[0]
            stamps: list[int] = []
            for packet in file.demux(stream):
                if packet.size == 0:
                    continue
                if packet.pts is None:
                    raise EncodeError(f"packet {len(stamps)} has no time", where=path.name)
                if not stamps and not packet.is_keyframe:
                    raise EncodeError(
                        "expected a key frame first",
                        where=path.name,
                        remedy="encode every shot as a closed GOP",
                    )
                stamps.append(packet.pts)
            context = stream.codec_context
            segment = Segment(
                path=path,
                order=_ranks(stamps),
                codec=context.codec.canonical_name,
                width=context.width,
                height=context.height,
                pix_fmt=context.pix_fmt or "",
                headers=bytes(context.extradata or b""),
            )
    except (av.FFmpegError, OSError) as error:
        raise EncodeError(
            f"cannot read the segment: {error}",
            where=str(path),
            remedy="encode the shot again",
            retryable=True,
        ) from error
    if len(set(stamps)) != len(stamps):
        raise EncodeError("two frames have the same time", where=path.name)
    if not stamps:
        raise EncodeError("the segment has no frames", where=path.name)
    return segment


def check_alike(segments: Sequence[Segment]) -> None:
    """EncodeError unless all segments share codec, size, pixel format and codec headers."""
    first = segments[0]
    for other in segments[1:]:
        for what in ("codec", "width", "height", "pix_fmt", "headers"):
            expected, got = getattr(first, what), getattr(other, what)
            if expected != got:
                said = (
                    f"other codec headers ({len(got)} bytes) than {first.path.name}"
                    if what == "headers"
                    else f"{what} {got}, expected {expected} as in {first.path.name}"
                )
                raise EncodeError(
                    said,
                    where=other.path.name,
                    remedy="encode all shots with one encoder, build and settings",
                )


def read_packets(segment: Segment) -> Iterator[tuple[int, Packet[Any]]]:
    """Every packet in decode order with its show index within the segment."""
    with av.open(str(segment.path)) as file:
        at = 0
        for packet in file.demux(file.streams.video[0]):
            if packet.size:
                yield segment.order[at], packet
                at += 1


def _ranks(stamps: Sequence[int]) -> tuple[int, ...]:
    rank = {stamp: index for index, stamp in enumerate(sorted(stamps))}
    return tuple(rank[stamp] for stamp in stamps)
