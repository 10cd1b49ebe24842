"""The description: the same arguments give the same short, with everything promised in it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cluster.errors import UsageError
from tasks.synthetic import Short, synthesise


@pytest.fixture(scope="module")
def short() -> Short:
    return synthesise(1)


def test_same_arguments_give_an_equal_short() -> None:
    assert synthesise(7, shots=9, seconds=6) == synthesise(7, shots=9, seconds=6)


def test_another_seed_gives_another_short() -> None:
    assert synthesise(1) != synthesise(2)
    assert synthesise(1).cast != synthesise(2).cast


def test_default_short_has_every_kind_of_exposure_and_transition(short: Short) -> None:
    assert len(short.shots) == 14
    assert {level.on for shot in short.shots for level in shot.levels} == {0, 1, 2, 3}
    assert {shot.camera for shot in short.shots} == {"hold", "pan", "zoom"}
    assert [t.kind for t in short.transitions] == ["fade_in", "dissolve", "fade_out"]
    assert [flash.negative for flash in short.flashes].count(True) == 1
    assert sum(len(shot) == 1 for shot in short.shots) == 2
    assert any(
        a.place == b.place and a.kind == b.kind and a.near != b.near
        for a, b in zip(short.shots, short.shots[1:], strict=False)
    ), "no match cut on the same background"


@pytest.mark.parametrize("shots", [1, 2, 5, 12, 14, 15, 31])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(60)])
def test_shots_partition_any_length_exactly(shots: int, rate: Fraction) -> None:
    seconds = shots * 0.9 + 1
    short = synthesise(3, shots=shots, seconds=seconds, rate=rate)
    assert len(short.shots) == shots
    assert short.shots[0].start == 0
    assert all(a.end == b.start for a, b in zip(short.shots, short.shots[1:], strict=False))
    assert short.frames == round(seconds * rate)
    assert all(len(level.poses) == len(shot) for shot in short.shots for level in shot.levels)
    assert {c.language for c in short.captions} == {"en", "ja"}


def test_exposure_sheet_repeats_drawings_and_reads_between_them(short: Short) -> None:
    walk = next(shot for shot in short.shots if shot.kind == "walk").level("body")
    assert walk.poses[:6] == (0, 0, 2, 2, 4, 4)
    assert walk.pose_at(Fraction(1, 2)) == 0
    assert walk.pose_at(Fraction(3, 2)) == 1


def test_beeps_lie_on_frames_and_apart(short: Short) -> None:
    assert len(short.beeps) >= 5
    for beep in short.beeps:
        assert beep.time == beep.frame / short.rate
        assert abs(beep.sample / Fraction(short.sample_rate) - beep.time) <= Fraction(1, 96000)
    gaps = [b.time - a.time for a, b in zip(short.beeps, short.beeps[1:], strict=False)]
    assert min(gaps) > 1


def test_flashes_keep_away_from_cuts(short: Short) -> None:
    edges = {0, short.frames, *short.cuts}
    assert all(abs(flash.frame - edge) >= 2 for flash in short.flashes for edge in edges)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shots": 0}, "at least 1 shot"),
        ({"shots": 14, "seconds": 1}, "at least"),
        ({"size": (641, 360)}, "even size"),
        ({"rate": Fraction(0)}, "rate"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        synthesise(1, **arguments)  # type: ignore[arg-type]
