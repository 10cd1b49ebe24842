"""What earlier nights say: what stands, what was accepted, and what gc must leave."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import StoreError, UsageError
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.gc.sweep import collect
from flows.progress import Silent
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.nights import Past, accept, hours_by_show, last_good, standing_segments
from flows.runs.outcome import Outcome
from tests.flows.nightly.farm import BEGAN, Farm

WORSE = (Regression(measure="psnr", was=99.0, now=20.0, limit=36.0, frame=3),)


def shot(name: str, segment: str, *, bad: bool = False, computed: int = 1) -> NightShot:
    return NightShot(
        id=name,
        state="rendered",
        frames=24,
        seconds=1.0,
        money=0.0,
        segment=f"segments/{segment}.mkv",
        chunks=1,
        computed=computed,
        regressions=WORSE if bad else (),
    )


def episode(*shots: NightShot, name: str = "ep", **more: Any) -> NightEpisode:
    given: dict[str, Any] = {"episode": name, "show": "main", "state": "done", "film": "ep.mkv"}
    given |= {"shots": shots, **more}
    return NightEpisode(**{**given, "state": Outcome(given["state"])})


def keep(store: Store, number: int, *episodes: NightEpisode) -> Night:
    """The night of a number."""
    at = (BEGAN + timedelta(days=number)).isoformat()
    night = Night(
        nightly="demo",
        night=f"2026-{number:03}",
        began_at=at,
        ended_at=at,
        episodes=episodes,
    )
    store.put(f"nights/demo/{night.night}.json", json.dumps(night.to_json()).encode())
    return night


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def segments(store: Store, **more: Any) -> dict[str, str]:
    good = last_good(Past(store, "demo"), "ep", **more)
    return {name: each.segment[9:-4] for name, each in good.shots.items()}


def test_a_night_with_a_regression_is_no_reference_for_any_of_its_shots(store: Store) -> None:
    keep(store, 1, episode(shot("sh010", "a1"), shot("sh020", "b1")))
    keep(store, 2, episode(shot("sh010", "a2", bad=True), shot("sh020", "b2")))
    assert segments(store) == {"sh010": "a1", "sh020": "b1"}
    assert last_good(Past(store, "demo"), "ep").film_night == "2026-001"


@pytest.mark.parametrize("state", ["failed", "wanting", "stopped", "left out"])
def test_only_an_episode_that_was_rendered_whole_is_a_reference(store: Store, state: str) -> None:
    keep(store, 1, episode(shot("sh010", "a1")))
    keep(store, 2, episode(shot("sh010", "a2"), state=state))
    assert segments(store) == {"sh010": "a1"}


def test_what_a_person_accepted_stands(store: Store) -> None:
    keep(store, 1, episode(shot("sh010", "a1"), shot("sh020", "b1")))
    keep(store, 2, episode(shot("sh010", "a2", bad=True), shot("sh020", "b2", bad=True)))
    accept(store, "demo", shots=["ep/sh010"], by="me", note="so it should be")
    assert segments(store) == {"sh010": "a2", "sh020": "b1"}
    assert last_good(Past(store, "demo"), "ep").film_night == "2026-001"
    accept(store, "demo", night="2026-002", shots=["ep/sh020"], by="me", note="")
    good = last_good(Past(store, "demo"), "ep")
    assert segments(store) == {"sh010": "a2", "sh020": "b2"}
    assert good.film_night == "2026-002", "all that had regressed was accepted"


def test_a_film_that_regressed_stands_when_its_episode_is_accepted(store: Store) -> None:
    keep(store, 1, episode(shot("sh010", "a1")))
    louder = (Regression(measure="loudness", was=-23.0, now=-18.0, limit=-22.0),)
    keep(store, 2, episode(shot("sh010", "a2"), regressions=louder))
    assert segments(store) == {"sh010": "a1"}
    accept(store, "demo", shots=["ep"], by="me", note="")
    assert last_good(Past(store, "demo"), "ep").film_night == "2026-002"


@pytest.mark.parametrize("asked", [{"shots": ["ep/sh090"]}, {"night": "1999"}])
def test_only_what_there_is_can_be_accepted(store: Store, asked: dict[str, Any]) -> None:
    keep(store, 1, episode(shot("sh010", "a1")))
    with pytest.raises(UsageError, match=r"no 'ep/sh090' in it|no night '1999'"):
        accept(store, "demo", by="me", note="", **asked)
    with pytest.raises(UsageError, match="no night is kept"):
        accept(store, "other", by="me", note="")


def test_what_was_not_rendered_whole_cannot_be_accepted(store: Store) -> None:
    """It would stand for nothing, and whoever accepted it would wait for it in vain."""
    keep(store, 1, episode(shot("sh010", "a1"), state="wanting"))
    for shots in ([], ["ep"], ["ep/sh010"]):
        with pytest.raises(UsageError, match="ep ended 'failed verification': nothing"):
            accept(store, "demo", shots=shots, by="me", note="")


def test_time_is_from_the_newest_night_that_rendered_the_shot_whole(store: Store) -> None:
    for number, computed in ((1, 1), (2, 1), (3, 0)):
        slow = replace(shot("sh010", "a1", computed=computed), seconds=float(number))
        keep(store, number, episode(slow))
    good = last_good(Past(store, "demo"), "ep", shots={"sh010"}, timed={"sh010"})
    assert good.timed["sh010"].seconds == 2.0


def test_no_more_nights_are_read_than_needed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        keep(store, number, episode(shot("sh010", "a1")))
    reads: list[str] = []
    read = type(store).get

    def get(self: Store, name: str) -> bytes:
        reads.append(name)
        return read(self, name)

    monkeypatch.setattr(type(store), "get", get)
    past = Past(store, "demo")
    last_good(past, "ep", shots={"sh010"})
    last_good(past, "ep", shots={"sh010"})
    assert reads == ["nights/demo/2026-005.json"]


def test_hours_are_counted_by_show(store: Store) -> None:
    nights = [
        keep(store, 1, episode(gpu_hours=1.0, cpu_hours=0.5), episode(show="side", cpu_hours=2.0)),
        keep(store, 2, episode(gpu_hours=3.0)),
    ]
    assert hours_by_show(nights) == {"main": 4.5, "side": 2.0}


def test_a_night_is_the_same_when_read_back(store: Store) -> None:
    night = keep(store, 1, episode(shot("sh010", "a1", bad=True)))
    assert next(iter(Past(store, "demo"))).night == night


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"nightly": "demo"}', b'{"schema": 99}'])
def test_a_damaged_night_costs_only_itself(
    store: Store, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    keep(store, 1, episode(shot("sh010", "good")))
    keep(store, 2, episode(shot("sh010", "later")))
    store.put("nights/demo/2026-003.json", text)
    assert [each.night.night for each in Past(store, "demo")] == ["2026-002", "2026-001"]
    assert "nights/demo/2026-003.json" in caplog.text
    assert standing_segments(store)[1] == ("nights/demo/2026-003.json",)
    with pytest.raises(StoreError, match=r"2026-003.*(store check|update)"):
        accept(store, "demo", by="me", note="")
    assert accept(store, "demo", night="2026-001", by="me", note="").night == "2026-001"


def test_a_damaged_word_of_a_person_is_no_acceptance(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    keep(store, 1, episode(shot("sh010", "bad", bad=True)))
    accept(store, "demo", by="me", note="")
    (name,) = (each.name for each in store.list("nightaccepts/"))
    store.put(name, b"{}")
    (night,) = Past(store, "demo")
    assert night.accepted == ()
    assert name in caplog.text


def test_the_references_and_the_newest_night_are_held(store: Store) -> None:
    keep(store, 1, episode(shot("sh010", "old")), episode(shot("sh010", "gone"), name="gone"))
    keep(store, 2, episode(shot("sh010", "good")))
    keep(store, 3, episode(shot("sh010", "bad", bad=True)))
    keep(store, 4, episode(shot("sh010", "worse", bad=True)))
    held, unread = standing_segments(store)
    assert held == {f"segments/{name}.mkv" for name in ("gone", "good", "worse")}
    assert unread == ()


@pytest.mark.usefixtures("no_grace")
def test_gc_leaves_what_the_next_night_is_compared_with(tmp_path: Path, tiny_film: Path) -> None:
    """The farm of these tests writes no manifest: nothing but the night needs its segments."""
    farm = Farm(tmp_path, tiny_film)
    night = farm.night(episodes=1).night
    farm.store.put("segments/aa/loose.mkv", b"nobody's")
    collect(farm.store.url, Silent(), keep_days=0)
    assert not farm.store.has(["segments/aa/loose.mkv"])
    names = [each.segment for each in night.episodes[0].shots]
    names += [each.thumbnail for each in night.episodes[0].shots]
    assert farm.store.has(names) == set(names)
