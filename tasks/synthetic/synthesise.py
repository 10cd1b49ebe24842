"""Writes the short: which shots, how long, exposed how, with which flashes, beeps and words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

from cluster.errors import UsageError
from tasks.synthetic.cast import Actor, make_cast
from tasks.synthetic.description import (
    Beep,
    CameraMove,
    Caption,
    Chapter,
    FlashFrame,
    Kind,
    Level,
    Place,
    Short,
    Shot,
    Transition,
)
from tasks.synthetic.effects import jot

RATE = Fraction(24000, 1001)
SAMPLE_RATE = 48000
LEAST = 5
"""Frames of a shot that is not one frame long, at the least."""
BEEP_EVERY_S = 1.1
"""Beeps (60 ms) keep at least this distance, so that each onset follows silence."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in an act: weight is its share of the time (0: one frame)."""

    kind: Kind
    place: Place
    mood: str
    weight: float
    actors: tuple[int, ...]
    camera: CameraMove
    levels: tuple[tuple[str, int], ...]
    near: bool = False
    rank: int = 0
    """The lower, the sooner it is kept when few shots are asked for."""


TALK = (("mouth", 3), ("eyes", 2), ("head", 2), ("hair", 3))
ACT: tuple[_Slot, ...] = (
    _Slot("landscape", "meadow", "day", 1.5, (0,), "pan", (("birds", 2), ("figure", 3)), rank=0),
    _Slot("walk", "street", "day", 1.2, (0,), "pan", (("body", 2), ("mouth", 3), ("eyes", 2)),
          rank=1),
    _Slot("talk", "classroom", "day", 1.1, (0,), "hold", TALK, rank=2),
    _Slot("talk", "classroom", "day", 1.0, (1,), "hold", TALK, rank=9),
    _Slot("pair", "classroom", "day", 1.2, (0, 1), "hold", TALK, rank=6),
    _Slot("insert", "desk", "morning", 1.25, (0,), "hold", (("things", 0),), rank=4),
    _Slot("creature", "grove", "day", 1.3, (), "hold", (("body", 1),), rank=3),
    _Slot("creature", "grove", "day", 0.8, (), "hold", (("body", 2), ("eyes", 2)), near=True,
          rank=11),
    _Slot("rush", "street", "dusk", 0.95, (1,), "pan", (("body", 2), ("lines", 2)), rank=5),
    _Slot("impact", "burst", "dusk", 0, (), "hold", (("star", 0),), rank=7),
    _Slot("impact", "burst", "day", 0, (), "hold", (("star", 0),), rank=12),
    _Slot("focus", "burst", "night", 0.75, (2,), "zoom", (("body", 2), ("lines", 2)), rank=10),
    _Slot("city", "city", "night", 1.2, (), "zoom", (("lamps", 3),), rank=8),
    _Slot("roof", "roof", "night", 1.4, (2,), "hold", (("cloth", 3), ("eyes", 2)), rank=13),
)  # fmt: skip


def synthesise(
    seed: int = 1,
    *,
    shots: int = 14,
    seconds: float = 12.0,
    size: tuple[int, int] = (640, 360),
    rate: Fraction = RATE,
) -> Short:
    """A short of `shots` shots in about `seconds`; the same arguments give the same short.

    With 12 shots or more every kind of exposure, transition and hard case occurs. Longer films
    are further acts with other light, places and actors. UsageError if the time is too short for
    the shots, or the size is odd or small.
    """
    _check(shots, size, rate)
    total = round(seconds * rate)
    slots = _plan(seed, shots)
    lengths = _lengths(slots, total)
    cast = make_cast(seed)
    made: list[Shot] = []
    at = 0
    for i, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
        made.append(_shot(i, slot, at, length, seed))
        at += length
    transitions = _transitions(made)
    flashes = _flashes(made)
    return Short(
        title=f"{cast[0].name} and the Leaf Spirit",
        seed=seed,
        rate=rate,
        width=size[0],
        height=size[1],
        sample_rate=SAMPLE_RATE,
        cast=cast,
        shots=tuple(made),
        transitions=transitions,
        flashes=flashes,
        beeps=_beeps(made, flashes, rate),
        chapters=_chapters(made),
        captions=_captions(made, cast, rate),
    )


