"""The truth beside a synthesised film, as it is written to and read from `truth.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cluster.errors import InputError
from tasks.synthetic.description import Beep, Chapter, FlashFrame, Kind, Short, Transition

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotTruth:
    """A shot: frames `[start, end)`, kind, camera (hold, pan, zoom), exposure of each level.

    `on` is level → frames a drawing is shown (0: one drawing throughout).
    """

    id: str
    kind: Kind
    start: int
    end: int
    camera: str
    on: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is known of the film, exactly; frame numbers are the film's.

    `cuts` are the first frames of new shots. `drawing[i]` is the first frame of the same shot
    whose whole picture equals frame i's, bit for bit; `character_drawing[i]` the same for the
    characters' drawing alone, whatever the camera does. `shots` partition the film.
    """

    title: str
    rate: Fraction
    width: int
    height: int
    frames: int
    sample_rate: int
    cuts: tuple[int, ...]
    shots: tuple[ShotTruth, ...]
    transitions: tuple[Transition, ...]
    flashes: tuple[FlashFrame, ...]
    beeps: tuple[Beep, ...]
    chapters: tuple[Chapter, ...]
    drawing: tuple[int, ...]
    character_drawing: tuple[int, ...]


def make_truth(short: Short, *, drawing: tuple[int, ...]) -> Truth:
    """The truth of a short; `drawing` comes from the rendered pictures."""
    return Truth(
        title=short.title,
        rate=short.rate,
        width=short.width,
        height=short.height,
        frames=short.frames,
        sample_rate=short.sample_rate,
        cuts=short.cuts,
        shots=tuple(
            ShotTruth(
                id=s.id, kind=s.kind, start=s.start, end=s.end, camera=s.camera,
                on={level.name: level.on for level in s.levels},
            )
            for s in short.shots
        ),
        transitions=short.transitions,
        flashes=short.flashes,
        beeps=short.beeps,
        chapters=short.chapters,
        drawing=drawing,
        character_drawing=character_drawings(short),
    )  # fmt: skip


def character_drawings(short: Short) -> tuple[int, ...]:
    """For every frame the first of its shot in which all levels show the same drawings."""
    out: list[int] = []
    for shot in short.shots:
        seen: dict[tuple[int, ...], int] = {}
        for i in range(len(shot)):
            sheet = tuple(level.poses[i] for level in shot.levels)
            out.append(seen.setdefault(sheet, shot.start + i))
    return tuple(out)


def write_truth(path: Path, truth: Truth, *, drawings: dict[str, Any]) -> None:
    """`truth.json`; `drawings` describes the line drawings and region maps beside it."""
    document = {
        "version": VERSION,
        "title": truth.title,
        "rate": str(truth.rate),
        "size": [truth.width, truth.height],
        "frames": truth.frames,
        "sample_rate": truth.sample_rate,
        "cuts": truth.cuts,
        "shots": [
            asdict(shot) for shot in truth.shots
        ],
        "transitions": [asdict(change) for change in truth.transitions],
        "flashes": [asdict(flash) for flash in truth.flashes],
        "beeps": [{**asdict(beep), "time": str(beep.time)} for beep in truth.beeps],
        "chapters": [asdict(chapter) for chapter in truth.chapters],
        "drawing": truth.drawing,
        "character_drawing": truth.character_drawing,
        "drawings": drawings,
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """The truth from `truth.json`. InputError if there is none or it is of another version."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the sample's truth: {error}", where=str(path)) from error
    if raw.get("version") != VERSION:
        raise InputError(
            f"expected truth of version {VERSION}, got {raw.get('version')}",
            where=str(path),
            remedy="make the sample again",
        )
    return Truth(
        title=raw["title"],
        rate=Fraction(raw["rate"]),
        width=raw["size"][0],
        height=raw["size"][1],
        frames=raw["frames"],
        sample_rate=raw["sample_rate"],
        cuts=tuple(raw["cuts"]),
        shots=tuple(ShotTruth(**s) for s in raw["shots"]),
        transitions=tuple(Transition(**t) for t in raw["transitions"]),
        flashes=tuple(FlashFrame(**f) for f in raw["flashes"]),
        beeps=tuple(
            Beep(frame=b["frame"], time=Fraction(b["time"]), sample=b["sample"])
            for b in raw["beeps"]
        ),
        chapters=tuple(Chapter(**c) for c in raw["chapters"]),
        drawing=tuple(raw["drawing"]),
        character_drawing=tuple(raw["character_drawing"]),
    )
