"""How numbers and names are worded for people, at the edges of each rule."""

from __future__ import annotations

import pytest

from flows.words import (
    device_words,
    duration_words,
    few_words,
    moment_words,
    money_words,
    number_words,
    percent_words,
    safe_text,
    size_words,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "0 s"), (0.00002, "0 s"), (0.042, "0.042 s"), (3.14, "3.1 s"), (9.97, "10 s")),
        *((59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (599.4, "9 min 59 s")),
        *((600, "10 min"), (3569, "59 min"), (3571, "1 h 0 min"), (12_000, "3 h 20 min")),
        *((359_940, "99 h 59 min"), (360_000, "100 h"), (4_442_400, "1,234 h")),
    ],
)
def test_a_duration_has_two_units_at_the_most(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_260_000, "4.3 MB")),
        *((999_949_999, "999.9 MB"), (999_950_000, "1.0 GB"), (5e15, "5,000.0 TB")),
    ],
)
def test_a_size_is_in_thousands_of_bytes(size_bytes: float, words: str) -> None:
    assert size_words(size_bytes) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "0.00 EUR"), (0.0042, "0.0042 EUR"), (0.5, "0.50 EUR"), (1234.567, "1,234.57 EUR")],
)
def test_a_price_has_more_digits_where_it_is_small(amount: float, words: str) -> None:
    assert money_words(amount, "EUR") == words


def test_device_time_names_what_was_used_and_the_cpu_where_nothing_was() -> None:
    assert device_words(2.5, 0.25) == "GPU 2 h 30 min, CPU 15 min"
    assert device_words(1, 0) == "GPU 1 h 0 min"
    assert device_words(0, 0) == "CPU 0 s"


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.8734, "87.3 %"), (0.0342, "3.42 %"), (1e-9, "0 %")],
)
def test_a_share_is_a_percentage(share: float | None, words: str) -> None:
    assert percent_words(share) == words


def test_numbers_moments_and_lists() -> None:
    assert [number_words(value, 2) for value in (1234.5, None)] == ["1,234.50", "–"]
    assert moment_words("2026-11-01T22:05:13.123+00:00") == "2026-11-01 22:05"
    assert few_words(list("abcde")) == "a, b, c, d, e"
    assert few_words(list("abcdefg"), most=2) == "a, b and 5 more"
    assert safe_text("nul\0 lone \ud800 動画") == "nul\ufffd lone \ufffd 動画"
