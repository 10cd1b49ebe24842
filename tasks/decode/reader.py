"""`FrameReader`: any frames of a source, in any order, exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from cluster.errors import DougaError, InputError
from tasks.decode.digest import Identity
from tasks.decode.folder import folder_of
from tasks.decode.picture_file import decode_picture
from tasks.decode.planes import Plane, Planes, planes_of, widened
from tasks.decode.source import FILMS, SourceIndex
from tasks.decode.unchanged import HeldFile
from tasks.decode.video import VideoDecoder
from tasks.frames.codes import BLACK, Frames
from tasks.frames.colour import planes_from_rgb, rgb_from_planes
from tasks.frames.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrame:
    """A frame as coded: `planes` of `SourceIndex.coded_picture`, read-only; `time` in seconds."""

    index: int
    time: Fraction
    planes: Planes
    is_rgb: bool = False

    @property
    def luma(self) -> Plane:
        """(rows, columns) at full size and the source's depth: Y, or bt709's weights of R, G, B."""
        if not self.is_rgb:
            return self.planes[0]
        red, green, blue = (plane.astype(np.uint32) for plane in self.planes)
        weighed = (54 * red + 183 * green + 19 * blue) >> 8
        if self.planes[0].itemsize == 1:
            return weighed.astype(np.uint8)
        return weighed.astype(np.uint16)


class FrameReader:
    """Reads frames of an indexed source by number; frames are the same whatever was read before.

    Neighbouring reads decode on without seeking. `threads` > 1 decodes with that many threads,
    to the same bits. Opens the file at the first read. Not for two threads at once.

    Frames are of the file that was indexed, or there are none: a film is held to its digest (by
    `known`, its identity then, or by reading it through, remembered in `cache_dir`) before it is
    opened, and again after frames were read; a folder's pictures are each held to theirs.
    """

    def __init__(
        self,
        index: SourceIndex,
        *,
        threads: int = 1,
        cache_dir: Path | None = None,
        known: Identity | None = None,
    ) -> None:
        self.index = index
        whole = replace(index, picks=())
        is_film = index.kind in FILMS
        self._video = VideoDecoder(whole, threads=threads) if is_film else None
        self._held = HeldFile(index.path, index.content, cache_dir=cache_dir, known=known)

    def read(self, indices: Sequence[int]) -> Frames:
        """Frames in the order asked for, (N, H, W, 3) uint16 codes, turned as they are shown.

        InputError, naming source, frame and time, for a frame that is damaged or not there.
        """
        picture = self.index.picture
        frames = np.empty((len(indices), picture.height, picture.width, 3), np.uint16)
        places: dict[int, list[int]] = {}
        for place, number in enumerate(indices):
            places.setdefault(number, []).append(place)
        with self._as_indexed():
            for number in sorted(places):
                frame = self.codes_of(self._planes(number))
                for place in places[number]:
                    frames[place] = frame
        return frames

    def decode(self, numbers: Sequence[int]) -> list[Planes]:
        """Frames by ascending number, as `read_planes` gives one: a third of their codes' bytes, or
        a quarter."""
        with self._as_indexed():
            return [self._planes(number) for number in numbers]

    def codes_of(self, planes: Planes) -> Frames:
        """(H, W, 3) uint16 codes of a frame's planes, turned as it is shown. Reads nothing."""
        codes = rgb_from_planes(planes, self.index.coded_picture)
        turns = self.index.rotation // 90
        return np.rot90(codes, turns) if turns else codes

    @property
    def seeks(self) -> int:
        """How often a film was decoded from a key frame on; 0 for pictures."""
        return self._video.seeks if self._video is not None else 0

    def read_planes(self, number: int) -> Planes:
        """A frame's planes as coded (not turned), as `rgb_from_planes` takes them; read-only."""
        with self._as_indexed():
            return self._planes(number)

    def iter_frames(self, start: int = 0, end: int | None = None) -> Iterator[DecodedFrame]:
        """Frames `[start, end)` in order as planes, without colour conversion: for analysis.

        InputError at the end if the source changed meanwhile.
        """
        with self._as_indexed():
            for number in range(start, len(self.index) if end is None else end):
                yield DecodedFrame(
                    index=number,
                    time=self.index.times[number],
                    planes=self._planes(number),
                    is_rgb=self.index.picture.matrix == "rgb"
                    and "gbrp" in self.index.picture.pix_fmt,
                )

    def close(self) -> None:
        """Close the source; a later read opens it again."""
        if self._video is not None:
            self._video.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _as_indexed(self) -> Iterator[None]:
        """Around reading a film: it is the one that was indexed, before and after."""
        if self._video is None:
            yield
            return
        self._held.begin()
        try:
            yield
        except DougaError as error:
            self._confirm(error)
            raise
        self._confirm()

    def _confirm(self, damage: DougaError | None = None) -> None:
        try:
            self._held.confirm()
        except InputError as change:
            self.close()  # what is open may be another file than the one of that name now
            raise change from damage

    def _planes(self, number: int) -> Planes:
        self._check_number(number)
        if self.index.kind == "black":
            return _black_planes(self.index.picture)
        if self.index.picks:
            number = self.index.picks[number]
        if self._video is not None:
            return planes_of(self._video.frame(number))
        file = folder_of(self.index) / self.index.frames[number]
        digests = self.index.frame_digests
        frame = decode_picture(file, digest=digests[number] if digests else "")
        try:
            planes = planes_of(frame)
            size = (frame.height, frame.width)
            if size != (self.index.picture.height, self.index.picture.width):
                raise ValueError(f"{frame.width}x{frame.height}")
            return widened(planes, coded=frame.format.name, target=self.index.picture.pix_fmt)
        except ValueError as error:
            raise InputError(
                f"changed since it was indexed ({error})",
                where=str(file),
                remedy="start again, so that the folder is indexed anew",
            ) from error

    def _check_number(self, number: int) -> None:
        if not 0 <= number < len(self.index):
            raise InputError(
                f"has {len(self.index)} frames, no frame {number}", where=self.index.path
            )


def _black_planes(picture: Picture) -> Planes:
    frame = np.full((picture.height, picture.width, 3), BLACK, np.uint16)
    return planes_from_rgb(frame, picture)
