"""Since when and until when, as people type it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster.errors import UsageError
from flows.report.usage.period import ALWAYS, parse_period

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "begin"),
    [
        ("30d", NOW - timedelta(days=30)),
        ("12h", NOW - timedelta(hours=12)),
        ("8w", NOW - timedelta(weeks=8)),
        ("all", ALWAYS),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T06:00", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("2026-11-01T06:00+09:00", datetime(2026, 10, 31, 21, tzinfo=UTC)),
    ],
)
def test_beginning_is_read(since: str, begin: datetime) -> None:
    assert parse_period(since, "", now=NOW) == (begin, NOW)


def test_whole_day_of_an_end_counts() -> None:
    assert parse_period("2026-11-01", "2026-11-01", now=NOW) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 2, tzinfo=UTC),
    )
    assert parse_period("2d", "1d", now=NOW)[1] == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "30", "-3d", "2026-13-01", "20261101x", "", "3 d", "0001-01-01T00:00+14:00"],
)
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since: expected 30d, 12h, 8w, all, or a date"):
        parse_period(text, "", now=NOW)


def test_times_beyond_the_calendar_are_held_at_its_ends() -> None:
    assert parse_period("99999w", "", now=NOW) == (ALWAYS, NOW)
    with pytest.raises(UsageError, match="--until: expected"):
        parse_period("30d", "9999-12-31", now=NOW)


def test_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing lies between"):
        parse_period("2026-11-02", "2026-11-01", now=NOW)
    with pytest.raises(UsageError, match="nothing lies between"):
        parse_period("2027-01-01", "", now=NOW)
