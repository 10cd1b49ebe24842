"""The page: one file, nothing from a network, names only as text, plots that say what they show."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.errors import DougaError
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.report.night import ReportFiles, write_report
from flows.runs.night import Night
from tests.flows.report.night.nights import (
    HOSTILE,
    bad_night,
    hostile_night,
    make_episode,
    make_night,
    make_shot,
    many_nights,
)

VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """Its elements, with those that are open checked at every end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def written(night: Night, nights: list[Night], store: Store, folder: Path) -> tuple[Page, str]:
    files = write_report(night, nights, folder, store)
    text = files.html.read_text(encoding="utf-8")
    return Page(text), text


def check_alone(page: Page) -> None:
    """It reads nothing but itself and runs nothing."""
    assert page.all("script") == page.all("link") == page.all("iframe") == page.all("object") == []
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "poster", "data", "action"):
                assert value.startswith("data:image/jpeg;base64,"), (tag, name, value[:60])
    (policy,) = [each for each in page.all("meta") if "http-equiv" in each]
    assert policy["content"].startswith("default-src 'none'")


def test_a_bad_night_says_all_that_is_bad(store: Store, tmp_path: Path) -> None:
    page, text = written(bad_night(store), many_nights(40), store, tmp_path / "r")
    check_alone(page)
    assert "http" not in re.sub(r"http-equiv", "", text)
    for part in (
        *("cannot be decoded; mend the source", "ValueError: bad packet"),
        "PSNR 31.2 dB at frame 12",
        *("frame 12 is not the one planned", "the deadline is in 1 h 5 min"),
        *("loudness -18.2 LUFS", "Over the last 41 nights", "limit 8.0 s"),
    ):
        assert part in page.text, part
    assert len(page.all("svg")) == 6
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert "worst shot" in svg["aria-label"] or " to " in svg["aria-label"]


def test_pictures_are_small_jpegs_with_words_for_them(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    page, _ = written(night, [], store, tmp_path / "r")
    pictures = page.all("img")
    shots = sum(len(episode.shots) for episode in night.episodes)
    assert len(pictures) == shots + 2 * 2, "a thumbnail each, and two pairs"
    assert all(picture["alt"] for picture in pictures)
    pairs = [picture for picture in pictures if "frame 12" in picture["alt"]]
    assert [picture["alt"].rpartition(", ")[2] for picture in pairs] == ["last good", "now"] * 2
    before, after = (decoded(picture["src"]) for picture in pairs[:2])
    assert np.abs(before.astype(int) - after).mean() > 1
    assert decoded(pictures[-1]["src"]).shape == (90, 160, 3)
    assert max(len(picture["src"]) for picture in pictures) < 40_000


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def test_hostile_names_are_only_text(store: Store, tmp_path: Path) -> None:
    page, text = written(hostile_night(store), many_nights(2), store, tmp_path / "r")
    check_alone(page)
    assert "<script" not in text
    for name in HOSTILE:
        shown = name.replace("\0", "\ufffd").replace("\x07", "\ufffd").replace("\x1b", "\ufffd")
        shown = shown.replace("\ufffe", "\ufffd").replace("\ud800", "\ufffd")
        assert shown in page.text
    assert "49" not in page.text.split("Shots")[0].split("{{ 7 * 7 }}")[1][:40], "no template ran"


def test_tables_have_heads_and_the_page_a_language(store: Store, tmp_path: Path) -> None:
    page, _ = written(bad_night(store), many_nights(3), store, tmp_path / "r")
    heads = page.all("th")
    assert {each["scope"] for each in heads} == {"col", "row"}
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1


def test_a_good_night_asks_for_nobody(store: Store, tmp_path: Path) -> None:
    night = make_night(2, (make_episode("ep", tuple(make_shot(n, store) for n in range(1, 5))),))
    page, _ = written(night, [], store, tmp_path / "r")
    assert "Nothing: all was rendered" in page.text
    assert "before and after" not in page.text
    assert page.all("svg") == [], "one night is no history"


def test_hundreds_of_shots_over_dozens_of_nights(store: Store, tmp_path: Path) -> None:
    shots = tuple(make_shot(number, store) for number in range(1, 401))
    page, text = written(
        make_night(70, (make_episode("ep", shots),)), many_nights(70), store, tmp_path / "r"
    )
    assert len(page.all("img")) == 400
    assert len(text) < 3_000_000
    assert "Over the last 60 nights" in page.text
    (folded,) = [each for each in page.all("details") if each.get("class") == "episode"]
    assert "open" not in folded, "many good shots are folded"


def test_what_is_no_longer_stored_leaves_a_gap(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    page, _ = written(night, [], open_store(str(tmp_path / "empty")), tmp_path / "r")
    assert page.all("img") == []
    assert "the picture is no longer stored" in page.text


def test_the_json_is_the_night(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    files: ReportFiles = write_report(night, [], tmp_path / "r", store)
    document = json.loads(files.json.read_text())
    assert document == json.loads(json.dumps(night.to_json()))
    assert document["exit_code"] == 1
    assert Night.from_json(document) == night
    assert {files.html.name, files.json.name, files.junit.name} == {
        *("report.html", "report.json", "junit.xml")
    }
    assert all(path.is_file() for path in files.attachments)


def test_a_folder_that_cannot_be_written_is_one_clear_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DougaError, match=r"cannot be written.*name another folder"):
        write_report(bad_night(store), [], tmp_path / "file", store)
