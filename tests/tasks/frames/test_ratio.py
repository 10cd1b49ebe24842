"""Numbers are exact, and bounded before they are built."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from cluster.errors import UsageError
from tasks.frames.ratio import exact_number
from tasks.stages.registry import make_stage


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        (24, Fraction(24)),
        ("24000/1001", Fraction(24000, 1001)),
        (23.976, Fraction(23976, 1000)),
        (" 1e2 ", Fraction(100)),
        ("2.5e-1", Fraction(1, 4)),
    ],
)
def test_a_number_is_what_is_written(written: Any, exact: Fraction) -> None:
    assert exact_number(written) == exact


@pytest.mark.parametrize(
    "written",
    [
        "1e999999999",
        "1e-999999999",
        "1E+9_999",
        "9" * 5000,
        "1/0",
        "nan",
        "inf",
        "",
        "²",
        None,
        [2],
    ],
)
def test_what_is_none_or_never_ends_is_refused_at_once(written: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        exact_number(written)
    for name in ("rate", "factor"):
        with pytest.raises(UsageError, match="stage interpolate"):
            make_stage("interpolate", {name: written, "engine": "average"})


@pytest.mark.parametrize("written", ["1.3333333333333333", "12.345678901", "1e-300"])
def test_what_no_film_can_hold_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="fewer digits"):
        make_stage("interpolate", {"rate": written, "engine": "average"})
