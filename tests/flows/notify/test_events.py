"""What is told of a result, an error and a night."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cluster.errors import InputError, Interrupted, RefusedError, VerifyError
from flows.notify.event import NAMED_AT_MOST, Event, plain
from flows.notify.events import event_from_error, event_from_night, event_from_result
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult, ShotLine


def shot(name: str, state: str = "rendered", error: str = "") -> ShotLine:
    return ShotLine(
        id=name, source=0, start=0, end=24, frames=24, chunks=1, computed=1, reused=0,
        state=state, error=error, frame=7 if error else None,
    )  # fmt: skip


def result(*shots: ShotLine, **more: Any) -> EpisodeResult:
    whole: dict[str, Any] = {
        "film": "ep01.mkv", "episode": "ep01", "run": "r1", "store": "file:///s",
        "frames_in": 48, "frames_out": 96, "chunks_computed": 2, "chunks_reused": 3,
        "wall_s": 1.0, "render_s": 0.5, "compute_s": 0.4, "verified": True,
    }  # fmt: skip
    return EpisodeResult(shots=shots or (shot("sh010"), shot("sh020")), **{**whole, **more})


def night(*episodes: NightEpisode) -> Night:
    return Night(
        nightly="prime", night="20261122T010000", began_at="2026-11-22T01:00:00+00:00",
        ended_at="2026-11-22T05:00:00+00:00", episodes=episodes,
    )  # fmt: skip


def episode(state: Any = "done", *shots: NightShot, **more: Any) -> NightEpisode:
    return NightEpisode(
        episode=f"ep-{state}", show="show", state=Outcome(state), shots=shots, **more
    )


def night_shot(state: str = "rendered", **more: Any) -> NightShot:
    return NightShot(id="sh010", state=state, frames=24, seconds=1.0, money=0.0, **more)


def test_a_film_is_told_as_done_with_its_place_and_numbers() -> None:
    event = event_from_result(result(), command="douga render ep01.yaml")
    assert (event.kind, event.type, event.name, event.run) == ("done", "episode.done", "ep01", "r1")
    assert event.text == "ep01 is done: 96 frames, ep01.mkv"
    assert event.film == "ep01.mkv"
    assert dict(event.counts)["chunks reused"] == 3
    assert event.command == "", "nothing is to be done again"


def test_failed_shots_are_named_with_their_errors_and_the_command_that_tries_again() -> None:
    bad = result(shot("sh010"), shot("sh020", "failed", "sh020/upscale: no memory"), film=None)
    event = event_from_result(bad, command="douga render ep01.yaml")
    assert event.kind == "failed"
    assert event.text == "ep01 failed: 1 of 2 shots (sh020)"
    assert [(each.shot, each.error, each.frame) for each in event.failed] == [
        ("sh020", "sh020/upscale: no memory", 7)
    ]
    assert event.command == "douga render ep01.yaml"


def test_a_film_that_waits_says_for_whom() -> None:
    event = event_from_result(result(film=None, waiting=("sh020: no decision",)))
    assert event.kind == "waiting"
    assert event.text == "ep01 waits for review: 1 of 2 shots"
    assert event.waiting == ("sh020: no decision",)


def test_what_verification_found_is_told() -> None:
    event = event_from_result(result(film=None, findings=("frame 3 is shown twice",)))
    assert event.kind == "wanting"
    assert event.findings == ("frame 3 is shown twice",)
    assert "frame 3 is shown twice" in event.text


def test_some_shots_of_a_film_are_done_in_part() -> None:
    event = event_from_result(result(shot("sh010"), shot("sh020", "new"), film=None))
    assert (event.kind, event.text) == ("done", "ep01 is rendered in part: 1 of 2 shots")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("no such file", where="a.mkv"), "failed", "ep01 failed: a.mkv: no such file"),
        (RefusedError("over budget"), "left out", "ep01 was refused: over budget"),
        (VerifyError("a frame is gone"), "wanting", "ep01 failed verification: a frame is gone"),
        (KeyboardInterrupt(), "stopped", "ep01 was stopped; what was finished is kept"),
        (Interrupted("a signal"), "stopped", "ep01 was stopped; what was finished is kept"),
        (
            ZeroDivisionError("oh"),
            "failed",
            "ep01 failed: ZeroDivisionError: oh (a bug; --debug shows where)",
        ),
    ],
)
def test_an_error_is_told_as_what_it_is(error: BaseException, kind: str, words: str) -> None:
    event = event_from_error(error, name="ep01", command="douga render ep01.yaml")
    assert (event.kind, event.text) == (kind, words)
    assert event.command == "douga render ep01.yaml"


def test_a_night_that_could_not_begin_says_so_of_itself() -> None:
    event = event_from_error(RefusedError("it runs already"), name="prime", about="night")
    assert (event.type, event.text) == (
        "night.left_out",
        "nightly prime was refused: it runs already",
    )


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (("done", "done"), "done"),
        (("done", "waiting"), "waiting"),
        (("left out", "waiting"), "left out"),
        (("stopped", "left out"), "stopped"),
        (("left out", "wanting"), "wanting"),
        (("wanting", "failed", "left out"), "failed"),
    ],
)
def test_a_night_is_as_good_as_its_worst_episode(states: tuple[Any, ...], kind: str) -> None:
    event = event_from_night(night(*map(episode, states)))
    assert (event.kind, event.type) == (kind, f"night.{kind.replace(' ', '_')}")


def test_a_night_says_in_one_line_what_became_of_its_episodes() -> None:
    event = event_from_night(
        night(episode("done"), episode("done"), episode("left out", why="the deadline")),
        command="douga nightly prime.yaml",
        report="report/index.html",
    )
    assert event.text == "night 20261122T010000 of prime: 2 done, 1 left out"
    assert [(each.episode, each.why) for each in event.episodes][-1] == (
        "ep-left out",
        "the deadline",
    )
    assert (event.report, event.command) == ("report/index.html", "douga nightly prime.yaml")


def test_regressed_shots_and_episodes_are_named_with_what_they_were() -> None:
    worse = Regression(measure="ssim", was=0.98, now=0.91, limit=0.95, frame=12)
    quieter = Regression(measure="loudness", was=-23.0, now=-31.0, limit=1.0)
    done = episode("done", night_shot(regressions=(worse,)), regressions=(quieter,))
    event = event_from_night(night(done))
    assert event.kind == "wanting"
    assert [(each.shot, each.frame, each.error) for each in event.failed] == [
        ("sh010", 12, "regressed: SSIM 0.9100 at frame 12, was 0.9800, limit 0.9500")
    ]
    assert event.findings == ("ep-done: loudness -31.0 LUFS, was -23.0 LUFS, limit 1.0 LUFS",)


def test_an_event_stays_small_however_much_failed() -> None:
    """Receivers want less than 20 kB; how many there are is still told."""
    many = [shot(f"sh{n:04}", "failed", "x" * 5000) for n in range(1000)]
    event = event_from_result(result(*many, film=None))
    assert len(event.failed) == NAMED_AT_MOST
    assert dict(event.counts)["shots failed"] == 1000
    assert "and 995 more" in event.text
    assert len(json.dumps(event.to_json())) < 20_000


def test_no_text_has_lines_control_characters_or_half_letters() -> None:
    hostile = "ep\r\nBcc: all@x\x00\x1b[31m\u2028\u202e\udc80"
    bad = replace(result(shot(hostile, "failed", hostile), film=hostile), episode=hostile)
    for event in (
        event_from_result(bad, command=hostile),
        event_from_error(InputError(hostile), name=hostile, command=hostile),
        event_from_night(
            night(episode("failed", night_shot("failed", error=hostile))), report=hostile
        ),
    ):
        texts = _texts(event.to_json())
        assert all(text == "" or text.isprintable() for text in texts), texts
        assert json.dumps(event.to_json()).encode()


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_a_run_is_told_under_one_id_and_others_under_others() -> None:
    """A job that is submitted twice gives the same result twice."""
    assert event_from_result(result()).id == event_from_result(result()).id
    assert event_from_night(night()).id == event_from_night(night()).id
    others = [
        event_from_result(result()),
        event_from_result(result(run="r2")),
        event_from_result(result(film=None, findings=("x",))),
        event_from_night(night()),
        *(event_from_error(InputError("x"), name="ep01") for _ in range(20)),
    ]
    assert len({event.id for event in others}) == len(others)


def test_text_is_cut_to_its_length() -> None:
    assert plain("a\n b\tc") == "a b c"
    assert plain("abcdef", at_most=4) == "abc…"
    assert Event(kind=Outcome.DONE, about="episode", name="n", text="t").counts == ()
