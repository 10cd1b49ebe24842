"""A night: order, what is left out, what fails, what stops it, and what is kept of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.errors import Exit, RefusedError, StoreError, TimedOut, UsageError
from cluster.keys import Digest
from cluster.store.folder import FolderStore
from cluster.store.open import open_store
from flows.forecast.forecast import Forecast
from flows.nightly.candidates import plan_candidates
from flows.plan.prepare import Prepared
from flows.progress import Silent
from flows.runs.find import find_place
from flows.runs.night import Night
from flows.runs.nights import Past
from flows.runs.record import Record
from tests.flows.nightly.farm import BEGAN, Farm, failing


@pytest.fixture
def farm(tmp_path: Path, tiny_film: Path) -> Farm:
    return Farm(tmp_path, tiny_film)


def states(night: Night) -> dict[str, str]:
    return {each.episode: each.state for each in night.episodes}


def kept(farm: Farm) -> Night:
    return next(iter(Past(farm.store, "demo"))).night


def test_a_good_night_is_kept_as_it_is_told(farm: Farm) -> None:
    outcome = farm.night()
    assert outcome.exit_code == Exit.GOOD
    assert states(outcome.night) == {"ep1": "done", "ep2": "done"}
    assert kept(farm).episodes == outcome.night.episodes
    first = outcome.night.episodes[0]
    assert Path(first.film).is_file()
    assert first.duration_s == 2.0
    assert first.loudness is not None
    assert first.cpu_hours == pytest.approx(60 / 3600)
    assert [shot.id for shot in first.shots] == ["sh010", "sh020"]
    assert all(farm.store.get(shot.thumbnail)[:4] == b"\x89PNG" for shot in first.shots)
    assert all(shot.psnr is None for shot in first.shots)


def test_the_next_night_reuses_and_is_equal_without_a_look(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = farm.night().night
    monkeypatch.delattr("flows.nightly.collect.measure_shot")
    again = farm.night().night
    assert again.exit_code == Exit.GOOD
    for shot, was in zip(again.episodes[0].shots, before.episodes[0].shots, strict=True):
        assert (shot.psnr, shot.ssim, shot.computed) == (99, 1, 0)
        assert (shot.thumbnail, shot.flicker) == (was.thumbnail, was.flicker)
    assert again.episodes[0].compared == before.night


def test_what_does_not_fit_before_the_deadline_is_left_out_and_said(farm: Farm) -> None:
    outcome = farm.night("deadline: 150s", episodes=3)
    assert outcome.exit_code == Exit.REFUSED
    assert states(outcome.night) == {"ep1": "done", "ep2": "done", "ep3": "left out"}
    assert outcome.night.episodes[2].why.startswith("would end 30 s after the deadline")
    assert farm.rendered == ["ep1", "ep2"]
    assert "left out: ep3 (would end 30 s after the deadline" in outcome.words


def test_a_late_night_leaves_out_rather_than_overruns(farm: Farm) -> None:
    farm.takes = 130
    outcome = farm.night("deadline: 185s", episodes=3)
    assert states(outcome.night) == {"ep1": "done", "ep2": "left out", "ep3": "left out"}


def test_an_early_night_takes_more_than_was_expected(farm: Farm) -> None:
    farm.takes = 10
    outcome = farm.night("deadline: 90s", episodes=3)
    assert states(outcome.night) == {"ep1": "done", "ep2": "done", "ep3": "done"}


def test_an_episode_that_runs_at_the_deadline_ends_and_says_so(farm: Farm) -> None:
    farm.takes = 200
    outcome = farm.night("deadline: 100s", episodes=1)
    assert outcome.exit_code == Exit.GOOD
    assert outcome.night.episodes[0].why == "ended 1 min 40 s after the deadline"


def test_a_hard_deadline_stops_an_episode_that_runs(farm: Farm) -> None:
    def hang(name: str) -> None:
        farm.now += timedelta(seconds=100)
        assert not threading.Event().wait(60), "nothing stopped it"

    farm.does = hang
    farm.now = BEGAN
    farm.expected = 0.01
    outcome = farm.night("deadline: 0.3s\nhard: true")
    assert outcome.exit_code == Exit.REFUSED
    assert states(outcome.night) == {"ep1": "stopped", "ep2": "left out"}
    assert outcome.night.episodes[0].why.startswith("the deadline passed and the nightly is hard")


def test_a_budget_counts_what_was_spent_tonight(farm: Farm) -> None:
    """Three minutes of a core; the first episode takes two instead of one."""
    farm.takes = 130
    outcome = farm.night("budget: {cpu_hours: 0.05}", episodes=3)
    assert states(outcome.night) == {"ep1": "done", "ep2": "left out", "ep3": "left out"}
    assert "CPU-hours" in outcome.night.episodes[1].why


def test_priority_and_share_decide_the_order(farm: Farm) -> None:
    """Show b had nothing yet; ep3 is urgent."""
    text = (
        "shows: {a: 1, b: 1}\nepisodes:\n  - {path: ep1.yaml, show: a}\n"
        "  - {path: ep2.yaml, show: b}\n  - {path: ep3.yaml, show: a, priority: 9}\n"
    )
    outcome = farm.night(text, episodes=3)
    assert farm.rendered == ["ep3", "ep2", "ep1"]
    assert [each.episode for each in outcome.night.episodes] == farm.rendered


def test_shares_look_back_on_past_nights(farm: Farm) -> None:
    text = "episodes:\n  - {path: ep1.yaml, show: a}\n  - {path: ep2.yaml, show: b}\n"
    farm.night(f"{text}    # only one fits\ndeadline: 70s")
    assert farm.rendered == ["ep1"]
    farm.night(f"{text}\ndeadline: 70s")
    assert farm.rendered == ["ep2"]


@pytest.mark.parametrize("error", [None, ValueError("what a surprise")])
def test_an_episode_that_fails_does_not_stop_the_others(
    farm: Farm, error: BaseException | None
) -> None:
    farm.does = failing("ep1", error)
    outcome = farm.night()
    assert outcome.exit_code == Exit.FAILED
    assert states(outcome.night) == {"ep1": "failed", "ep2": "done"}
    assert ("(a bug" if error else "the lamp is out") in outcome.night.episodes[0].why
    assert "failed: ep1" in outcome.words


def test_an_episode_that_cannot_be_planned_is_reported_and_the_rest_goes(farm: Farm) -> None:
    spec = farm.spec("", episodes=2)
    (farm.folder / "ep1.yaml").write_text("source: gone.mkv\n")
    from flows.nightly.run import run_night

    outcome = run_night(
        spec,
        farm.store,
        Silent(),
        forecast=farm.forecast,
        renderer=farm.render,
        clock=lambda: farm.now,
    )
    assert states(outcome.night) == {"ep1": "failed", "ep2": "done"}
    assert "gone.mkv" in outcome.night.episodes[0].why


def test_a_person_ends_a_night_that_is_kept_and_goes_on(farm: Farm) -> None:
    farm.does = failing("ep2", KeyboardInterrupt())
    outcome = farm.night(episodes=3)
    assert outcome.exit_code == Exit.INTERRUPTED
    assert states(kept(farm)) == {"ep1": "done", "ep2": "stopped", "ep3": "left out"}
    farm.does = lambda name: None
    again = farm.night(episodes=3)
    assert again.exit_code == Exit.GOOD
    assert [each.computed for each in again.night.episodes] == [0, 2, 2]


def test_the_time_given_to_a_night_ends_it(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock nearly all of it is over when the first episode begins."""

    def forecast(prepared: Prepared) -> Forecast:
        farm.now = BEGAN + timedelta(seconds=599.7)
        return Farm.forecast(farm, prepared)

    def hang(name: str) -> None:
        farm.now = BEGAN + timedelta(seconds=601)
        assert not threading.Event().wait(60), "nothing stopped it"

    monkeypatch.setattr(farm, "forecast", forecast)
    farm.does = hang
    outcome = farm.night(timeout_s=600)
    assert outcome.exit_code == Exit.TIMEOUT
    assert states(kept(farm)) == {"ep1": "stopped", "ep2": "left out"}
    assert "the time given" in kept(farm).episodes[0].why


