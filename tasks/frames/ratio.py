"""Exact numbers that people write: rates and ratios. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_LONGEST = 40
"""Characters. 1e999999999 is short and has a billion digits, so powers of ten are bounded too."""
_HUGE_POWER = re.compile(r"[eE][-+]?[\d_]{4,}")


def exact_number(value: object) -> Fraction:
    """`2`, `2.5`, `"5/2"`, `1e-3` as they are written, exactly. ValueError for anything else, and
    before it is built for what has more digits than any rate."""
    text = str(value).strip() if isinstance(value, int | float | str | Fraction) else ""
    if len(text) > _LONGEST or _HUGE_POWER.search(text):
        raise ValueError("a number with too many digits")
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError("a fraction of nothing") from error


def fits_stream(rate: Fraction) -> bool:
    """Whether containers and codecs can hold a rate: two whole numbers of 31 bits."""
    return max(rate.numerator, rate.denominator) < 1 << 31
