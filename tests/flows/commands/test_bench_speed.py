"""`douga bench speed`: medians and shares; the page that `make bench` writes of them."""

from __future__ import annotations

from typing import Any

import pytest

from flows.commands.bench_page import page
from flows.commands.bench_speed import Round, describe_ways
from tests.conftest import Douga


def rounds(*seconds: float, **more: Any) -> list[Round]:
    return [Round(frames=100, seconds=each, **more) for each in seconds]


def test_shares_are_of_medians_and_of_the_limit_with_the_same_engine() -> None:
    seen = {
        ("whole", "fast"): rounds(40.0, 20.0, 90.0, cpu_s=3.0),
        ("default", ""): rounds(20.0),
        ("tight", "exact"): rounds(10.0, 11.0, 9.0),
        ("tight", "fast"): rounds(5.0),
        ("loop", "exact"): rounds(8.0),
    }
    ways = {(way["way"], way["precision"]): way for way in describe_ways(seen)}
    assert list(ways)[:2] == [("tight", "exact"), ("tight", "fast")], "the limits first"
    whole = ways["whole", "fast"]
    assert whole["of_tight"] == pytest.approx(5 / 40)
    assert whole["share"] is None, "no bare loop with this engine"
    assert (whole["fps"], whole["cpu_s"]) == (pytest.approx(2.5), 3.0)
    assert ways["default", ""]["of_tight"] == pytest.approx(10 / 20)
    assert ways["default", ""]["share"] == pytest.approx(8 / 20)
    assert ways["tight", "exact"]["cpu_s"] is None


def figures(load: float, whole_s: float) -> dict[str, Any]:
    seen = {
        ("tight", "exact"): rounds(5.0),
        ("tight", "fast"): rounds(4.0),
        ("whole", "exact"): rounds(whole_s, stored_bytes=3_000_000, cpu_s=7.0),
    }
    film = {
        "film_s": 6,
        "size": "64x48",
        "rounds": 1,
        "frames": 100,
        "engine": "openvino-fp32",
        "ways": describe_ways(seen),
    }
    return {
        "began_at": "2026-11-30T15:47:41+00:00",
        "took_s": 500.0,
        "load": load,
        "cores": 2,
        "machine": "A Processor",
        "versions": {"ray": "2.0"},
        "films": [film],
    }


def rows(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"| {start}")]


@pytest.mark.parametrize(("whole_s", "verdict"), [(8.0, "met"), (12.0, "not met")])
def test_page_says_what_was_aimed_at_and_whether_it_came(whole_s: float, verdict: str) -> None:
    text = page(figures(0.1, whole_s))
    (six,) = [row for row in rows(text, "whole command, exact") if "64x48" in row]
    assert six.endswith(f"| {verdict} |")
    (minute,) = [row for row in rows(text, "whole command, exact") if "64x48" not in row]
    assert "not measured" in minute
    (way,) = rows(text, "douga, the whole command | exact")
    assert f"{5 / whole_s:.2f}".removeprefix("0") in way
    assert "3.0 MB" in way


def test_page_names_the_machine_and_says_when_it_was_busy() -> None:
    assert "A Processor, 2 cores" in page(figures(0.1, 8.0))
    assert "busy" not in page(figures(0.1, 8.0))
    assert "busy" in page(figures(3.0, 8.0))


@pytest.mark.nightly
def test_every_way_is_measured_on_one_film(douga: Douga) -> None:
    done = douga("bench", "--size", "64x48", "--seconds", "3", "--repeats", "1", "--json")
    assert done.code == 0, done.err
    ways = {(way["way"], way["precision"]): way for way in done.document["ways"]}
    assert {name for name, _ in ways} == {
        *("tight", "loop", "render", "whole", "script", "lanczos", "default")
    }
    for precision in ("exact", "fast"):
        whole, render = ways["whole", precision], ways["render", precision]
        assert whole["seconds"] > render["seconds"] > 0
        assert whole["stored_bytes"] > 0
        assert whole["cpu_s"] > ways["tight", precision]["cpu_s"] > 0
