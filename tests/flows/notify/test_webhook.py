"""Webhooks against a real receiver that checks signatures as the specification's library does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from cluster.settings import settings
from flows.notify import send
from flows.notify.event import Event
from flows.notify.events import trial_event
from flows.notify.retry import Delivery, next_pause_s
from flows.notify.send import deliver, notify
from flows.notify.targets import read_targets
from flows.runs.outcome import Outcome
from tests.servers.hooks import Receiver, Reply

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/services/T000/B000/hidden-word"
Change = Callable[..., None]


@pytest.fixture
def told(hook: Receiver, setting: Change) -> Receiver:
    """The receiver, named in the settings with its secret."""
    setting(WEBHOOK_URL=hook.url + PATH, WEBHOOK_SECRET=SECRET, NOTIFY_TIMEOUT_S=120)
    return hook


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""

    def at_once(*args: Any, **more: Any) -> float | None:
        return None if real(*args, **more) is None else 0.0

    real = next_pause_s
    monkeypatch.setattr(send, "next_pause_s", at_once)


def failed(text: str = "ep01 failed: 1 of 2 shots (sh020)") -> Event:
    return Event(kind=Outcome.FAILED, about="episode", name="ep01", text=text, run="r1")


def tell(event: Event | None = None) -> Delivery:
    (delivery,) = deliver(event or failed(), read_targets(settings()))
    return delivery


def test_a_receiver_can_verify_and_read_it(told: Receiver) -> None:
    event = failed()
    assert tell(event).ok
    (request,) = told.posted
    assert request.path == PATH
    assert request.headers["content-type"] == "application/json"
    document = told.read(SECRET)
    assert document["type"] == "episode.failed"
    assert document["timestamp"] == event.at
    assert document["data"] == json.loads(json.dumps(event.to_json()))
    assert document["text"] == event.text, "what chats show"


def test_a_body_or_a_secret_that_is_another_is_found_out(told: Receiver) -> None:
    tell()
    (request,) = told.posted
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body.replace(b"sh020", b"sh030"), request.headers)
    with pytest.raises(WebhookVerificationError):
        told.read("whsec_" + "A" * 32)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body, {**request.headers, "webhook-id": "msg_other"})


def test_both_of_two_secrets_verify(told: Receiver, setting: Change) -> None:
    other = "whsec_" + "B" * 32
    setting(WEBHOOK_SECRET=f"{SECRET} {other}")
    tell()
    assert told.read(SECRET) == told.read(other)


def test_without_a_secret_nothing_is_signed(told: Receiver, setting: Change) -> None:
    setting(WEBHOOK_SECRET="")
    assert tell().ok
    assert "webhook-signature" not in told.posted[0].headers
    assert told.posted[0].headers["webhook-id"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.usefixtures("no_pauses")
def test_what_may_pass_is_tried_again_under_the_same_id(status: int, told: Receiver) -> None:
    told.replies[:] = [Reply(status), Reply(status), Reply(200)]
    delivery = tell()
    assert (delivery.ok, delivery.tries, delivery.said) == (True, 3, "taken (200)")
    assert len({request.headers["webhook-id"] for request in told.posted}) == 1
    for place in range(3):
        assert told.read(SECRET, place) == told.read(SECRET)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_will_not_pass_is_tried_once(status: int, told: Receiver) -> None:
    told.replies[:] = [Reply(status)]
    delivery = tell()
    assert (delivery.ok, delivery.tries, delivery.said) == (False, 1, f"answered {status}")
    assert len(told.posted) == 1


@pytest.mark.usefixtures("no_pauses")
def test_it_is_given_up_after_as_many_tries_as_agreed(told: Receiver, setting: Change) -> None:
    setting(NOTIFY_ATTEMPTS=2)
    told.replies[:] = [Reply(500)]
    assert (tell().tries, len(told.posted)) == (2, 2)


def test_a_receiver_that_asks_for_time_gets_it(told: Receiver) -> None:
    told.replies[:] = [Reply(429, (("Retry-After", "1"),)), Reply(204)]
    assert tell().ok
    first, second = told.posted
    assert second.at - first.at >= 1.0


def test_a_receiver_that_asks_for_more_time_than_there_is_is_left_alone(told: Receiver) -> None:
    told.replies[:] = [Reply(503, (("Retry-After", "3600"),))]
    delivery = tell()
    assert (delivery.tries, delivery.said) == (1, "answered 503, come back in 3600 s")


def test_a_redirect_is_not_followed(told: Receiver) -> None:
    told.replies[:] = [Reply(307, (("Location", f"{told.url}/elsewhere"),))]
    delivery = tell()
    assert not delivery.ok
    assert "points elsewhere" in delivery.said
    assert [request.path for request in told.posted] == [PATH]


def test_a_receiver_that_says_nothing_does_not_hold_us(told: Receiver, setting: Change) -> None:
    """It is still holding the request when we have gone on."""
    setting(NOTIFY_TIMEOUT_S=0.3)
    told.replies[:] = [Reply(held=True)]
    delivery = tell()
    assert not told.released.is_set()
    assert not delivery.ok
    assert delivery.said == "no answer in time"


@pytest.mark.timeout(90)
def test_who_stops_a_run_is_not_kept_waiting(
    told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long other events may take."""
    monkeypatch.setattr(send, "STOPPED_TIMEOUT_S", 0.2)
    told.replies[:] = [Reply(held=True)]
    assert not tell(Event(kind=Outcome.STOPPED, about="episode", name="e", text="e was stopped")).ok
    assert not told.released.is_set()


