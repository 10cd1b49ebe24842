"""Shots: they partition the episode, cut lists are checked, frame picks are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import UsageError
from flows.spec.shots import (
    parse_frames,
    parse_shots,
    shot_name,
    shots_from_cuts,
    shots_from_list,
)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.data())
def test_shots_partition_every_source_in_order(counts: list[int], data: st.DataObject) -> None:
    cuts = [
        sorted(data.draw(st.sets(st.integers(1, max(1, count - 1)), max_size=5)) - {count})
        for count in counts
    ]
    shots = shots_from_cuts(cuts, counts=counts)
    seen = [(shot.source, frame) for shot in shots for frame in range(shot.start, shot.end)]
    assert seen == [
        (source, frame) for source, count in enumerate(counts) for frame in range(count)
    ]
    assert all(len(shot) for shot in shots)
    assert len({shot.id for shot in shots}) == len(shots)


def test_shots_are_numbered_in_tens() -> None:
    assert [shot_name(n) for n in (0, 1, 98, 99)] == ["sh010", "sh020", "sh990", "sh1000"]


def test_a_cut_list_counts_through_all_sources() -> None:
    shots = shots_from_list((4, 10, 12), counts=[10, 5])
    assert [(s.source, s.start, s.end) for s in shots] == [
        (0, 0, 4),
        (0, 4, 10),
        (1, 0, 2),
        (1, 2, 5),
    ]


@pytest.mark.parametrize(
    ("cuts", "words"),
    [((5, 5), "must ascend, 5 does not"), ((20,), "outside the film"), ((-1,), "outside")],
)
def test_a_wrong_cut_list_is_refused(cuts: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        shots_from_list(cuts, counts=[10])


def test_frame_picks_are_read() -> None:
    assert parse_frames("sh010:7,12-14;sh020:3") == {
        "sh010": frozenset({7, 12, 13, 14}),
        "sh020": frozenset({3}),
    }
    for wrong in ("sh010", "sh010:", "sh010:a", "sh010:3-", ":3"):
        with pytest.raises(UsageError, match="write sh010:7,12-14"):
            parse_frames(wrong)


@pytest.mark.parametrize("none", [" ", ";", " ; ;"])
def test_frames_that_name_none_are_not_taken_for_all(none: str) -> None:
    with pytest.raises(UsageError, match="names no frame"):
        parse_frames(none)


@pytest.mark.parametrize("far", ["1048577", "0-999999999999", "0-1048576,5-99999999"])
def test_a_frame_that_no_shot_has_is_refused_before_the_range_is_counted(far: str) -> None:
    with pytest.raises(UsageError, match="there is no frame"):
        parse_frames(f"sh010:{far}")


def test_a_frame_of_five_thousand_digits_is_no_frame() -> None:
    with pytest.raises(UsageError, match="cannot read"):
        parse_frames("sh010:" + "9" * 5000)


def test_shot_names_are_read_with_blanks_between_and_never_as_none() -> None:
    assert parse_shots("") == ()
    assert parse_shots("sh010, sh020,") == ("sh010", "sh020")
    for none in (",", " ", ", ,"):
        with pytest.raises(UsageError, match="names no shot"):
            parse_shots(none)