def test_planning_that_takes_too_long_is_given_up(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forecast(prepared: Prepared) -> Forecast:
        threading.Event().wait(60)
        raise AssertionError("nothing stopped it")

    monkeypatch.setattr(farm, "forecast", forecast)
    with pytest.raises(TimedOut):
        farm.night(timeout_s=0.3)


def test_one_night_of_a_nightly_runs_at_a_time(farm: Farm) -> None:
    with Record(farm.store, "nights/demo/20000101T000000000-abcd") as record:
        record.begin()
        with pytest.raises(RefusedError, match="runs already"):
            farm.night()
        found, _ = find_place(farm.store, "demo")
        assert found == record.place, "who waits for the nightly means the night that runs"
        record.ended({}, state="done", exit_code=0)
    (farm.folder / "store/nights/demo/20000101T000000000-abcd.json").unlink()
    assert farm.night().exit_code == Exit.GOOD


def test_of_two_nights_that_begin_at_one_moment_the_later_gives_way(farm: Farm) -> None:
    """By its name the other began later, though it was on record first."""
    with Record(farm.store, "nights/demo/29990101T000000000-abcd") as record:
        record.begin()
        with pytest.raises(RefusedError, match="29990101T000000000-abcd"):
            farm.night(yield_timeout_s=0.0)

        def gives_way(_: float) -> None:
            record.withdraw()
            farm.store.delete("begun/nights/demo/29990101T000000000-abcd.json")

        assert farm.night(yield_timeout_s=600.0, sleep=gives_way).exit_code == Exit.GOOD


def test_a_store_that_goes_costs_no_other_episode_and_not_the_night(farm: Farm) -> None:
    other = farm.folder / "other"

    def gone(name: str) -> None:
        if name == "ep1":
            shutil.rmtree(other, ignore_errors=True)
            other.write_text("no folder any more")
            raise StoreError("the disk is gone", where=name)

    farm.does = gone
    outcome = farm.night("episodes:\n  - {path: ep1.yaml, store: other}\n  - ep2.yaml\n")
    assert states(outcome.night) == {"ep1": "failed", "ep2": "done"}
    assert "the disk is gone" in outcome.night.episodes[0].why
    assert kept(farm).episodes == outcome.night.episodes


class Surprising(FolderStore):
    """A store that fails as nobody expects at the first picture of a shot."""

    surprised = False

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        if name.startswith("nightframes/") and not self.surprised:
            self.surprised = True
            raise ZeroDivisionError("what a surprise")
        return super().put(name, data, if_absent=if_absent)


def test_what_cannot_be_measured_for_a_bug_costs_no_other_episode(farm: Farm) -> None:
    outcome = farm.night(store=Surprising(farm.folder / "store"))
    assert states(outcome.night) == {"ep1": "failed", "ep2": "done"}
    assert outcome.night.episodes[0].why.startswith("rendered, but not measured: ZeroDivisionError")


def test_worse_pictures_are_a_regression_with_frames_until_a_person_accepts(farm: Farm) -> None:
    from flows.runs.nights import accept

    worse = "episodes:\n  - {path: ep1.yaml, quality: 45}\n  - ep2.yaml\n"
    good = farm.night().night
    bad = farm.night(worse)
    assert bad.exit_code == Exit.WANTING
    assert "regressed: ep1 sh010" in bad.words
    shot = bad.night.episodes[0].shots[0]
    assert shot.psnr is not None
    assert shot.psnr < 36
    first = shot.regressions[0]
    assert (first.measure, first.limit) == ("psnr", 36)
    assert first.frame is not None
    for name in (first.before, first.after):
        assert farm.store.get(name)[:4] == b"\x89PNG"
    assert not bad.night.episodes[1].regressed
    again = farm.night(worse)
    assert again.exit_code == Exit.WANTING, "it is held against the last good night, not the last"
    assert again.night.episodes[0].compared == good.night
    accept(farm.store, "demo", shots=["ep1/sh010"], by="me", note="")
    some = farm.night(worse).night
    assert [bool(each.regressions) for each in some.episodes[0].shots] == [False, True]
    accept(farm.store, "demo", by="me", note="smaller")
    assert farm.night(worse).exit_code == Exit.GOOD


def test_time_is_compared_with_the_night_that_rendered_the_shot(farm: Farm) -> None:
    """Two nights lie between in which nothing was to be made."""
    limits = "thresholds: {seconds: 1.5, seconds_least: 0, psnr_db: null, ssim: null}"
    farm.night(limits)
    farm.night(limits)
    farm.night(limits)
    farm.takes = 100
    slower = farm.night(
        f"{limits}\nepisodes:\n  - {{path: ep1.yaml, quality: 9}}\n  - ep2.yaml\n"
    ).night
    found = slower.episodes[0].shots[0].regressions
    assert [(each.measure, each.was, each.now) for each in found] == [("seconds", 30.0, 50.0)]
    assert not slower.episodes[1].regressed


def test_nights_are_kept_in_every_store_that_holds_their_segments(farm: Farm) -> None:
    text = "episodes:\n  - ep1.yaml\n  - {path: ep2.yaml, store: other}\n"
    night = farm.night(text).night
    other = open_store(str(farm.folder / "other"))
    (copy,) = Past(other, "demo")
    assert (copy.night.night, copy.night.episodes) == (night.night, night.episodes)
    assert night.episodes[1].store == other.url


def test_an_episode_whose_file_is_missing_is_reported_and_the_rest_goes(farm: Farm) -> None:
    outcome = farm.night("episodes: [ep1.yaml, gone.yaml, ep2.yaml]")
    assert outcome.exit_code == Exit.FAILED
    assert states(outcome.night) == {"gone": "failed", "ep1": "done", "ep2": "done"}
    assert "gone.yaml" in outcome.night.episodes[0].why


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("out/x.mkv", "out/../out/x.mkv", "two episodes go to"),
        ("out/x.mkv", "link/x.mkv", "two episodes go to"),
        ("x.mkv", "own.mkv", "would replace .*own.mkv, the source of ep1"),
        ("x.mkv", "link/../own.mkv", "would replace .*own.mkv, the source of ep1"),
    ],
)
def test_no_film_replaces_another_or_its_source(
    farm: Farm, first: str, second: str, words: str
) -> None:
    (farm.folder / "out").mkdir()
    (farm.folder / "link").symlink_to("out")
    shutil.copyfile(farm.film, farm.folder / "own.mkv")
    spec = farm.spec(
        "episodes:\n"
        f"  - {{path: ep1.yaml, output: {first}}}\n  - {{path: ep2.yaml, output: {second}}}\n"
    )
    (farm.folder / "ep1.yaml").write_text("source: own.mkv\n")
    with pytest.raises(UsageError, match=words):
        plan_candidates(spec, farm.forecast, Silent())


