"""What a synthesised short is: shots, exposures, transitions, flashes, beeps, words. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tasks.synthetic.cast import Actor

Kind = Literal[
    "landscape", "walk", "talk", "pair", "insert", "creature", "rush", "focus", "impact", "city",
    "roof",
]  # fmt: skip
CameraMove = Literal["hold", "pan", "zoom"]
Place = Literal["meadow", "street", "classroom", "cafe", "grove", "desk", "burst", "city", "roof"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One cel level of a shot and its exposure sheet.

    `poses[i]` is the frame of the action (shot-relative) whose drawing frame i shows: on twos
    0 0 2 2 4 4. `on` is the exposure in words: 1, 2 or 3 frames a drawing, 0 a hold throughout.
    """

    name: str
    on: int
    poses: tuple[int, ...]

    def pose_at(self, time: Fraction) -> float:
        """The action's frame shown at shot-relative `time`: between two drawings, in between."""
        last = len(self.poses) - 1
        whole = int(time // 1)
        if whole >= last or time < 0:
            return float(self.poses[last if time >= 0 else 0])
        here, there = self.poses[whole], self.poses[whole + 1]
        return float(here + (there - here) * (time - whole))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Frames `[start, end)` of the film under one set-up."""

    id: str
    kind: Kind
    start: int
    end: int
    place: Place
    mood: str
    seed: int
    actors: tuple[int, ...]
    camera: CameraMove
    levels: tuple[Level, ...]
    near: bool = False

    def __len__(self) -> int:
        return self.end - self.start

    def level(self, name: str) -> Level:
        """A level by name; KeyError if the shot has none of that name."""
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Frames `[start, end)` that fade from or to black, or dissolve across a cut.

    `fade_in`: frame `start` is black, frame `end` is the first full one. `fade_out`: frame
    `end - 1` is black. `dissolve`: the cut is the first frame in which the new shot is stronger.
    """

    kind: Literal["fade_in", "fade_out", "dissolve"]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashFrame:
    """One frame washed over: white, or the picture's negative. It is no cut."""

    frame: int
    negative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Beep:
    """A tone whose first sample is `sample`, the nearest to the frame's exact time (seconds)."""

    frame: int
    time: Fraction
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter from frame `start` to the next one's."""

    start: int
    end: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A subtitle line on frames `[start, end)`; `style` names an ASS style."""

    start: int
    end: int
    language: Literal["en", "ja"]
    style: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """An animated short, complete: every frame, at any size and instant, follows from it."""

    title: str
    seed: int
    rate: Fraction
    width: int
    height: int
    sample_rate: int
    cast: tuple[Actor, Actor, Actor]
    shots: tuple[Shot, ...]
    transitions: tuple[Transition, ...]
    flashes: tuple[FlashFrame, ...]
    beeps: tuple[Beep, ...]
    chapters: tuple[Chapter, ...]
    captions: tuple[Caption, ...]

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return self.shots[-1].end

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first frame of every shot but the first."""
        return tuple(shot.start for shot in self.shots[1:])

    @property
    def seconds(self) -> Fraction:
        """The film's exact length."""
        return self.frames / self.rate

    def shot_of(self, frame: int) -> Shot:
        """The shot that frame belongs to. IndexError beyond the film."""
        for shot in self.shots:
            if shot.start <= frame < shot.end:
                return shot
        raise IndexError(f"frame {frame} of a film of {self.frames}")
