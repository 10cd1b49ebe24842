"""The back-off, and what Retry-After asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.retry import Backoff, read_retry_after

NOW = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)


@given(
    st.integers(1, 5000),
    st.floats(0.01, 10),
    st.floats(10, 100),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1000),
)
def test_waits_double_up_to_the_longest_and_only_the_jitter_is_chance(
    failed: int, first_s: float, longest_s: float, jitter: float, chance: float, asked_s: float
) -> None:
    backoff = Backoff(first_s=first_s, longest_s=longest_s, jitter=jitter)
    full_s = min(longest_s, first_s * 2 ** min(failed - 1, 20))
    found = backoff.wait_s(failed, chance=chance, asked_s=asked_s) - asked_s
    assert full_s * (1 - jitter) - 1e-9 <= found <= full_s + 1e-9


def test_what_is_asked_for_comes_on_top() -> None:
    assert Backoff(first_s=1, longest_s=8, jitter=1).wait_s(4, chance=0.5, asked_s=30) == 34


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(seconds=90)).replace("+0000", "-0000"), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("soon", 0.0),
        ("-3", 0.0),
        ("\N{SUPERSCRIPT TWO}", 0.0),
        ("9" * 400, 1e9),
        (f"Fri, 21 Oct {'9' * 400} 07:28:00 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float) -> None:
    assert read_retry_after(text, now=NOW) == seconds


def test_a_date_is_held_against_the_clock() -> None:
    assert 1e9 <= read_retry_after("Fri, 21 Oct 2995 07:28:00 GMT") <= 1e11
