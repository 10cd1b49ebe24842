"""A chunk's frames against what was planned, on their way to whoever wants them: its head, every
frame's time, codes that are no picture. Small pictures are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.chunks.chunk import ChunkInfo, chunk_info, iter_frames
from cluster.chunks.chunk import Picture as Stored
from cluster.keys import Key
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.verify.pictures import Small, is_nonsense, small_stored

NONSENSE = "nonsense"
"""What the head of a chunk of planes calls the frames whose codes were no picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkExpectation:
    """The chunk of this key holds the frames `out` of a shot, as `track` says, after `stages`, as
    codes or as planes of the picture that is `delivered`."""

    key: Key
    stages: str
    out: Span
    track: Track
    delivered: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFault:
    """Something wrong with a chunk; `frames` of its shot `[start, end)`, None: all of the chunk."""

    what: str
    expected: str
    got: str
    frames: tuple[int, int] | None = None


class ChunkLook:
    """Looks at one chunk. `small` are its frames so far, made small; `faults` what is wrong."""

    def __init__(self, expected: ChunkExpectation) -> None:
        self.expected = expected
        self.small: list[Small] = []
        self.faults: list[ChunkFault] = []

    def frames(self, data: bytes | memoryview) -> Iterator[Stored]:
        """Every frame of the chunk, one unpacked at a time, each looked at before it is given. None
        where the head is another chunk's. Errors as of `iter_frames`."""
        info = chunk_info(data)
        self.faults += compare_head(self.expected, info)
        if self.faults:
            return
        times = self.expected.track.times
        before: Stored | None = None
        nonsense, known = False, nonsense_of(info)
        for index, time, frame in iter_frames(data):
            here = (index, index + 1)
            if (due := times[index] - times[0]) != time:
                self._add("frame time of a chunk", str(due), str(time), here)
            if frame is not before:
                nonsense = index in known if isinstance(frame, tuple) else is_nonsense(frame)
                small = small_stored(frame, self.expected.delivered)
            self.small.append(small)
            before = frame
            if nonsense:
                got = "codes at the ends of their room (NaN, overflow)"
                self._add("picture codes", "a picture", got, here)
            yield frame

    def _add(self, what: str, expected: str, got: str, frames: tuple[int, int]) -> None:
        self.faults.append(ChunkFault(what=what, expected=expected, got=got, frames=frames))


def nonsense_of(info: ChunkInfo) -> frozenset[int]:
    """The frames of a chunk of planes whose codes were no picture."""
    return frozenset(json.loads(info.meta.get(NONSENSE, "[]")))


def compare_head(expected: ChunkExpectation, info: ChunkInfo) -> list[ChunkFault]:
    """What a chunk says of itself that is not as planned."""
    picture, out = expected.track.picture, expected.out
    return [
        ChunkFault(what=what, expected=due[:16], got=got[:16])
        for what, due, got in (
            ("chunk's key", str(expected.key), info.meta.get("key", str(expected.key))),
            ("chunk's stages", expected.stages, info.meta.get("stage", expected.stages)),
            ("frames of a chunk", _span(out.start, len(out)), _span(info.first, info.count)),
            (
                "size of a chunk's frames",
                f"{picture.width}x{picture.height}",
                f"{info.width}x{info.height}",
            ),
        )
        if due != got
    ]


def _span(first: int, count: int) -> str:
    return f"{count} from {first} on"
