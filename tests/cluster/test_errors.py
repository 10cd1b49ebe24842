"""What messages show of names and values that others chose."""

from __future__ import annotations

import pytest

from cluster.errors import UsageError, printable, shortly


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jep", "\\x1b[2Jep"),
        ("a\x07\x9bb\x7f", "a\\x07\\x9bb\\x7f"),
        ("mkv\u202efdp", "mkv\\u202efdp"),
        ("ep\udcff", "ep\\udcff"),
        ("two\nlines\tand 日本語 é 🎬", "two\nlines\tand 日本語 é 🎬"),
    ],
)
def test_no_text_gives_a_terminal_orders(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.encode()


def test_an_error_s_line_is_printable_whoever_named_its_place() -> None:
    error = UsageError("no\x1b[8msuch", where="\x1b]0;owned\x07.mkv", remedy="\u2066check")
    assert str(error).isprintable()
    assert str(error.at("ep.yaml:1")).isprintable()


def test_a_value_is_quoted_in_a_short_line() -> None:
    assert shortly("a\nb") == r"'a\nb'"
    assert len(shortly(list(range(10**5)))) <= 60
