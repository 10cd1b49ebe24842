"""Keys: equal values have equal keys, different ones do not, and nothing slips in by repr()."""

from enum import Enum
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.keys import KEY_LENGTH, canonical, digest_bytes, digest_file, make_key

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.fractions(-3, 3, max_denominator=3)
    | st.floats(-2, 2, width=16)
)
LOOKALIKES = LEAVES.map(str) | LEAVES.map(canonical) | st.sampled_from(["f", "s", "m", ""])
"""Texts that read like a value of another kind, or like the marks of one."""
NAMES = st.text(max_size=2) | LOOKALIKES
VALUES = st.recursive(
    LEAVES | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES | NAMES, inner, max_size=3),
    max_leaves=6,
)


def spelt(value: object) -> object:
    """A value so that Python's == tells kinds apart, which it does not for 1, 1.0 and True."""
    if isinstance(value, dict):
        return {(type(name), spelt(name)): spelt(item) for name, item in value.items()}
    if isinstance(value, list):
        return [spelt(item) for item in value]
    return type(value), value.hex() if isinstance(value, float) else value


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_keys_are_stable_under_dict_order(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert make_key(value) == make_key(turned)
    assert len(make_key(value)) == KEY_LENGTH


@given(VALUES, VALUES)
def test_different_values_have_different_keys(a: object, b: object) -> None:
    assert (make_key(a) == make_key(b)) == (spelt(a) == spelt(b))


ALIKE = [
    *(1, 1.0, Fraction(1), Fraction(1, 2), True, None),
    *("1", "1/1", "1/2", "true", "null", "0x1.0000000000000p+0"),
    *([1], [[1, 2]], {"1": 1}, {1: 1}, {Fraction(1, 2): 1}, {"1/2": 1}),
    *({"f": "0x1.0000000000000p+0"}, {"f": 1}, {"s": "1/2"}, {"m": [[1, 1]]}, {"m": 1}, {}),
]


def test_kinds_that_look_alike_differ() -> None:
    assert len({make_key(value) for value in ALIKE}) == len(ALIKE)


def test_what_is_said_to_be_alike_has_one_key() -> None:
    class Colour(Enum):
        RED = "red"

    assert make_key(Path("a/b")) == make_key("a/b")
    assert make_key(Colour.RED) == make_key("red")
    assert make_key({3, 1, 2}) == make_key([1, 2, 3]) == make_key((1, 2, 3))


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no canonical form"):
        make_key({"a": object()})


def test_rationals_are_exact() -> None:
    assert canonical(Fraction(24000, 1001)) == '"24000/1001"'


def test_a_file_digests_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert digest_file(tmp_path / "f") == digest_bytes(b"x" * 3_000_000)