def _check(shots: int, size: tuple[int, int], rate: Fraction) -> None:
    width, height = size
    if shots < 1:
        raise UsageError(f"expected at least 1 shot, got {shots}", where="sample")
    if width % 2 or height % 2 or width < 64 or height < 48:
        raise UsageError(
            f"expected an even size of at least 64x48, got {width}x{height}", where="sample"
        )
    if not 1 <= rate <= 240:
        raise UsageError(f"expected a rate of 1 to 240 frames a second, got {rate}", where="sample")


def _plan(seed: int, shots: int) -> list[_Slot]:
    """Acts of the film: whole ones, the last cut to what is asked for."""
    moods = ("day", "dusk", "morning")
    talks: tuple[Place, ...] = ("classroom", "cafe", "meadow")
    out: list[_Slot] = []
    act = 0
    while len(out) < shots:
        wanted = min(shots - len(out), len(ACT))
        kept = sorted(slot.rank for slot in ACT)[:wanted]
        turn = int(jot(seed, act, 5) * 3) + act
        for slot in ACT:
            if slot.rank not in kept:
                continue
            mood, place = slot.mood, slot.place
            if act and mood != "night":
                mood = moods[(moods.index(mood) + act) % 3]
            if place == "classroom":
                place = talks[turn % 3]
            actors = tuple((a + act) % 3 for a in slot.actors)
            out.append(_Slot(slot.kind, place, mood, slot.weight, actors, slot.camera,
                             slot.levels, slot.near, slot.rank))  # fmt: skip
        act += 1
    return out


def _lengths(slots: list[_Slot], total: int) -> list[int]:
    """Frames of each shot: by weight, at least LEAST, one-frame shots one; they sum to `total`."""
    singles = sum(slot.weight == 0 for slot in slots)
    least = singles + LEAST * (len(slots) - singles)
    if total < least:
        raise UsageError(
            f"{len(slots)} shots need at least {least} frames, got {total}",
            where="sample",
            remedy="ask for more seconds or fewer shots",
        )
    spare = total - least
    weight = sum(slot.weight for slot in slots)
    lengths, given, passed = [], 0, 0.0
    for slot in slots:
        passed += slot.weight
        upto = round(spare * passed / weight) if weight else 0
        lengths.append((1 if slot.weight == 0 else LEAST) + upto - given)
        given = upto
    if given < spare:
        lengths[-1] += spare - given
    return lengths


