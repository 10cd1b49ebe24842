"""JUnit as CI servers read it: a case per shot, what is bad in the words of its error, files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cluster.store.base import Store
from cluster.store.open import open_store
from flows.report.night.attachments import Attachments, attach
from flows.report.night.junit import junit_xml
from flows.report.night.objects import Objects
from flows.report.night.write import night_of
from flows.runs.night import Night
from flows.runs.state import RunStatus
from tests.flows.report.night.nights import (
    bad_night,
    hostile_night,
    make_episode,
    make_night,
    make_shot,
)

ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors", "disabled"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "time", "skipped", "timestamp", "id", "package"),
        *("disabled", "hostname", "file", "log", "url", "version", "group"),
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time", "assertions", "status", "file", "line", "group"},
    "skipped": {"message", "type"},
    "error": {"message", "type"},
    "failure": {"message", "type"},
    "system-out": set(),
}
"""What Jenkins' junit-10.xsd allows."""
ORDER = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out", "system-err"],
}


def check_schema(element: ET.Element) -> None:
    """Allowed elements and attributes, in the schema's order, with numbers where it wants them."""
    assert set(element.attrib) <= ATTRIBUTES[element.tag], element.tag
    places = [ORDER[element.tag].index(child.tag) for child in element]
    assert places == sorted(places), element.tag
    for name in ("tests", "failures", "errors", "skipped"):
        int(element.get(name, "0"))
    float(element.get("time", "0"))
    for child in element:
        check_schema(child)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def made(night: Night, store: Store, folder: Path) -> tuple[ET.Element, Attachments]:
    attachments = attach(night, folder, Objects(store))
    return ET.fromstring(junit_xml(night, attachments, base=folder)), attachments


def case(root: ET.Element, episode: str, name: str) -> ET.Element:
    (found,) = [
        each
        for each in root.iter("testcase")
        if (each.get("classname"), each.get("name")) == (episode, name)
    ]
    return found


