"""Frames that came out black or repeated, compared with what the source shows at that time.

Holds, fades and flashes are how animation is made. A black frame is wrong where the source is not
black at that time, a repeated one where the source's pictures differ. Nothing is decoded of a
source unless there is such a frame to ask about.
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
from tasks.frames.track import ranges_of
from tasks.verify.pictures import Small, difference_of, is_black, small_planes

MOVED = 0.04
"""Two frames of a source that are farther apart than this anywhere show different drawings: frames
that are repeated exactly come from a source that repeats them exactly, or within its coding."""
BLACK_SLACK = 4.0
"""A source counts as black up to this many times the brightness of black: ends of fades."""


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
        self._mismatches: list[Mismatch] = []
        self._reader: tuple[int, FrameReader] | None = None

    def add_frames(self, shot: ShotPlan, first: int, small: Sequence[Small]) -> None:
        """Take frames of a shot, from its frame `first` on."""
        if shot is not self._shot:
            self._compare_shot()
            self._shot = shot
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
        return self._mismatches

    def _compare_shot(self) -> None:
        shot, black, repeats = self._shot, self._black, self._repeats
        self._black, self._repeats, self._first = [], [], {}
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
        index = local_index(self._indices[number])
        if self._reader is None or self._reader[0] != number:
            if self._reader is not None:
                self._reader[1].close()
            self._reader = (number, FrameReader(index, cache_dir=home_folder("cache")))
        reader = self._reader[1]
        return {
            frame: small_planes(reader.read_planes(entry.source.first + frame), index.coded_picture)
            for frame in frames
        }
