"""What GitHub's runner is told of a night."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.notify.annotations import Annotation, annotate, summarize
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome
from tests.conftest import Douga

WORSE = Regression(measure="ssim", was=0.98, now=0.91, limit=0.95, frame=12)


def shot(name: str, state: str = "rendered", **more: Any) -> NightShot:
    return NightShot(id=name, state=state, frames=24, seconds=1.0, money=0.0, **more)


def episode(name: str, state: Any, *shots: NightShot, **more: Any) -> NightEpisode:
    return NightEpisode(episode=name, show="main", state=Outcome(state), shots=shots, **more)


def night(*episodes: NightEpisode) -> Night:
    return Night(nightly="prime", night="n1", began_at="", ended_at="", episodes=episodes)


def lines(*episodes: NightEpisode) -> list[str]:
    return [str(each) for each in annotate(night(*episodes))]


def undone(text: str) -> str:
    """What the runner makes of an escaped text."""
    for code, letter in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, letter)
    return text


def test_a_good_night_has_nothing_to_say() -> None:
    assert lines(episode("ep01", "done", shot("sh010"), shot("sh020", "stored"))) == []


def test_a_failed_shot_is_named_with_its_frame_and_why() -> None:
    bad = shot("sh020", "failed", error="ep01/sh020/upscale: 100 % full, stop", frame=7)
    assert lines(episode("ep01", "failed", shot("sh010"), bad, why="1 of 2 shots failed")) == [
        "::error title=ep01/sh020 frame 7 failed::ep01/sh020/upscale: 100 %25 full, stop"
    ]


def test_a_regressed_shot_and_film_are_errors() -> None:
    found = lines(
        episode("ep01", "done", shot("sh010", regressions=(WORSE,)), regressions=(WORSE,))
    )
    assert [line.partition("::")[2].partition("::")[0] for line in found] == [
        "error title=ep01/sh010 regressed",
        "error title=ep01 regressed",
    ]
    assert "0.91" in found[0]


def test_a_film_that_failed_without_a_shot_or_is_wanting_says_why() -> None:
    found = lines(
        episode("ep01", "failed", why="ep01.mkv: no such film"),
        episode("ep02", "wanting", shot("sh010"), why="frame 3 is shown twice"),
    )
    assert found == [
        "::error title=ep01 failed::ep01.mkv: no such film",
        "::error title=ep02 failed verification::frame 3 is shown twice",
    ]


@pytest.mark.parametrize("state", ["left out", "stopped", "waiting"])
def test_what_was_not_done_is_a_warning(state: str) -> None:
    assert lines(episode("ep01", state, why="after 06:00")) == [
        f"::warning title=ep01 {Outcome(state).words}::after 06:00"
    ]


def test_github_shows_ten_and_the_tenth_names_the_rest() -> None:
    many = [shot(f"sh{n:03}", "failed", error="no memory") for n in range(25)]
    found = lines(episode("ep01", "failed", *many))
    assert len(found) == 10
    assert found[-1].startswith("::error title=and 16 more::ep01/sh009 failed, ep01/sh010 failed")


@given(st.text(), st.text())
def test_the_runner_reads_back_what_was_meant_and_one_command_only(
    title: str, message: str
) -> None:
    line = str(Annotation(level="error", title=title, message=message))
    assert "\n" not in line
    assert "\r" not in line
    match = re.fullmatch(r"::error title=((?:(?!::)[^,])*)::(.*)", line, re.DOTALL)
    assert match
    assert (undone(match[1]), undone(match[2])) == (title, message)


def test_an_error_can_give_the_runner_no_command_of_its_own() -> None:
    bad = shot(
        "sh\n::add-mask::x", "failed", error="a\n::set-env name=PATH::x\r\n::stop-commands::x"
    )
    (line,) = lines(episode("ep\n::error::y", "failed", bad))
    assert len(line.splitlines()) == 1
    assert line.startswith("::error title=ep %3A%3Aerror%3A%3Ay/sh")


def test_the_summary_is_a_table_that_names_cannot_break() -> None:
    bad = shot("sh020", "failed", error="<script>|`x`")
    text = summarize(night(episode("ep|01", "failed", bad, why="1 [of] 2\nshots")))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "| ep\\|01 | failed | 1 | 0 | 0 | 1 \\[of\\] 2 shots |" in rows
    assert "| ep\\|01/sh020 failed | &lt;script&gt;\\|\\`x\\` |" in rows


def test_the_command_reads_a_report_and_adds_to_the_summary(tmp_path: Path, douga: Douga) -> None:
    report = night(episode("ep01", "failed", shot("sh020", "failed", error="no memory")))
    (tmp_path / "report.json").write_text(json.dumps(report.to_json()))
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    ended = douga("annotate", tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert ended.code == 0, ended.err
    assert ended.out == "::error title=ep01/sh020 failed::no memory\n"
    assert summary.read_text().startswith("before\n## prime, night n1\n")


@pytest.mark.parametrize("content", [None, "[]", "{}", "no json", '{"episodes": 3}'])
def test_what_is_no_report_is_said_to_be_none(
    content: str | None, tmp_path: Path, douga: Douga
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    ended = douga("annotate", tmp_path / "report.json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith(f"douga: {tmp_path}/report.json: ")
    assert "a bug" not in ended.err


def test_a_summary_that_cannot_be_written_is_said_in_a_line(tmp_path: Path, douga: Douga) -> None:
    (tmp_path / "report.json").write_text(json.dumps(night(episode("ep", "done")).to_json()))
    ended = douga("annotate", tmp_path, "--summary", tmp_path / "gone" / "x.md")
    assert ended.code == 1
    assert "the summary cannot be written (no such file or directory)" in ended.err