def test_a_suite_per_episode_and_a_case_per_shot(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    root, _ = made(night, store, tmp_path)
    check_schema(root)
    suites = list(root)
    assert [suite.get("name") for suite in suites] == [each.episode for each in night.episodes]
    for suite, episode in zip(suites, night.episodes, strict=True):
        names = [each.get("name") for each in suite.iter("testcase")]
        assert names == [*(shot.id for shot in episode.shots), "film"]
        for count, tags in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(list(suite.iter(tags)))
        assert int(suite.attrib["tests"]) == len(names)
    for count in ("tests", "failures", "errors"):
        assert int(root.attrib[count]) == sum(int(suite.attrib[count]) for suite in suites)
    assert float(case(root, "ep01", "sh0010").attrib["time"]) == night.episodes[0].shots[0].seconds


def test_each_kind_of_trouble_has_its_element(store: Store, tmp_path: Path) -> None:
    root, _ = made(bad_night(store), store, tmp_path)

    def found(episode: str, name: str) -> tuple[str, str]:
        first = next(iter(case(root, episode, name)), None)
        return ("", "") if first is None else (first.tag, first.get("message", ""))

    assert found("ep01", "sh0010") == ("", "")
    assert found("ep01", "sh0040")[0] == "failure"
    assert "cannot be decoded" in found("ep01", "sh0040")[1]
    assert found("ep01", "sh0060")[0] == "failure"
    assert "PSNR 31.2 dB at frame 12" in found("ep01", "sh0060")[1]
    assert found("ep01", "film")[0] == "error"
    assert found("ep02", "film")[0] == "failure"
    assert "loudness -18.2 LUFS" in found("ep02", "film")[1]
    assert found("ep03", "film") == ("", "")
    assert found("ep04", "film") == ("failure", "frame 12 is not the one planned")
    assert found("ep05", "film") == ("skipped", "needs 2 h 10 min, the deadline is in 1 h 5 min")
    assert found("ep06", "film")[0] == "skipped"
    assert found("ep07", "film") == ("error", "the deadline came")


def test_the_log_and_the_first_bad_frame_are_linked(store: Store, tmp_path: Path) -> None:
    root, _ = made(bad_night(store), store, tmp_path)
    out = case(root, "ep01", "sh0040").findtext("system-out")
    assert out == "[[ATTACHMENT|logs/ep01/sh0040.txt]]"
    log = (tmp_path / "logs/ep01/sh0040.txt").read_text()
    for part in ("cannot be decoded", "frame: 7 (source frame 103)", "Traceback", "ValueError"):
        assert part in log
    assert "again: douga render ep01.yaml --shots sh0040" in log
    frames = case(root, "ep01", "sh0060").findtext("system-out")
    assert frames is not None
    paths = [line.removeprefix("[[ATTACHMENT|").removesuffix("]]") for line in frames.split("\n")]
    assert [Path(path).name for path in paths] == [
        *("sh0060-frame12-after.png", "sh0060-frame12-before.png", "sh0060.txt")
    ]
    for path in paths:
        assert (tmp_path / path).stat().st_size
    known = {each.get("name"): each.get("value") for each in root[0].iter("property")}
    assert known["sh0040.log"] == "logs/ep01/sh0040.txt"
    assert known["sh0060.frame"] == "frames/ep01/sh0060-frame12-after.png"


def test_files_outside_the_working_folder_are_named_whole(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    attachments = attach(night, tmp_path, Objects(store))
    root = ET.fromstring(junit_xml(night, attachments, base=tmp_path / "elsewhere"))
    out = case(root, "ep01", "sh0040").findtext("system-out")
    assert out == f"[[ATTACHMENT|{tmp_path}/logs/ep01/sh0040.txt]]"


def test_hostile_names_stay_text_and_files_stay_inside(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    root, attachments = made(hostile_night(store), store, folder)
    check_schema(root)
    assert "\0" not in ET.tostring(root, encoding="unicode")
    paths = list(attachments.paths())
    assert len(paths) == len(set(paths)) > 100
    for path in paths:
        assert path.resolve().is_relative_to(folder)
        assert path.name.isascii()
    for out in root.iter("system-out"):
        for line in (out.text or "").split("\n"):
            name = line.removeprefix("[[ATTACHMENT|").removesuffix("]]")
            assert (folder / name).is_file(), line


def test_shots_that_nobody_asked_for_are_skipped(store: Store, tmp_path: Path) -> None:
    from dataclasses import replace

    shots = (make_shot(1), replace(make_shot(2), state="new"))
    root, _ = made(make_night(1, (make_episode("ep", shots),)), store, tmp_path)
    assert [child.tag for child in case(root, "ep", "sh0020")] == ["skipped"]


def test_what_is_no_longer_stored_is_left_out(store: Store, tmp_path: Path) -> None:
    night = bad_night(store)
    empty = open_store(str(tmp_path / "empty"))
    root, _ = made(night, empty, tmp_path)
    out = case(root, "ep01", "sh0060").findtext("system-out")
    assert out == "[[ATTACHMENT|logs/ep01/sh0060.txt]]"
    assert "cannot be decoded" in (tmp_path / "logs/ep01/sh0040.txt").read_text()


@pytest.mark.parametrize(("code", "tag"), [(1, "error"), (3, "skipped"), (None, "error")])
def test_a_night_that_came_to_nothing_is_told_by_how_it_ended(
    code: int | None, tag: str, store: Store, tmp_path: Path
) -> None:
    """A night that was refused is orange with GitLab, as its exit code is."""
    seen = RunStatus(place="nights/demo/n1", state="x", exit_code=code, error="so", document={})
    root, _ = made(night_of(seen), store, tmp_path)
    (case,) = root.iter("testcase")
    assert [child.tag for child in case if child.tag != "system-out"] == [tag]
