"""A render is told of once, however it ends, and never fails by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import InputError, UsageError
from flows.notify import send
from flows.notify.on_exit import notify_on_exit, notify_on_night_exit
from flows.runs.night import Night, NightEpisode
from flows.runs.outcome import Outcome
from flows.runs.result import EpisodeResult
from flows.spec.documents import EpisodeSpec
from flows.spec.request import RenderRequest
from tests.servers.hooks import Receiver, Reply

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REQUEST = RenderRequest(
    episode=EpisodeSpec.model_validate({"source": "ep01.mkv", "name": "ep01"}),
    output="ep01.douga.mkv",
    store="file:///store",
    command="douga render ep01.mkv",
)
DONE = EpisodeResult(
    film="ep01.douga.mkv", episode="ep01", run="r1", store="file:///store", shots=(),
    frames_in=48, frames_out=48, chunks_computed=0, chunks_reused=2, wall_s=1.0, render_s=0.0,
    compute_s=0.0, verified=True,
)  # fmt: skip


@pytest.fixture
def told(hook: Receiver, setting: Callable[..., None]) -> Receiver:
    """The receiver, named in the settings."""
    setting(WEBHOOK_URL=f"{hook.url}/x", WEBHOOK_SECRET=SECRET, NOTIFY_TIMEOUT_S=120)
    return hook


def test_a_result_is_told(told: Receiver, listener: Any) -> None:
    with notify_on_exit(REQUEST, listener) as tell:
        tell.result(DONE)
        assert told.posted == [], "not before the end"
    assert told.read(SECRET)["type"] == "episode.done"
    assert len(told.posted) == 1


def test_an_error_is_told_and_goes_on_its_way(told: Receiver, listener: Any) -> None:
    def render() -> None:
        raise InputError("no such film", where="ep01.mkv")

    with pytest.raises(InputError, match="no such film"), notify_on_exit(REQUEST, listener):
        render()
    document = told.read(SECRET)
    assert document["type"] == "episode.failed"
    assert document["data"]["text"] == "ep01 failed: ep01.mkv: no such film"
    assert document["data"]["command"] == "douga render ep01.mkv"


def test_a_run_that_is_stopped_says_so(
    told: Receiver, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "STOPPED_TIMEOUT_S", 120)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), notify_on_exit(REQUEST, listener):
        stop()
    assert told.read(SECRET)["type"] == "episode.stopped"


def test_a_night_is_told_once_for_all_its_episodes(told: Receiver, listener: Any) -> None:
    episodes = tuple(
        NightEpisode(episode=n, show="s", state=Outcome.DONE) for n in ("ep01", "ep02")
    )
    night = Night(nightly="prime", night="n1", began_at="", ended_at="", episodes=episodes)
    with notify_on_night_exit("prime", listener, command="douga nightly prime.yaml") as tell:
        tell.night(night)
        tell.report("report/report.html")
    assert len(told.posted) == 1
    document = told.read(SECRET)
    assert document["type"] == "night.done"
    assert document["data"]["report"] == "report/report.html"


def test_what_a_night_came_to_is_told_even_if_its_report_cannot_be_written(
    told: Receiver, listener: Any
) -> None:
    night = Night(nightly="prime", night="n1", began_at="", ended_at="", episodes=())

    def run() -> None:
        with notify_on_night_exit("prime", listener) as tell:
            tell.night(night)
            raise InputError("the report cannot be written")

    with pytest.raises(InputError):
        run()
    assert told.read(SECRET)["type"] == "night.done"


def test_a_receiver_that_refuses_fails_no_render(told: Receiver, listener: Any) -> None:
    told.replies[:] = [Reply(403)]
    with notify_on_exit(REQUEST, listener) as tell:
        tell.result(DONE)
    (note,) = listener.notes
    assert note.startswith("webhook 127.0.0.1:")
    assert note.endswith("was not told: answered 403")


def test_wrong_settings_are_told_before_the_render_begins(
    setting: Callable[..., None], listener: Any
) -> None:
    setting(WEBHOOK_URL="not-a-url")
    begun = []
    with pytest.raises(UsageError, match="DOUGA_WEBHOOK_URL"), notify_on_exit(REQUEST, listener):
        begun.append(True)
    assert not begun


def test_the_command_tells_of_its_own_render(
    hook: Receiver, douga: Any, tiny_film: Path, tiny_render: Any, tmp_path: Path
) -> None:
    """A film that is there already: no Ray, no Prefect, and one event."""
    film = tmp_path / "film.mkv"
    film.write_bytes(tiny_render.film.read_bytes())
    ended = douga(
        *("render", tiny_film, "-o", film, "--store", tiny_render.store, "--json"),
        DOUGA_WEBHOOK_URL=f"{hook.url}/x",
        DOUGA_WEBHOOK_SECRET=SECRET,
    )
    assert ended.code == 0, ended.err
    (_,) = hook.posted
    document = hook.read(SECRET)
    assert document["type"] == "episode.done"
    assert document["data"]["run"] == ended.document["run"]


def test_the_command_tells_of_an_error_and_keeps_its_exit_code(
    hook: Receiver, douga: Any, tmp_path: Path
) -> None:
    (tmp_path / "ep.yaml").write_text("source: nowhere.mkv\n")
    ended = douga("render", "ep.yaml", cwd=tmp_path, DOUGA_WEBHOOK_URL=f"{hook.url}/x")
    assert ended.code == 1
    assert b"nowhere.mkv" in hook.posted[0].body