def test_a_body_without_end_is_not_read(told: Receiver) -> None:
    told.replies[:] = [Reply(200, endless=True)]
    assert tell().ok
    assert not told.released.is_set()


def test_one_that_is_not_there_does_not_keep_the_others_from_being_told(
    told: Receiver, setting: Change, listener: Any
) -> None:
    setting(WEBHOOK_URL=f"http://127.0.0.1:9{PATH} {told.url}{PATH}", NOTIFY_ATTEMPTS=1)
    notify(failed(), reporter=listener)
    assert len(told.posted) == 1
    assert listener.notes == ["webhook 127.0.0.1:9 was not told: connection refused"]


def test_only_what_was_chosen_is_told(told: Receiver, setting: Change, listener: Any) -> None:
    setting(NOTIFY="done,waiting")
    notify(failed(), reporter=listener)
    assert (told.posted, listener.notes) == ([], [])
    setting(NOTIFY="failed")
    notify(failed(), reporter=listener)
    assert len(told.posted) == 1


def test_a_test_is_sent_whatever_was_chosen(told: Receiver, setting: Change) -> None:
    setting(NOTIFY="off")
    assert tell(trial_event()).ok
    assert told.read(SECRET)["type"] == "test"


def test_settings_that_became_wrong_are_a_note(setting: Change, listener: Any) -> None:
    setting(WEBHOOK_URL="hidden-word")
    notify(failed(), reporter=listener)
    (note,) = listener.notes
    assert note.startswith("nobody was told: DOUGA_WEBHOOK_URL: expected")
    assert "hidden-word" not in note


def test_a_name_can_ping_nobody_in_a_chat(told: Receiver) -> None:
    tell(failed("<!channel> & <@U1> failed"))
    document = told.read(SECRET)
    assert document["text"] == "&lt;!channel&gt; &amp; &lt;@U1&gt; failed"
    assert document["data"]["text"] == "<!channel> & <@U1> failed"


@pytest.mark.parametrize("status", [200, 404, 302])
def test_the_url_and_the_secret_are_in_no_log(
    status: int, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx logs every URL at level INFO, and Prefect's workers show that level."""
    caplog.set_level(logging.DEBUG)
    told.replies[:] = [Reply(status, (("Location", "/elsewhere"),))]
    delivery = tell()
    everything = caplog.text + repr(delivery)
    assert "hidden-word" not in everything
    assert SECRET.removeprefix("whsec_") not in everything


def test_what_others_ask_of_the_same_library_is_still_logged(
    told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    caplog.set_level(logging.INFO)
    tell()
    httpx.post(f"{told.url}/of-others", content=b"")
    assert "/of-others" in caplog.text
