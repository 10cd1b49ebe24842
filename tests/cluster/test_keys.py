"""Keys: equal values have equal keys, different ones do not, and nothing slips in by repr()."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.keys import KEY_LENGTH, canonical, digest_bytes, digest_file, make_key

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.fractions(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_keys_are_stable_under_dict_order(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert make_key(value) == make_key(turned)
    assert len(make_key(value)) == KEY_LENGTH


@given(VALUES, VALUES)
def test_different_values_have_different_keys(a: object, b: object) -> None:
    assert (make_key(a) == make_key(b)) == (canonical(a) == canonical(b))


def test_kinds_that_look_alike_differ() -> None:
    texts = [canonical(v) for v in (1, 1.0, "1", True, None, [1], {"1": 1})]
    assert len(set(texts)) == len(texts)


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no canonical form"):
        make_key({"a": object()})


def test_rationals_are_exact() -> None:
    assert canonical(Fraction(24000, 1001)) == '"24000/1001"'


def test_a_file_digests_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert digest_file(tmp_path / "f") == digest_bytes(b"x" * 3_000_000)
