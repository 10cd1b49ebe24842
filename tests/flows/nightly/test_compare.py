"""What goes past a threshold is a regression, and what stays within is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.nightly.compare import compare_film, compare_shot
from flows.nightly.spec import Thresholds
from flows.runs.night import NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome
from tasks.metrics.film_quality import Measured, Worst

LIMITS = Thresholds()
SHOT = NightShot(
    id="sh010",
    state="rendered",
    frames=24,
    seconds=100.0,
    money=10.0,
    chunks=2,
    computed=2,
    duration_s=1.0,
    loudness=-20.0,
)
FILM = NightEpisode(
    episode="ep", show="main", state=Outcome.DONE, film="ep.mkv", duration_s=60.0, loudness=-23.0
)


def worst(now: float, *, was: float = 0.0) -> Worst:
    return Worst(was=was, now=now, frame=7, before=b"before", after=b"after")


def measured(**more: Worst) -> Measured:
    return Measured(thumbnail=b"", flicker=None, **more)


def compare(
    now: NightShot = SHOT,
    was: NightShot | None = SHOT,
    *,
    timed: NightShot | None = SHOT,
    seen: Measured | None = None,
    limits: Thresholds = LIMITS,
) -> list[Regression]:
    found = compare_shot(
        now, was, timed=timed, measured=seen, limits=limits, put_png=lambda png: png.decode()
    )
    return list(found)


def test_the_same_shot_has_no_regression() -> None:
    assert compare() == []
    assert compare(was=None, timed=None) == []


@pytest.mark.parametrize(
    ("measure", "good", "bad", "limit"),
    [
        ("psnr", worst(36.0, was=99), worst(35.9, was=99), 36),
        ("ssim", worst(0.96, was=1), worst(0.959, was=1), 0.96),
        ("flicker_rise", worst(3.0, was=1.0), worst(3.1, was=1.0), 3.0),
    ],
)
def test_a_picture_past_its_limit_is_shown_before_and_after(
    measure: str, good: Worst, bad: Worst, limit: float
) -> None:
    assert compare(seen=measured(**{measure: good})) == []
    (found,) = compare(seen=measured(**{measure: bad}))
    assert found.measure == measure.removesuffix("_rise")
    assert (found.was, found.now, found.limit) == (bad.was, bad.now, limit)
    assert (found.frame, found.before, found.after) == (7, "before", "after")


@pytest.mark.parametrize(
    ("change", "measure", "limit"),
    [
        ({"duration_s": 1.002}, "duration", 1.001),
        ({"duration_s": 0.5}, "duration", 0.999),
        ({"loudness": -18.9}, "loudness", -19.0),
        ({"loudness": -70.0}, "loudness", -21.0),
        ({"seconds": 201.0}, "seconds", 200.0),
        ({"money": 20.1}, "money", 20.0),
    ],
)
def test_each_measure_of_a_shot_has_its_limit(
    change: dict[str, Any], measure: str, limit: float
) -> None:
    (found,) = compare(replace(SHOT, **change))
    assert (found.measure, found.limit, found.frame) == (measure, limit, None)


@pytest.mark.parametrize(
    "change",
    [
        {"duration_s": 1.001},
        {"loudness": -19.0},
        {"loudness": None},
        {"seconds": 200.0},
        {"seconds": 1.0, "money": 0.1},
        {"seconds": 400.0, "computed": 1},
    ],
)
def test_what_stays_within_or_cannot_be_compared_is_none(change: dict[str, Any]) -> None:
    assert compare(replace(SHOT, **change)) == []


def test_time_is_compared_per_frame_and_only_where_it_rose_by_enough() -> None:
    long = replace(SHOT, frames=48, seconds=400.0, money=0.0)
    assert compare(long, was=None) == []
    assert [each.measure for each in compare(replace(long, seconds=401.0), was=None)] == ["seconds"]
    quick = replace(SHOT, seconds=1.0, money=0.001)
    assert compare(replace(quick, seconds=9.0, money=0.009), timed=quick) == []


def test_what_is_null_is_not_looked_at() -> None:
    none = Thresholds.model_validate(
        dict.fromkeys(
            ("psnr_db", "ssim", "flicker", "loudness_lu", "duration_ms", "seconds", "money")
        )
    )
    bad = replace(SHOT, duration_s=9.0, loudness=0.0, seconds=9e9, money=9e9)
    seen = measured(psnr=worst(1), ssim=worst(0), flicker_rise=worst(99))
    assert compare(bad, seen=seen, limits=none) == []
    film = replace(FILM, duration_s=1.0, loudness=0.0)
    assert compare_film(film, FILM, limits=none) == ()


def test_a_film_is_compared_in_length_and_loudness() -> None:
    assert compare_film(FILM, FILM, limits=LIMITS) == ()
    longer = compare_film(replace(FILM, duration_s=60.01), FILM, limits=LIMITS)
    assert [each.measure for each in longer] == ["duration"]
    silent = compare_film(replace(FILM, loudness=None), FILM, limits=LIMITS)
    assert [(each.measure, each.now) for each in silent] == [("loudness", -70.0)]
    assert compare_film(replace(FILM, film="", duration_s=1.0), FILM, limits=LIMITS) == ()
