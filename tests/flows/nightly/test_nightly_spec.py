"""`nightly.yaml`: what it may say, and one line with file and line number for what it may not."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cluster.errors import Exit, UsageError
from flows.nightly.clock import is_cron, local_zone_name, next_end, parse_deadline
from flows.nightly.spec import NightlySpec, read_nightly

WHOLE = """name: tonight
timezone: Europe/Berlin
deadline: "06:00"
hard: true
shows: {a: 2, b: {weight: 0.5}}
budget: {gpu_hours: 3, money: 40}
schedule: {cron: "0 22 * * mon-fri", timezone: Asia/Tokyo}
thresholds: {psnr_db: 30, seconds: null}
store: store
report: reports
episodes:
  - {path: ep01.yaml, show: a, priority: 5, output: out/ep01.mkv, quality: 20}
  - {episode: ep02.yaml, show: b}
"""


def read(folder: Path, text: str) -> NightlySpec:
    file = folder / "night.yaml"
    file.write_text(text)
    return read_nightly(file)


def test_everything_that_a_nightly_says_is_read(tmp_path: Path) -> None:
    spec = read(tmp_path, WHOLE)
    assert spec.name == "tonight"
    assert spec.deadline == time(6)
    assert spec.hard
    assert spec.weights == {"a": 2, "b": 0.5}
    assert (spec.budget.gpu_hours, spec.budget.cpu_hours, spec.budget.money) == (3, None, 40)
    assert spec.schedule is not None
    assert (spec.schedule.cron, spec.schedule.timezone) == ("0 22 * * mon-fri", "Asia/Tokyo")
    assert (spec.thresholds.psnr_db, spec.thresholds.seconds) == (30, None)
    assert [(each.path, each.show, each.priority) for each in spec.episodes] == [
        ("ep01.yaml", "a", 5),
        ("ep02.yaml", "b", 0),
    ]
    assert spec.resolve(spec.episodes[0].output) == str(tmp_path / "out/ep01.mkv")
    assert spec.resolve("s3://bucket/x") == "s3://bucket/x"


def test_a_list_of_episodes_is_enough(tmp_path: Path) -> None:
    spec = read(tmp_path, "episodes: [ep01.yaml, ep02.mkv]")
    assert spec.name == "night"
    assert spec.weights == {"main": 1}
    assert spec.deadline is None
    assert spec.timezone == local_zone_name()


@pytest.mark.parametrize(
    ("line", "instead", "number", "words"),
    [
        ('deadline: "06:00"', "deadline: 8", 3, "06:00 or a duration such as 8h, got '8'"),
        ('deadline: "06:00"', "deadline: soon", 3, "a duration such as 8h, got 'soon'"),
        ("hard: true", "hard: perhaps", 4, "hard"),
        ("Europe/Berlin", "Europe/Berln", 2, "a time zone such as Europe/Berlin"),
        ("gpu_hours: 3", "gpu_hour: 3", 6, "unknown key 'gpu_hour'; did you mean 'gpu_hours'?"),
        ("gpu_hours: 3", "gpu_hours: -3", 6, "budget.gpu_hours"),
        ("gpu_hours: 3", "gpu_hours: .inf", 6, "budget.gpu_hours"),
        ("0 22 * * mon-fri", "0 25 * * *", 7, "expected five fields"),
        ("psnr_db: 30", "psnr: 30", 8, "did you mean 'psnr_db'?"),
        ("{a: 2,", "{a: 0,", 5, "shows.a.weight"),
        ("show: b", "show: c", 13, "ep02.yaml is of show 'c', which is not here"),
        ("priority: 5", "priority: high", 12, "priority"),
        ("episode: ep02.yaml", "path: e, source: f", 13, "give path or source, not both"),
        ("name: tonight", "name: a/b", 1, "a plain name without slashes"),
        ("name: tonight", "file: x", 1, "unknown key 'file'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_number(
    tmp_path: Path, line: str, instead: str, number: int, words: str
) -> None:
    assert line in WHOLE
    with pytest.raises(UsageError) as wrong:
        read(tmp_path, WHOLE.replace(line, instead))
    assert wrong.value.exit_code == Exit.USAGE
    assert str(wrong.value).startswith(f"{tmp_path / 'night.yaml'}:{number}: ")
    assert words in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("text", ["", "- ep01.yaml", "3"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="expected a nightly"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("06:00", time(6)),
        ("6:00", time(6)),
        ('"23:30"', time(23, 30)),
        ("23:30", time(23, 30)),
        ("0:30", time(0, 30)),
        ("8h", timedelta(hours=8)),
        ("1h30m", timedelta(minutes=90)),
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
    ],
)
def test_a_deadline_is_read_as_it_is_written(
    tmp_path: Path, written: str, meant: time | timedelta
) -> None:
    """YAML takes an unquoted 6:00 for the number 360."""
    assert read(tmp_path, f"deadline: {written}\nepisodes: [a.yaml]").deadline == meant


@pytest.mark.parametrize("text", ["", "24:00", "6:60", "8", "h", "8 h", "-8h", "8h8h"])
def test_what_is_no_deadline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time of day"):
        parse_deadline(text)


@pytest.mark.parametrize("text", ["0s", "0h0m", "9999999999h", "9e9h", f"{'9' * 400}h"])
def test_a_deadline_that_leaves_no_time_or_no_end_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=":1: deadline: expected"):
        read(tmp_path, f"deadline: {text}\nepisodes: [a.yaml]")


def test_the_deadline_is_the_next_time_that_the_clock_there_shows() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    evening = datetime(2026, 3, 28, 22, tzinfo=berlin)  # clocks go forward that night
    assert next_end(time(6), began=evening, zone=berlin) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    night = datetime(2026, 3, 28, 3, tzinfo=berlin)
    assert next_end(time(6), began=night, zone=berlin) == datetime(2026, 3, 28, 5, tzinfo=UTC)
    there = datetime(2026, 3, 28, 6, tzinfo=berlin)
    assert next_end(time(6), began=there, zone=berlin) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    after = next_end(timedelta(hours=8), began=evening, zone=berlin)
    assert after == evening + timedelta(hours=8)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0 22 * * *", True),
        ("*/15 0-6 1,15 jan-mar mon", True),
        ("0 22 * * 7", True),
        ("0 22 * *", False),
        ("0 22 * * * *", False),
        ("60 22 * * *", False),
        ("0 22 0 * *", False),
        ("*/0 22 * * *", False),
        ("0 6-2 * * *", False),
        ("@daily", False),
        ("0 22 l * *", False),
        ("0 22 * jul wed#2", False),
        ("0 22 * JUL 5L", False),
        ("0 22 30 feb *", False),
        ("0 22 * JUL Wed", True),
    ],
)
def test_cron_has_five_fields_in_their_ranges(text: str, good: bool) -> None:
    assert is_cron(text) is good
