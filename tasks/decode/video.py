"""Frames of a film by index: the same bits whichever frame is asked for first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias, cast

import av

from cluster.errors import InputError
from tasks.decode.damage import LOGGED_CODECS, Damage, error_detection
from tasks.decode.logs import enter_threaded, heard_errors, leave_threaded
from tasks.decode.probe import decoded, is_last, open_container, reason
from tasks.decode.source import SeekPoint, SourceIndex

Packet: TypeAlias = "av.Packet[av.VideoStream]"

_AHEAD = 8
"""Frames to a seek point from which seeking is cheaper than decoding on."""
_LATE_FRAMES = 32
"""Frames shown after a wanted one that prove it lost: twice the deepest reordering (16)."""


class VideoDecoder:
    """One open film. Not for two threads at once; `close` is safe to call twice.

    Frames are told by their timestamps, never counted (but for `counted` sources, which are decoded
    from their start). A damaged frame, and every frame that may have been predicted from it, is an
    InputError, never a concealed picture. `seeks` counts jumps, for tests and tuning.
    """

    def __init__(self, index: SourceIndex, *, threads: int) -> None:
        self._index = index
        counted = index.kind == "counted"
        self._pts = tuple(range(len(index.pts))) if counted else index.pts
        """What frames are told by: their timestamps, or their numbers."""
        self._number = {pts: k for k, pts in enumerate(self._pts)}
        self._clean = frozenset(point.pts for point in index.seek_points)
        # What is only logged is only heard from one thread.
        self._threads = 1 if index.codec in LOGGED_CODECS else max(1, threads)
        self._container: av.container.InputContainer | None = None
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._ready: dict[int, av.VideoFrame] = {}
        self._last: tuple[int, av.VideoFrame] | None = None
        self._shown = -1
        self._damage = Damage(window=self._threads)
        self.seeks = 0

    def frame(self, number: int) -> av.VideoFrame:
        """Frame `number` as the decoder gives it. InputError names it if it cannot be decoded."""
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        found, why, refusals = None, "", 0
        for begin in self._beginnings(number):
            if begin is not None:
                self._seek(begin[0])
            found, why = self._advance(number)
            refusals += bool(self._damage.why(self._pts[number]))
            if found is not None or refusals == 2:
                break
        if found is None and self._threads > 1:
            # Threads report late, so more was put aside than need be: one thread decides.
            self.close()
            self._threads = 1
            return self.frame(number)
        if found is None:
            raise InputError(
                f"cannot be decoded ({why})",
                where=self._index.where(number),
                remedy="the file is damaged there: fetch or export it again",
            )
        self._check_shape(found, number)
        self._last = (number, found)
        return found

    def close(self) -> None:
        """Close the file."""
        self._frames, self._last = iter(()), None
        self._ready.clear()
        if self._container is not None:
            self._container.close()
            self._container = None
            if self._threads > 1:
                leave_threaded()

    # -- where to start ----------------------------------------------------------------------

    def _beginnings(self, number: int) -> Iterator[tuple[SeekPoint | None] | None]:
        """Where to decode from: None, go on; (None,), the file's start; (point,), a seek point.

        A seek point is never later than the frame: what comes out before it was predicted from
        frames that were not decoded, and is passed over.
        When the frame cannot be had from its own seek point, once from the one before; then, if
        the decoder found no damage, from the start, where alone a frame is certain to be lost.
        """
        points = self._index.seek_points
        at = bisect_right(points, number, key=lambda point: point.frame) - 1
        begin = points[at].frame if at > 0 else 0
        near = number > self._shown and begin <= self._shown + _AHEAD
        if self._container is not None and (number in self._ready or near):
            yield None
        for earlier in (at, at - 1):
            if earlier > 0:
                yield (points[earlier],)
        yield (None,)

    def _seek(self, point: SeekPoint | None) -> None:
        self.seeks += 1
        self._ready.clear()
        self._last = None
        self._shown = point.frame - 1 if point else -1
        self._damage = Damage(window=self._threads)
        packets = self._packets_from(point) if point else self._reopened()
        counted = self._index.kind == "counted"
        self._frames = self._counted(packets) if counted else self._named(packets)

    def _reopened(self) -> Iterator[Packet]:
        """The file opened anew, from its first packet on."""
        self.close()
        container = open_container(self._index.path)
        if self._threads > 1:
            enter_threaded()
        self._container = container
        stream = self._stream()
        context = stream.codec_context
        context.thread_count = self._threads
        context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        context.options = {"err_detect": error_detection(self._index.codec)}
        return container.demux(stream)

    def _stream(self) -> av.VideoStream:
        assert self._container is not None
        return cast(av.VideoStream, self._container.streams[self._index.stream])

    def _packets_from(self, point: SeekPoint) -> Iterator[Packet]:
        """Packets from a seek point's own on; its place in the file proves that it is the one."""
        if self._container is None:
            self._reopened()
        assert self._container is not None
        stream = self._stream()
        first = point.pts if point.dts is None else min(point.pts, point.dts)
        for back in (0, round(1 / self._index.time_base)):
            try:
                self._container.seek(first - back, stream=stream)
            except (av.error.FFmpegError, OSError):
                break
            packets = self._container.demux(stream)
            found = _find(packets, point)
            if found is not None:
                return chain([found], packets)
        packets = self._reopened()
        found = _find(packets, point)
        return chain([found], packets) if found is not None else iter(())

    # -- decoding ----------------------------------------------------------------------------

    def _advance(self, number: int) -> tuple[av.VideoFrame | None, str]:
        """The frame, decoding on until it comes; or None and why it does not.

        Goes on to the last frame that this one may be predicted from, although that is shown
        later: whether it is damaged is known when it comes out.
        """
        for k in [k for k in self._ready if k < number]:
            del self._ready[k]
        pts = self._pts[number]
        late = sum(k > number for k in self._ready)
        while late <= _LATE_FRAMES:
            if number in self._ready and self._pts[self._shown] >= self._damage.latest(pts):
                break
            k, frame = next(self._frames, (-1, None))
            if frame is None:
                break
            self._shown = max(self._shown, k)
            late += k > number
            if k >= number:
                self._ready[k] = frame
        why = self._damage.why(pts)
        found = self._ready.pop(number, None)
        why = why or (self._damage.last if found is None else "")
        return (None if why else found), why or "the decoder gives no such frame"

    def _named(self, packets: Iterator[Packet]) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in self._decoded(packets):
            number = self._number.get(frame.pts) if frame.pts is not None else None
            if number is not None and frame.pts is not None:
                if frame.is_corrupt:
                    self._damage.show_corrupt(frame.pts)
                yield number, frame

    def _counted(self, packets: Iterator[Packet]) -> Iterator[tuple[int, av.VideoFrame]]:
        for number, frame in enumerate(self._decoded(packets)):
            if frame.is_corrupt:
                self._damage.show_corrupt(number)
            yield number, frame

    def _decoded(self, packets: Iterator[Packet]) -> Iterator[av.VideoFrame]:
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.size and packet.pts is not None and self._index.kind == "stream":
                    self._damage.feed(packet.pts, clean=packet.pts in self._clean)
                frames = self._decode(packet)
            except (av.error.FFmpegError, OSError) as error:
                self._damage.fail(reason(error))
                if self._index.kind == "counted":
                    return
                continue
            yield from frames

    def _decode(self, packet: Packet) -> list[av.VideoFrame]:
        if self._index.codec not in LOGGED_CODECS:
            return decoded(packet)
        with heard_errors() as heard:
            frames = decoded(packet)
        if heard:
            self._damage.fail(" ".join(heard[0][2].split()).lower())
        return frames

    def _check_shape(self, frame: av.VideoFrame, number: int) -> None:
        picture = self._index.coded_picture
        came = (frame.width, frame.height, frame.format.name)
        expected = (picture.width, picture.height, self._index.coded_format)
        if came != expected:
            raise InputError(
                f"expected {expected[0]}x{expected[1]} {expected[2]} like the frames before it, "
                f"got {came[0]}x{came[1]} {came[2]}",
                where=self._index.where(number),
                remedy="split the film there, or export it in one size",
            )


def _find(packets: Iterator[Packet], point: SeekPoint) -> Packet | None:
    """The seek point's packet, if it comes; None once the packets are past it."""
    for packet in packets:
        if is_last(packet):
            return None
        if packet.pts == point.pts and (point.pos is None or packet.pos == point.pos):
            return packet
        past = packet.dts is not None and point.dts is not None and packet.dts > point.dts
        if past or (packet.is_keyframe and packet.pts is not None and packet.pts > point.pts):
            return None
    return None
