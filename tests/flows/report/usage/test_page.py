"""The page of a report: whole, safe, of itself, and readable without seeing it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cluster.store.folder import FolderStore
from flows.report.plots import VARIABLES
from flows.report.usage.figures import Report
from flows.report.usage.make import make_report
from flows.report.usage.page import render_page
from tests.flows.report.usage.season import write_season

NOW = datetime(2024, 11, 1, tzinfo=UTC)
EMPTY_ELEMENTS = {"meta", "path", "use", "rect", "br"}


class Outline(HTMLParser):
    """What elements there are, with their attributes; all that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def counted(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.found)


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Report:
    store = FolderStore(tmp_path_factory.mktemp("season"))
    write_season(store, nights=10, shots=6)
    return make_report(store.url, since="all", now=NOW)


@pytest.fixture(scope="module")
def page(season: Report) -> str:
    return render_page(season)


def test_page_needs_no_network_and_runs_no_script(page: str) -> None:
    outline = Outline(page)
    assert not outline.open
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.counted())
    for _, attributes in outline.found:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert (value or "").startswith("#")
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "http:" not in without_names
    assert "https:" not in without_names
    assert "url(http" not in page
    assert "@import" not in page


def test_plots_take_their_colours_from_the_page_and_say_what_they_show(page: str) -> None:
    outline = Outline(page)
    plots = [attributes for tag, attributes in outline.found if tag == "svg"]
    assert len(plots) == 5
    assert all(each["role"] == "img" and "viewbox" in each for each in plots)
    assert "interpolate+upscale" in (plots[0]["aria-label"] or "")
    for stand_in, variable in VARIABLES.items():
        assert stand_in not in page
        assert f"{variable[4:-1]}:" in page, "the style sheet says what it is"
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_ids_in_a_page_are_unique_and_those_referred_to_exist(page: str) -> None:
    outline = Outline(page)
    ids = Counter(each["id"] for _, each in outline.found if "id" in each)
    assert ids
    assert max(ids.values()) == 1
    referred = set(re.findall(r'(?:url\(#|href="#)([^")]+)', page))
    assert referred
    assert referred <= set(ids)


def test_page_shows_every_figure(season: Report, page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", page)
    for words in ("farm-3", "2 GPUs", "interpolate+upscale", "ep01", "ep02", "sent back"):
        assert words in text
    assert f"{season.totals.retakes} on {season.totals.shots} shots" in text
    assert f"{season.totals.failed_shots} / {season.totals.retries}" in text
    for row in season.failures:
        assert row.run in text


def test_names_and_words_from_outside_are_shown_as_they_are_and_do_nothing(
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    store = FolderStore(tmp_path)
    write_season(store, nights=2, shots=6)
    evil = "<script>alert(1)</script>$x_1$&amp;"
    report = make_report(store.url, since="all", now=NOW)
    report = replace(
        report,
        episode=evil,
        stages=tuple(replace(row, stage=evil) for row in report.stages),
        episodes=tuple(replace(row, episode=evil) for row in report.episodes),
        nodes=tuple(replace(row, node=evil) for row in report.nodes),
        retaken=tuple(replace(row, note=evil, shot=evil) for row in report.retaken),
        slots=tuple(replace(row, by_stage={evil: 1.0}) for row in report.slots),
    )
    outline = Outline(render_page(report))
    assert "script" not in outline.counted()
    assert not outline.open


def test_page_of_nothing_says_so(tmp_path: Path) -> None:
    report = make_report(FolderStore(tmp_path).url, since="30d", now=NOW)
    page = render_page(report)
    assert not Outline(page).open
    assert "no film came out" in page
    assert "<svg" not in page
    assert "<table" not in page


def test_same_report_makes_the_same_page(season: Report, page: str) -> None:
    assert render_page(season) == page
