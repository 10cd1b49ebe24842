"""Plots: nothing of nothing, gaps where no value is, rings and words on marks, stable bytes."""

from __future__ import annotations

import re

from flows.report.plots import Series, bars, gather_rest, horizontal_bars, lines


def test_values_that_are_missing_leave_gaps_and_nothing_is_drawn_of_nothing() -> None:
    nothing = Series(name="a", values=(None, None))
    assert lines("t", "u", ["1", "2"], [nothing]) == ""
    assert bars("t", "u", ["1", "2"], [Series(name="a", values=(0.0, 0.0))]) == ""
    assert horizontal_bars("t", "u", [], []) == ""
    some = lines("t", "u", ["1", "2", "3"], [nothing, Series(name="b", values=(1.0, None, 3.0))])
    assert "b 1 to 3" in some
    assert "a " not in re.findall(r'aria-label="([^"]*)"', some)[0].partition(":")[2]


def test_series_after_the_largest_are_put_together() -> None:
    parts = {name: (float(number), 1.0) for number, name in enumerate("abcdef")}
    found = gather_rest(parts, most=4)
    assert [each.name for each in found] == ["f", "e", "d", "c", "2 others"]
    assert found[-1].values == (1.0, 2.0)
    assert [each.name for each in gather_rest(parts, most=5)] == list("fedcba"), "one is not others"


def test_a_gap_breaks_the_line_and_each_mark_says_its_value() -> None:
    series = Series(name="psnr", values=(1.0, 2.0, None, 3.0, 4.0))
    svg = lines("t", "dB", list("abcde"), [series], bad=[False] * 4 + [True])
    (path,) = re.findall(r'<g id="[^"]*marks0">\s*<path d="([^"]*)"', svg)
    assert path.count("M") == 2
    titles = re.findall(r"<title>([^<]*)</title>", svg)
    assert titles == [
        *("a: psnr 1 dB", "b: psnr 2 dB", "d: psnr 3 dB", "e: psnr 4 dB"),
        "e: psnr 4 dB, went wrong",
    ]


def test_what_names_hold_does_nothing() -> None:
    evil = "<script>alert(1)</script>$x_1$&amp;\x07\ud800"
    svg = lines("t", "u", [evil, evil], [Series(name=evil, values=(1.0, 2.0))])
    assert "<script" not in svg
    assert not re.search("[\x07\ud800]", svg)
    assert "http" not in svg


def test_same_values_make_the_same_bytes() -> None:
    def draw() -> str:
        return lines("t", "u", list("abc"), [Series(name="x", values=(0.98, 0.99, None))])

    assert draw() == draw()
