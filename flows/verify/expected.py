"""Stored frames, compared with what the source shows at that time.

Of every chunk one frame is held against the source's own picture, by the clock that its file states
(`tasks/verify/clock.py`): a chunk of other pictures, or of pictures beside their sound, does not
vouch for itself. And holds, fades and flashes are how animation is made, so that a black frame is
wrong where the source is not black at that time, a repeated one where the source's pictures differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.settings import home_folder
from flows.plan.audio import local_index
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.plan.shot_plan import ShotInput
from tasks.decode import FrameReader
from tasks.decode.planes import Planes
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture
from tasks.frames.track import ranges_of
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
class Mismatch:
    """Frames `[start, end)` of a shot, as it comes out, that are not what the source shows."""

    shot: ShotPlan
    frames: tuple[int, int]
    what: str
    expected: str
    got: str


class SourceComparison:
    """Takes every frame of the film in order, made small; reads the sources at each shot's end."""

    def __init__(self, prepared: Prepared) -> None:
        self._indices = prepared.indices
        self._inputs = {entry.shot.id: entry for entry in prepared.inputs}
        self._shot: ShotPlan | None = None
        self._black: list[int] = []
        self._repeats: list[tuple[int, int]] = []
        self._first: dict[bytes, int] = {}
        self._asked: list[tuple[int, int, Small]] = []
        """One frame of each chunk of the shot, the source's frame of that moment, its picture."""
        self._clock: tuple[int, SourceClock] | None = None
        self._mismatches: list[Mismatch] = []
        self._reader: tuple[int, FrameReader] | None = None

    def add_frames(self, shot: ShotPlan, first: int, small: Sequence[Small]) -> None:
        """Take frames of a shot, from its frame `first` on."""
        if shot is not self._shot:
            self._compare_shot()
            self._shot = shot
        self._ask_for_one(shot, first, small)
        for index, picture in enumerate(small, first):
            if is_black(picture):
                self._black.append(index)
                continue
            digest = picture.tobytes()
            earliest = self._first.setdefault(digest, index)
            if earliest != index:
                self._repeats.append((earliest, index))

    def finish(self) -> list[Mismatch]:
        """All that is not what the source shows, in film order."""
        self._compare_shot()
        self._shot = None
        if self._reader is not None:
            self._reader[1].close()
        if self._clock is not None:
            self._clock[1].close()
        return self._mismatches

    def _ask_for_one(self, shot: ShotPlan, first: int, small: Sequence[Small]) -> None:
        """Keep the first frame of a chunk that shows a drawing of the source as it begins."""
        if not all(run.card.same_drawings for run in shot.runs):
            return
        track = self._inputs[shot.shot.id].track
        for index, picture in enumerate(small, first):
            at = track.frame_at(shot.track.times[index])
            begins = at == (track.drawing[at] if track.drawing else at)
            if begins and track.times[at] == shot.track.times[index]:
                self._asked.append((index, at, picture))
                return

    def _compare_shot(self) -> None:
        shot, black, repeats = self._shot, self._black, self._repeats
        self._black, self._repeats, self._first = [], [], {}
        asked, self._asked = self._asked, []
        if shot is not None:
            self._compare_drawings(shot, asked)
        if shot is None or not (black or repeats):
            return
        entry = self._inputs[shot.shot.id]
        on_screen = [entry.track.frame_at(time) for time in shot.track.times]
        doubtful = [
            (one, two)
            for one, two in repeats
            if not entry.track.is_held(on_screen[one], on_screen[two])
        ]
        wanted = {on_screen[frame] for pair in doubtful for frame in pair}
        for frame in black:
            wanted |= {on_screen[frame], min(on_screen[frame] + 1, len(entry.track) - 1)}
        shown = self._read(entry, sorted(wanted))
        wrong = [
            frame
            for frame in black
            if not any(
                is_black(shown[at], slack=BLACK_SLACK)
                for at in (on_screen[frame], min(on_screen[frame] + 1, len(entry.track) - 1))
            )
        ]
        self._add(shot, wrong, "black frames", "a picture, as in the source", "black")
        held = [
            two
            for one, two in doubtful
            if difference_of(shown[on_screen[one]], shown[on_screen[two]]).most > MOVED
        ]
        self._add(shot, held, "repeated frames", "new drawings, as in the source", "earlier ones")

    def _compare_drawings(self, shot: ShotPlan, asked: Sequence[tuple[int, int, Small]]) -> None:
        entry = self._inputs[shot.shot.id]
        for index, at, stored in asked:
            nearest = self._nearest(entry, at, stored)
            if nearest is None or _is_same(nearest):
                continue
            time_s = float(self._indices[entry.shot.source].times[entry.source.first + at])
            self._add(
                shot,
                [index],
                "stored picture",
                f"the source's at {time_s:.3f} s of its clock",
                f"another one ({nearest.mean:.0%} apart, {nearest.most:.0%} in places)",
            )

    def _nearest(self, entry: ShotInput, frame: int, stored: Small) -> PictureDifference | None:
        """How far a stored picture is from the nearest that the source shows at a frame of the
        shot; None where it shows none."""
        index = self._indices[entry.shot.source]
        shown = self._shown(entry, frame)
        nearest: PictureDifference | None = None
        # Making small first is cheap, and wrong where many colours are out of the RGB cube (noise).
        for make in (small_planes, _small_exactly):
            pictures = (
                turned(make(planes, index.coded_picture), index.rotation) for planes in shown
            )
            nearest = min((apart(one, stored) for one in pictures), key=_mean, default=None)
            if nearest is None or _is_same(nearest):
                break
        return nearest

    def _shown(self, entry: ShotInput, frame: int) -> tuple[Planes, ...]:
        """What the source shows at a frame of the shot, by its own clock where it has one."""
        number = entry.shot.source
        index = self._indices[number]
        if index.kind != "stream" or index.picks:
            return (self._open(number).read_planes(entry.source.first + frame),)
        if self._clock is None or self._clock[0] != number:
            if self._clock is not None:
                self._clock[1].close()
            self._clock = (number, SourceClock(local_index(index)))
        return self._clock[1].frames(entry.source.first + frame)

    def _add(
        self, shot: ShotPlan, frames: Sequence[int], what: str, expected: str, got: str
    ) -> None:
        self._mismatches += [
            Mismatch(shot=shot, frames=run, what=what, expected=expected, got=got)
            for run in ranges_of(frames)
        ]

    def _read(self, entry: ShotInput, frames: Sequence[int]) -> dict[int, Small]:
        """Frames of a shot's source, counted in the shot, made small."""
        if not frames:
            return {}
        number = entry.shot.source
        reader = self._open(number)
        coded = self._indices[number].coded_picture
        return {
            frame: small_planes(reader.read_planes(entry.source.first + frame), coded)
            for frame in frames
        }

    def _open(self, number: int) -> FrameReader:
        """The source of this number, the one before it closed."""
        if self._reader is None or self._reader[0] != number:
            if self._reader is not None:
                self._reader[1].close()
            index = local_index(self._indices[number])
            self._reader = (number, FrameReader(index, cache_dir=home_folder("cache")))
        return self._reader[1]


def _is_same(difference: PictureDifference) -> bool:
    """Whether two pictures that are so far apart are taken for one."""
    return difference.mean <= OTHER_MEAN and difference.most <= OTHER_PART


def _small_exactly(planes: Planes, coded: Picture) -> Small:
    """A source's picture made small as a stored one is: clipped to what a screen shows first."""
    return small_frame(rgb_from_planes(planes, coded))


def _mean(difference: PictureDifference) -> float:
    return difference.mean