def _shot(index: int, slot: _Slot, at: int, length: int, seed: int) -> Shot:
    levels = tuple(
        Level(
            name=name,
            on=on,
            poses=tuple(0 if on == 0 else on * (f // on) for f in range(length)),
        )
        for name, on in slot.levels
    )
    own = 1 + int(jot(seed, index, 21) * 60000)
    if slot.kind in ("talk", "pair", "creature"):
        own = 1 + 2 * int(jot(seed, 22, ord(slot.place[0])) * 30000)
        own += slot.kind == "talk" and slot.rank == 9
    return Shot(
        id=f"sh{10 * (index + 1):03d}",
        kind=slot.kind,
        start=at,
        end=at + length,
        place=slot.place,
        mood=slot.mood,
        seed=own,
        actors=slot.actors,
        camera=slot.camera,
        levels=levels,
        near=slot.near,
    )


def _transitions(shots: list[Shot]) -> tuple[Transition, ...]:
    """Fade in at the start and out at the end; into the city, a dissolve; acts fade over black."""
    out = [Transition(kind="fade_in", start=0, end=min(12, len(shots[0]) // 2))]
    for before, shot in itertools.pairwise(shots):
        if before.kind == "roof":
            out.append(_fade_out(before))
            out.append(
                Transition(kind="fade_in", start=shot.start, end=shot.start + len(shot) // 2)
            )
        elif shot.kind == "city":
            half = min(6, len(before) - 1, len(shot) // 2)
            if half > 0:
                cut = shot.start
                out.append(Transition(kind="dissolve", start=cut - half, end=cut + half))
    if len(shots[-1]) > 1 and not any(t.end > shots[-1].start + len(shots[-1]) // 2 for t in out):
        out.append(_fade_out(shots[-1]))
    return tuple(out)


def _fade_out(shot: Shot) -> Transition:
    return Transition(kind="fade_out", start=shot.end - min(12, len(shot) // 2), end=shot.end)


def _flashes(shots: list[Shot]) -> tuple[FlashFrame, ...]:
    """A white and a negative frame in a rush, one white frame in a close-up of action."""
    out: list[FlashFrame] = []
    for shot in shots:
        if shot.kind == "rush" and len(shot) >= 8:
            middle = shot.start + (3 * len(shot)) // 5
            out.append(FlashFrame(frame=middle, negative=False))
            out.append(FlashFrame(frame=middle + 1, negative=True))
        elif shot.kind == "focus" and len(shot) >= 7:
            out.append(FlashFrame(frame=shot.start + len(shot) // 2, negative=False))
    return tuple(out)


def _beeps(shots: list[Shot], flashes: tuple[FlashFrame, ...], rate: Fraction) -> tuple[Beep, ...]:
    """Beeps on flashes, on cuts and in between, never closer than BEEP_EVERY_S."""
    apart = int(BEEP_EVERY_S * rate) + 1
    end = shots[-1].end
    marked = [flash.frame for flash in flashes]
    wished = [*marked, *(shot.start for shot in shots[1:]), *range(7, end, apart + 3)]
    chosen: list[int] = []
    for frame in wished:
        if 4 <= frame < end - 3 and all(abs(frame - other) >= apart for other in chosen):
            chosen.append(frame)
    return tuple(
        Beep(frame=frame, time=frame / rate, sample=round(frame * SAMPLE_RATE / rate))
        for frame in sorted(chosen)
    )


def _chapters(shots: list[Shot]) -> tuple[Chapter, ...]:
    """A chapter at the start and where place and light change most."""
    names: dict[Kind, str] = {
        "landscape": "Opening", "insert": "The letter", "rush": "The chase", "city": "Night",
    }  # fmt: skip
    starts = [(s.start, names[s.kind]) for s in shots if s.kind in names]
    if not starts or starts[0][0] != 0:
        starts.insert(0, (0, "Opening"))
    ends = [start for start, _ in starts[1:]] + [shots[-1].end]
    return tuple(
        Chapter(start=start, end=end, title=title)
        for (start, title), end in zip(starts, ends, strict=True)
    )


def _captions(shots: list[Shot], cast: tuple[Actor, ...], rate: Fraction) -> tuple[Caption, ...]:
    """English dialogue where someone speaks; Japanese signs where there is something to read."""
    lines = (
        "Did you hear it too?", "Every night, at the same hour.", "Then we go and see.",
        "You are not afraid?", "A little. Come on!", "It left us a letter.",
    )  # fmt: skip
    signs = {
        "landscape": "山", "insert": "一日目", "city": "月", "impact": "ドン！", "walk": "三丁目",
    }  # fmt: skip
    out: list[Caption] = []
    spoken = 0
    for shot in shots:
        if shot.kind in ("talk", "pair", "walk") and len(shot) > 3:
            name = cast[shot.actors[0]].name
            out.append(
                Caption(start=shot.start + 1, end=shot.end - 1, language="en",
                        style="Default" if shot.kind != "walk" else "Thought",
                        text=f"{name}: {lines[spoken % len(lines)]}")
            )  # fmt: skip
            spoken += 1
        if shot.kind in signs:
            style = "Impact" if shot.kind == "impact" else "Sign"
            out.append(
                Caption(start=shot.start, end=shot.end, language="ja", style=style,
                        text=signs[shot.kind])
            )  # fmt: skip
    if not any(c.language == "en" for c in out):
        out.append(Caption(start=0, end=shots[0].end, language="en", style="Default", text="..."))
    if not any(c.language == "ja" for c in out):
        out.append(Caption(start=0, end=shots[0].end, language="ja", style="Sign", text="…"))
    return tuple(out)
