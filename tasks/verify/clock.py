"""A source as a player shows it: by the times that its file states, whatever douga made of them.

The index of a source is what a render goes by, and what a wrong chunk would be made from again.
Whoever checks a render looks at the file itself, decoded anew from front to back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from math import floor

import av

from tasks.decode.planes import Planes, planes_of
from tasks.decode.probe import decoded, open_container
from tasks.decode.source import SourceIndex

AHEAD_S = Fraction(20)
"""Further ahead than this a seek is cheaper than decoding on."""
LEAD_S = Fraction(10)
"""A seek goes to a key frame so far before what is wanted; GOPs of films are shorter."""
KEPT = 4
"""Frames that stay at hand: those around the last moment asked for."""


class SourceClock:
    """The pictures of one film by its own clock, decoded with so many `threads`, 0: as the machine
    has cores. Not for two threads at once."""

    def __init__(self, index: SourceIndex, *, threads: int = 0) -> None:
        self._index = index
        self._threads = threads
        self._frames: Iterator[tuple[Fraction, av.VideoFrame]] = iter(())
        self._near: deque[tuple[Fraction, av.VideoFrame]] = deque(maxlen=KEPT)
        self._container: av.container.InputContainer | None = None

    def frames(self, number: int) -> tuple[Planes, ...]:
        """What the file shows when the index says that frame `number` is shown, as coded: one
        frame, more where they share a time, none where the file states no time near it or cannot be
        decoded there."""
        times = self._index.times
        at = times[number]
        until = times[number + 1] if number + 1 < len(times) else self._index.end
        before = at - times[number - 1] if number else until - at
        first, last = at - before / 2, at + (until - at) / 2
        self._go_to(first)
        for frame in self._frames:
            self._near.append(frame)
            if frame[0] >= last:
                break
        coded = self._index.coded_picture
        return tuple(
            planes_of(frame)
            for time, frame in self._near
            if first <= time < last and (frame.width, frame.height) == (coded.width, coded.height)
        )

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._near.clear()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _go_to(self, time: Fraction) -> None:
        """Have the next frames be those from `time` on, or some before it."""
        began = self._container is not None
        if began and self._near and self._near[0][0] <= time <= self._near[-1][0] + AHEAD_S:
            return
        for lead in (self._since_key_frame(time), LEAD_S, None):
            self.close()
            self._container = open_container(self._index.path)
            stream = self._container.streams[self._index.stream]
            assert isinstance(stream, av.VideoStream)
            assert stream.time_base
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._threads
            if lead is not None:
                if time - self._index.start < lead:
                    continue
                self._container.seek(int((time - lead) / stream.time_base), stream=stream)
            self._frames = self._timed(self._container, stream)
            first = next(self._frames, None)
            if first is not None:
                self._near.append(first)
            if lead is None or (first is not None and first[0] <= time):
                return

    def _since_key_frame(self, time: Fraction) -> Fraction:
        """How far before a time the index has a key frame: where to look first, no more."""
        points = self._index.seek_points
        ticks = floor(time / self._index.time_base)
        at = bisect_right(points, ticks, key=lambda point: point.pts)
        return time - points[at - 1].pts * self._index.time_base if at else Fraction(0)

    @staticmethod
    def _timed(
        container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """Frames with their stated times in seconds; those without one are left out."""
        assert stream.time_base
        try:
            for packet in container.demux(stream):
                for frame in decoded(packet):
                    if frame.pts is not None:
                        yield frame.pts * stream.time_base, frame
        except av.FFmpegError:
            return  # damaged: who renders it says so
