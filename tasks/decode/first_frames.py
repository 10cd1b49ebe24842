"""Decodes a film's first frames: what the picture is, and which frame is shown first."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise

import av

from cluster.errors import InputError
from tasks.decode.damage import error_detection
from tasks.decode.describe import codec_name, picture_of, siting_of
from tasks.decode.heartbeat import heartbeat
from tasks.decode.probe import decoded, opened, reason, video_stream
from tasks.decode.scan import Scan
from tasks.frames.picture import Picture, Siting

DOUBTED = 250
"""Frames that are looked at for one out of order: ten seconds, so some GOPs."""


class FirstFrames:
    """What the first decoded frame is like, and what was shown up to the first sure one.

    `shown` are the timestamps of the frames that came out, the last of them at or after the first
    key frame; `count` is how many came out, and `ticks` the timestamp that each came with, if any.
    """

    def __init__(
        self, frame: av.VideoFrame, *, siting: Siting | None, sar: Fraction | None
    ) -> None:
        self.picture: Picture = picture_of(frame, siting=siting, sar=sar)
        self.coded_format = frame.format.name
        self.coded_rotation = frame.rotation % 360
        self.is_interlaced = frame.interlaced_frame
        self.shown: set[int] = set()
        self.count = 0
        self.ticks: list[int | None] = []

    @property
    def rotation(self) -> int:
        """Degrees to turn the picture by, anticlockwise: quarters alone, else 0."""
        return 0 if self.coded_rotation % 90 else self.coded_rotation


def decode_first_frames(path: str, scan: Scan) -> FirstFrames:
    """Decode from the start to the first frame at or after the first key frame.

    A film may begin with packets that need frames before the start; a decoder shows nothing for
    them. Untimed films (`scan.timed` False) are decoded whole, for nothing but the decoder says how
    many frames there are; so are films that prove to be untimed, whose times are of decoding.
    InputError if the first frames are damaged, or any of an untimed film.
    """
    scan.timed = scan.timed and not _has_decoding_times(path, scan)
    with opened(path) as container:
        stream = video_stream(container, path=path)
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"err_detect": error_detection(codec_name(context))}
        siting, sar = siting_of(container, stream.index), stream.sample_aspect_ratio
        first: FirstFrames | None = None
        for packet in container.demux(stream):
            heartbeat()
            for frame in _decoded(packet, scan, path, first):
                try:
                    first = first or FirstFrames(frame, siting=siting, sar=sar)
                except InputError as error:
                    raise error.at(path) from error
                first.count += 1
                first.ticks.append(frame.pts)
                if scan.timed and frame.pts is not None:
                    first.shown.add(frame.pts)
                    if scan.first_key is None or frame.pts >= scan.first_key:
                        _check_complete(first, scan, path)
                        return first
    if first is None or scan.timed:
        raise InputError("no frame of it can be decoded", where=path)
    return first


def _has_decoding_times(path: str, scan: Scan) -> bool:
    """Whether frames are shown in another order than their times say: those were stored as if the
    film had no B-frames (an AVI's packets copied to MP4), and ascend in the order of decoding."""
    if not scan.is_in_order:
        return False
    with opened(path) as container:
        stream = video_stream(container, path=path)
        if not stream.codec_context.has_b_frames:
            return False
        times = [frame.pts for frame in islice(_whole(container, stream), DOUBTED)]
    return any(a >= b for a, b in pairwise(pts for pts in times if pts is not None))


def _whole(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    """The frames up to the first damage."""
    try:
        for packet in container.demux(stream):
            heartbeat()
            yield from decoded(packet)
    except (av.error.FFmpegError, OSError):
        return


def _decoded(
    packet: av.Packet[av.VideoStream], scan: Scan, path: str, first: FirstFrames | None
) -> list[av.VideoFrame]:
    try:
        frames = decoded(packet)
    except (av.error.FFmpegError, OSError) as error:
        # A recording begins anywhere, with frames that need others from before. Elsewhere the first
        # packet is a key frame: one that is refused is damaged.
        if scan.is_recording and _is_before_key(packet, scan):
            return []
        raise _undecodable(path, first, reason(error)) from error
    for frame in frames:
        if frame.is_corrupt and not _may_be_lost(frame.pts, scan):
            raise _undecodable(path, first, "its data are damaged")
    return [frame for frame in frames if not frame.is_corrupt]


def _is_before_key(packet: av.Packet[av.VideoStream], scan: Scan) -> bool:
    """Whether a packet comes, and is shown, before the first key frame."""
    if not scan.timed or packet.is_keyframe:
        return False
    return packet.pts is None or scan.first_key is None or packet.pts < scan.first_key


def _check_complete(first: FirstFrames, scan: Scan, path: str) -> None:
    lost = [
        entry
        for entry in scan.shown
        if entry.pts < max(first.shown)
        and entry.pts not in first.shown
        and not _may_be_lost(entry.pts, scan)
    ]
    if lost:
        raise _undecodable(path, None, "the decoder gives no such frame")


def _may_be_lost(pts: int | None, scan: Scan) -> bool:
    """Whether a frame may need others before the start: all up to a first sure key frame."""
    if not scan.timed:
        return False
    starts_sure = any(entry.pts == scan.first_key for entry in scan.clean)
    return pts is None or not starts_sure or scan.first_key is None or pts < scan.first_key


def _undecodable(path: str, first: FirstFrames | None, why: str) -> InputError:
    return InputError(
        f"frame {first.count if first else 0} cannot be decoded ({why})",
        where=path,
        remedy="check that the film plays, and export it again",
    )
