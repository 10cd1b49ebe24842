"""Two sequences side by side, by laws that hold for any two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.verify.align import Difference, align

ITEMS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=30)


@given(ITEMS, ITEMS)
def test_replacing_the_differing_parts_turns_one_into_the_other(
    expected: list[bytes], found: list[bytes]
) -> None:
    made = list(expected)
    for part in reversed(align(expected, found)):
        made[part.start : part.end] = found[part.found_start : part.found_end]
    assert made == found


@given(ITEMS, ITEMS)
def test_differing_parts_are_in_order_and_never_empty_on_both_sides(
    expected: list[bytes], found: list[bytes]
) -> None:
    at = due = 0
    for part in align(expected, found):
        assert part.start >= due
        assert part.found_start >= at
        assert part.end > part.start or part.found_end > part.found_start
        due, at = part.end, part.found_end


@given(ITEMS)
def test_equal_sequences_do_not_differ(items: list[bytes]) -> None:
    assert align(items, list(items)) == []


@given(st.integers(0, 39), st.integers(1, 5))
def test_a_part_left_out_is_found_where_it_was(start: int, count: int) -> None:
    expected = [bytes([number]) for number in range(45)]
    found = expected[:start] + expected[start + count :]
    assert align(expected, found) == [
        Difference(start=start, end=start + count, found_start=start, found_end=start)
    ]
