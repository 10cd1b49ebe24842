"""A shot's frames, compared with what the source shows at that time.

Of every chunk one frame is held against the source's own picture, by the clock that its file states
(`clock.py`): a chunk of other pictures, or of pictures beside their sound, does not vouch for
itself. And holds, fades and flashes are how animation is made, so that a black frame is wrong where
the source is not black at that time, a repeated one where the source's pictures differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tasks.decode import FrameReader, SourceIndex
from tasks.decode.digest import Identity
from tasks.decode.planes import Planes
from tasks.decode.unchanged import HeldFile
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture
from tasks.frames.track import Track, ranges_of
from tasks.verify.clock import SourceClock
from tasks.verify.pictures import (
    PictureDifference,
    Small,
    apart,
    difference_of,
    is_black,
    small_frame,
    small_planes,
    turned,
)

MOVED = 0.04
"""Two frames of a source that are farther apart than this anywhere show different drawings: frames
that are repeated exactly come from a source that repeats them exactly, or within its coding."""
BLACK_SLACK = 4.0
"""A source counts as black up to this many times the brightness of black: ends of fades."""


OTHER_MEAN, OTHER_PART = 0.08, 0.45
"""A stored picture farther than this from the source's, on the whole or in a part of it, is another
one. Enlarged and smoothed films stay within .01 and .05; the next shot is .1 and more away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a shot shows: `track` are its frames as they come out, `taken` those of the source that
    go in, of which the first is the source's frame `first`. `same_drawings` where all of its stages
    say that a drawing comes out as itself."""

    track: Track
    taken: Track
    first: int
    same_drawings: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Frames `[start, end)` of a shot, as it comes out, that are not what the source shows."""

    frames: tuple[int, int]
    what: str
    expected: str
    got: str


class SourcePictures:
    """The pictures of one source, by its own clock where it has one, and by number.

    `index` has a path of this machine. Not for two threads at once.
    """

    def __init__(
        self,
        index: SourceIndex,
        *,
        cache_dir: Path,
        known: Identity | None = None,
        threads: int = 0,
    ) -> None:
        self.index = index
        self._reader = FrameReader(index, cache_dir=cache_dir, known=known)
        has_clock = index.kind == "stream" and not index.picks
        self._clock = SourceClock(index, threads=threads) if has_clock else None
        self._held = HeldFile(index.path, index.content, cache_dir=cache_dir, known=known)

    def shown(self, number: int) -> tuple[Planes, ...]:
        """What the source shows when frame `number` is due, as coded: more pictures than one where
        they share a time, none where the file states no time near it. InputError for another file
        than the one that was indexed."""
        if self._clock is None:
            return (self._reader.read_planes(number),)
        self._held.begin()
        shown = self._clock.frames(number)
        self._held.confirm()
        return shown

    def small(self, number: int) -> Small:
        """Frame `number`, made small."""
        return small_planes(self._reader.read_planes(number), self.index.coded_picture)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        if self._clock is not None:
            self._clock.close()


class ShotComparison:
    """Takes every frame of one shot in order, made small, and holds them against its source."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._black: list[int] = []
        self._repeats: list[tuple[int, int]] = []
        self._first: dict[bytes, int] = {}
        self._asked: list[tuple[int, int, Small]] = []
        """One frame of each chunk, the source's frame of that moment, its picture."""

    def add_frames(self, first: int, small: Sequence[Small]) -> None:
        """Take the frames of a chunk, from the shot's frame `first` on."""
        self._ask_for_one(first, small)
        for index, picture in enumerate(small, first):
            if is_black(picture):
                self._black.append(index)
                continue
            digest = blake2b(picture.tobytes(), digest_size=16).digest()
            earliest = self._first.setdefault(digest, index)
            if earliest != index:
                self._repeats.append((earliest, index))

    def mismatches(self, source: SourcePictures) -> list[Mismatch]:
        """All that is not what the source shows. InputError where it cannot be read."""
        return [*self._drawings(source), *self._black_and_repeated(source)]

    def _ask_for_one(self, first: int, small: Sequence[Small]) -> None:
        """Keep the first frame of a chunk that shows a drawing of the source as it begins."""
        if not self._shown.same_drawings:
            return
        times, taken = self._shown.track.times, self._shown.taken
        for index, picture in enumerate(small, first):
            at = taken.frame_at(times[index])
            begins = at == (taken.drawing[at] if taken.drawing else at)
            if begins and taken.times[at] == times[index]:
                self._asked.append((index, at, picture))
                return

    def _drawings(self, source: SourcePictures) -> list[Mismatch]:
        found: list[Mismatch] = []
        for index, at, stored in self._asked:
            number = self._shown.first + at
            nearest = _nearest(source, number, stored)
            if nearest is not None and not _is_same(nearest):
                time_s = float(source.index.times[number])
                expected = f"the source's at {time_s:.3f} s of its clock"
                got = f"another one ({nearest.mean:.0%} apart, {nearest.most:.0%} in places)"
                found += _runs([index], "stored picture", expected, got)
        return found

    def _black_and_repeated(self, source: SourcePictures) -> list[Mismatch]:
        black, taken = self._black, self._shown.taken
        if not (black or self._repeats):
            return []
        on_screen = [taken.frame_at(time) for time in self._shown.track.times]
        doubtful = [
            (one, two)
            for one, two in self._repeats
            if not taken.is_held(on_screen[one], on_screen[two])
        ]
        wanted = {on_screen[frame] for pair in doubtful for frame in pair}
        for frame in black:
            wanted |= {on_screen[frame], min(on_screen[frame] + 1, len(taken) - 1)}
        shown = {at: source.small(self._shown.first + at) for at in sorted(wanted)}
        wrong = [
            frame
            for frame in black
            if not any(
                is_black(shown[at], slack=BLACK_SLACK)
                for at in (on_screen[frame], min(on_screen[frame] + 1, len(taken) - 1))
            )
        ]
        held = [
            two
            for one, two in doubtful
            if difference_of(shown[on_screen[one]], shown[on_screen[two]]).most > MOVED
        ]
        return [
            *_runs(wrong, "black frames", "a picture, as in the source", "black"),
            *_runs(held, "repeated frames", "new drawings, as in the source", "earlier ones"),
        ]


def _nearest(source: SourcePictures, number: int, stored: Small) -> PictureDifference | None:
    """How far a stored picture is from the nearest that the source shows at its frame `number`;
    None where it shows none."""
    shown, index = source.shown(number), source.index
    nearest: PictureDifference | None = None
    # Making small first is cheap, and wrong where many colours are out of the RGB cube (noise).
    for make in (small_planes, _small_exactly):
        pictures = (turned(make(planes, index.coded_picture), index.rotation) for planes in shown)
        nearest = min((apart(one, stored) for one in pictures), key=_mean, default=None)
        if nearest is None or _is_same(nearest):
            break
    return nearest


def _runs(frames: Sequence[int], what: str, expected: str, got: str) -> list[Mismatch]:
    return [
        Mismatch(frames=run, what=what, expected=expected, got=got) for run in ranges_of(frames)
    ]


def _is_same(difference: PictureDifference) -> bool:
    """Whether two pictures that are so far apart are taken for one."""
    return difference.mean <= OTHER_MEAN and difference.most <= OTHER_PART


def _small_exactly(planes: Planes, coded: Picture) -> Small:
    """A source's picture made small as a stored one is: clipped to what a screen shows first."""
    return small_frame(rgb_from_planes(planes, coded))


def _mean(difference: PictureDifference) -> float:
    return difference.mean
