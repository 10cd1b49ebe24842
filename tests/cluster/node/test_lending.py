"""When a machine is lent: hours over midnight, an owner who is there, and what cannot be known."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import pytest

from cluster.errors import ClusterError, UsageError
from cluster.node.idle import Idle, find_idle, idle_of
from cluster.node.lending import Lending, read_hours, read_wait
from cluster.node.notice import Notice

NOW = 1_700_000_000.0


def at(hour: int, minute: int = 0) -> Callable[[], datetime]:
    return lambda: datetime(2026, 11, 30, hour, minute)


def untouched(seconds: float | None) -> Callable[[], Idle]:
    return lambda: Idle(seconds=seconds, why="nobody asked")


@pytest.mark.parametrize(
    ("hours", "hour", "lent"),
    [
        ("20:00-08:00", 20, True),
        ("20:00-08:00", 3, True),
        ("20:00-08:00", 8, False),
        ("20:00-08:00", 19, False),
        ("9:00-17:30", 9, True),
        ("9:00-17:30", 18, False),
    ],
)
def test_a_machine_is_lent_within_its_hours(hours: str, hour: int, lent: bool) -> None:
    away = Lending(hours=read_hours(hours), clock=at(hour)).away()
    assert (away is None) == lent
    assert away is None or away.until == hours.partition("-")[0].zfill(5)


@pytest.mark.parametrize("text", ["20-8", "25:00-08:00", "20:00", "20:00-20:00", "now"])
def test_hours_that_are_none_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="20:00-08:00"):
        read_hours(text)


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("90s", 90), ("1h", 3600), ("", 0)])
def test_a_wait_is_read(text: str, seconds: float) -> None:
    assert read_wait(text) == seconds


@pytest.mark.parametrize("text", ["10", "0m", "ten", "-5m"])
def test_a_wait_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="10m"):
        read_wait(text)


@pytest.mark.parametrize(
    ("idle_s", "lent"), [(0, False), (599, False), (600, True), (math.inf, True)]
)
def test_a_machine_is_lent_while_nobody_touches_it(idle_s: float, lent: bool) -> None:
    rule = Lending(idle_s=600, idle=untouched(idle_s))
    assert (rule.away() is None) == lent
    assert rule.check() == ""


def test_an_owner_at_night_has_the_machine() -> None:
    rule = Lending(hours=read_hours("20:00-08:00"), idle_s=600, clock=at(23), idle=untouched(5))
    assert rule.away() is not None


def test_what_is_not_known_is_said_and_the_hours_decide() -> None:
    night = Lending(hours=read_hours("20:00-08:00"), idle_s=600, clock=at(23), idle=untouched(None))
    assert "nobody asked" in night.check()
    assert night.away() is None
    with pytest.raises(ClusterError, match="--hours"):
        Lending(idle_s=600, idle=untouched(None)).check()


def test_a_machine_with_somebody_at_it_is_not_put_to_sleep_when_its_hours_end() -> None:
    for idle_s, sleeps in ((5, False), (900, True), (None, False)):
        rule = Lending(
            hours=read_hours("20:00-08:00"), idle_s=600, clock=at(9), idle=untouched(idle_s)
        )
        away = rule.away()
        assert away is not None
        assert away.may_sleep == sleeps


def test_a_notice_comes_before_everything() -> None:
    told = Notice(what="AWS takes the machine away", at="2026-11-30T12:00:00Z", within_s=118)
    away = Lending(hours=read_hours("20:00-08:00"), clock=at(12), notice=lambda: told).away()
    assert away is not None
    assert (away.why, away.within_s, away.may_sleep) == (told.what, 118, False)


def session(**more: str) -> dict[str, str]:
    return {"Class": "user", "State": "active", "Type": "wayland", "IdleHint": "no", **more}


def since(seconds_ago: float) -> str:
    return str(int((NOW - seconds_ago) * 1e6))


@pytest.mark.parametrize(
    ("sessions", "seconds"),
    [
        ([], math.inf),
        ([session(IdleHint="yes", IdleSinceHint=since(700))], 700),
        ([session(IdleHint="no", IdleSinceHint=since(700))], 0),
        ([session(Type="tty", IdleHint="no", IdleSinceHint="0")], 0),
        ([session(Class="greeter"), session(IdleHint="yes", IdleSinceHint=since(60))], 60),
        (
            [
                session(IdleHint="yes", IdleSinceHint=since(900)),
                session(Type="tty", IdleHint="yes", IdleSinceHint=since(30)),
            ],
            30,
        ),
        ([session(State="closing"), session(Class="manager")], math.inf),
    ],
    ids=["nobody", "idle", "typing", "ssh", "greeter", "the shortest", "closing"],
)
def test_who_touched_it_last_counts(sessions: list[dict[str, str]], seconds: float) -> None:
    assert idle_of(sessions, now=NOW, x11=None).seconds == pytest.approx(seconds, abs=0.01)


def test_a_desktop_that_tells_nothing_is_asked_by_x11_or_not_known() -> None:
    silent = [session(Type="x11", IdleSinceHint="0")]
    assert idle_of(silent, now=NOW, x11=Idle(seconds=42)).seconds == 42
    assert idle_of(silent, now=NOW, x11=None).seconds is None
    assert "x11" in idle_of(silent, now=NOW, x11=None).why


def test_a_machine_without_logind_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("DISPLAY", raising=False)
    idle = find_idle()
    assert idle.seconds is None
    assert "logind" in idle.why