def test_two_episodes_of_one_name_are_refused(farm: Farm) -> None:
    (farm.folder / "more").mkdir()
    (farm.folder / "more/ep1.yaml").write_text(
        f"source: {farm.film}\ndelivery: {{output: x.mkv}}\n"
    )
    with pytest.raises(UsageError, match="two episodes are named ep1"):
        farm.night("episodes: [ep1.yaml, more/ep1.yaml]")


@pytest.fixture
def prices(set_variables: Callable[..., None]) -> None:
    set_variables(DOUGA_CPU_HOUR_PRICE="60")


def test_a_budget_in_money_needs_a_price(farm: Farm) -> None:
    with pytest.raises(UsageError, match="no hour has a price"):
        farm.night("budget: {money: 2}")


@pytest.mark.usefixtures("prices")
def test_a_budget_in_money_is_kept(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    def forecast(prepared: Prepared) -> Forecast:
        return replace(Farm.forecast(farm, prepared), money=1.0)

    monkeypatch.setattr(farm, "forecast", forecast)
    outcome = farm.night("budget: {money: 2.5}", episodes=3)
    assert [each.money for each in outcome.night.episodes] == pytest.approx([1.0, 1.0, 0.0])
    assert states(outcome.night) == {"ep1": "done", "ep2": "done", "ep3": "left out"}
    assert "needs 1 EUR, 0.5 left" in outcome.night.episodes[2].why
