"""Triplets and stills of real material: repeats dropped, cuts never crossed."""

from pathlib import Path

import numpy as np
import pytest

from cluster.errors import InputError
from tasks.benchmarks.footage import evenly, open_footage, read_stills, read_triplets
from tests.tasks.benchmarks.conftest import drawing


def test_triplets_are_neighbouring_drawings_of_one_shot(frames: Path) -> None:
    footage = open_footage(str(frames))
    assert footage.drawings == ((0, 2, 3, 5, 6), (7, 8, 10, 11))
    assert footage.triplet_frames() == [(0, 2, 3), (2, 3, 5), (3, 5, 6), (7, 8, 10), (8, 10, 11)]


def test_a_triplet_asks_for_the_middle_drawing(frames: Path) -> None:
    *_, last = read_triplets(open_footage(str(frames)), most=99)
    a, b = last.inputs
    assert (last.source, last.name) == (frames.name, "frame 10")
    for picture, at in ((a, 1), (last.truth, 2), (b, 3)):
        assert np.array_equal(picture, drawing(1, at))
    assert last.beside == last.inputs


def test_a_long_source_is_thinned_evenly(frames: Path) -> None:
    found = list(read_triplets(open_footage(str(frames)), most=2))
    assert [case.name for case in found] == ["frame 2", "frame 5"]
    assert evenly(list(range(10)), most=4) == [0, 2, 5, 7]
    assert evenly([1, 2], most=4) == [1, 2]


def test_stills_come_in_twos_of_one_shot(frames: Path) -> None:
    stills = list(read_stills(open_footage(str(frames)), most=99))
    numbers = [int(case.name.split()[1]) for case in stills]
    for before, case in zip([None, *numbers], stills, strict=False):
        if case.follows:
            assert int(case.name.split()[1]) == before + 1 != 7
    assert numbers == sorted(set(numbers))
    assert any(case.follows for case in stills)


def test_a_source_without_movement_says_so(frames: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes((frames / "0000.png").read_bytes())
    with pytest.raises(InputError, match="no three consecutive drawings"):
        list(read_triplets(open_footage(str(tmp_path)), most=3))
